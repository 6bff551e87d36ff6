"""Ground floor: identity, access, vault, audit log, privacy and attack checks. Imports no other floor."""
