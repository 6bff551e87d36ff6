"""A commitment to the digest of a content, for places that keep it longer than the content may be known.

``commitment = SHA-256(salt ‖ digest)`` with a salt of 32 bytes and the SHA-256 of the content. Whoever has the salt can
show that a digest is the one; whoever has not can try all contents there are and learns nothing. The salt is
``HKDF-SHA256(data key, info = "countersign-commitment:" ‖ associated data)`` (RFC 5869), so it is nowhere stored, and
is destroyed with the data key wherever that was. Giving a salt away gives nothing of the data key away.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_BYTES = 32


@dataclass(frozen=True)
class Opening:
    """What opens a commitment: digest and salt, in hexadecimal."""

    digest: str
    salt: str

    @property
    def commitment(self) -> str:
        """The commitment that this opens, in hexadecimal."""
        return hashlib.sha256(bytes.fromhex(self.salt) + bytes.fromhex(self.digest)).hexdigest()


def opening(digest: str, *, data_key: bytes, associated_data: bytes) -> Opening:
    """The opening for the object with that data key. ``digest`` is 64 hexadecimal digits; raises ValueError if not."""
    if len(bytes.fromhex(digest)) != _BYTES:
        raise ValueError(f"a digest has {_BYTES} bytes")
    info = b"countersign-commitment:" + associated_data
    salt = HKDF(algorithm=SHA256(), length=_BYTES, salt=None, info=info).derive(data_key)
    return Opening(digest, salt.hex())
