"""DSSE envelopes (secure-systems-lab/dsse, protocol 1.0.2): bytes, what kind they are, and who signed both. Pure.

What is signed is the pre-authentication encoding of type and payload, so that no signature fits another type. Keys are
Ed25519 in the form of C2SP signer and verifier keys (``security.log.notes``), ``keyid`` is the key's name and ID.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from security.canonical import canonical_json
from security.log.notes import Signer, Verifier

MEDIA_TYPE = "application/vnd.dsse.envelope.v1+json"
MAX_BYTES = 1_000_000


class EnvelopeError(ValueError):
    """It is no envelope, or not signed by whom it should be."""


@dataclass(frozen=True)
class Envelope:
    """``signatures``: key ID → 64 bytes."""

    payload: bytes
    payload_type: str
    signatures: tuple[tuple[str, bytes], ...]

    def to_bytes(self) -> bytes:
        """The envelope as canonical JSON."""
        signed = [{"keyid": keyid, "sig": _base64(value)} for keyid, value in self.signatures]
        return canonical_json(
            {"payload": _base64(self.payload), "payloadType": self.payload_type, "signatures": signed}
        )

    @classmethod
    def parse(cls, data: bytes) -> Envelope:
        """Raises EnvelopeError for anything but the three members, each as it should be."""
        if len(data) > MAX_BYTES:
            raise EnvelopeError(f"an envelope has at most {MAX_BYTES:,} bytes")
        try:
            found = json.loads(data)
            if set(found) != {"payload", "payloadType", "signatures"} or not isinstance(found["payloadType"], str):
                raise EnvelopeError("an envelope has payload, payloadType and signatures")
            signatures = tuple((str(one["keyid"]), _unbase64(one["sig"])) for one in found["signatures"])
            return cls(_unbase64(found["payload"]), found["payloadType"], signatures)
        except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            raise EnvelopeError(f"this is no envelope ({type(error).__name__})") from None


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding: ``DSSEv1 <length> <type> <length> <payload>``, lengths in bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def keyid(verifier: Verifier) -> str:
    """``name+hex(key ID)``, which a verifier key begins with."""
    return f"{verifier.name}+{verifier.key_id:08x}"


def sign(payload: bytes, payload_type: str, signer: Signer) -> Envelope:
    """The envelope of a payload, signed by one key."""
    value = signer.key.sign(pae(payload_type, payload))
    return Envelope(payload, payload_type, ((keyid(signer.verifier()), value),))


def verify(envelope: Envelope, payload_type: str, verifiers: Iterable[Verifier]) -> tuple[Verifier, ...]:
    """The known keys that signed.

    1. The type is the one that the caller reads: a payload is never taken for another kind of document.
    2. Every signature that names a known key verifies.
    3. At least one does. Signatures of unknown keys say nothing.

    Raises EnvelopeError.
    """
    if envelope.payload_type != payload_type:
        raise EnvelopeError(f"the envelope holds {envelope.payload_type[:60]}, not {payload_type}")
    known, message = {keyid(one): one for one in verifiers}, pae(envelope.payload_type, envelope.payload)
    found = [(known[name], value) for name, value in envelope.signatures if name in known]
    for verifier, value in found:
        try:
            Ed25519PublicKey.from_public_bytes(verifier.public).verify(value, message)
        except (InvalidSignature, ValueError):
            raise EnvelopeError(f"the signature by {keyid(verifier)} does not verify") from None
    if not found:
        raise EnvelopeError("no known key signed the envelope")
    return tuple(verifier for verifier, _ in found)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unbase64(text: Any) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise EnvelopeError("a member of the envelope is not base64") from None
    if _base64(data) != text:
        raise EnvelopeError("a member of the envelope is not base64 in its canonical form")
    return data
