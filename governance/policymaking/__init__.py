"""Making policies: drafts, what they would change, two signatures, and which system is under which policy."""
