"""Where key-encryption keys live: one file per kind of provider, behind ``contract.KeyProvider``."""
