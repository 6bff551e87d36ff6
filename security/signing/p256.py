"""The key that signs packages of models: ECDSA on P-256, which OpenSSF model signing and stock DSSE verifiers take.

It stands in a PEM file of mode 0600, is made at first use and never replaced; its public half stands in ``.pub`` beside
it. Signatures are deterministic (RFC 6979): the same package has the same bytes whenever it is made.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings

from security.errors import UnavailableError
from security.log import keys as log_keys
from security.signing.dsse import Envelope, EnvelopeError, pae

PrivateKey = ec.EllipticCurvePrivateKey
_SIGNED = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


def private_key() -> PrivateKey:
    """The key, made at first use. Raises UnavailableError."""
    path = Path(settings.MODEL_KEY)
    try:
        if not path.exists():
            _create(path)
        return _read(path, log_keys.private(path))
    except (OSError, ValueError, TypeError, log_keys.LogKeyError) as error:
        raise UnavailableError(f"The key of packages cannot be used ({error}); nothing was signed.") from error


def public_key() -> ec.EllipticCurvePublicKey:
    """The public half, from the ``.pub`` file: this process may not have the private one. Raises UnavailableError."""
    public = log_keys.public_path(Path(settings.MODEL_KEY))
    if not public.exists():
        return private_key().public_key()
    try:
        found = serialization.load_pem_public_key(public.read_bytes())
    except (OSError, ValueError) as error:
        raise UnavailableError(f"The public key of packages cannot be read ({type(error).__name__}).") from None
    if not isinstance(found, ec.EllipticCurvePublicKey):
        raise UnavailableError(f"{public.name} does not hold a P-256 key.")
    return found


def public_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    """The public key as PEM (SubjectPublicKeyInfo)."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_hint(key: ec.EllipticCurvePublicKey) -> str:
    """What signatures name the key by: SHA-256 of its PEM, as OpenSSF model signing has it."""
    return hashlib.sha256(public_pem(key)).hexdigest()


def sign(payload: bytes, payload_type: str, key: PrivateKey) -> Envelope:
    """The envelope of a payload; the same payload and key give the same bytes."""
    value = key.sign(pae(payload_type, payload), _SIGNED)
    return Envelope(payload, payload_type, ((key_hint(key.public_key()), value),))


def verify(envelope: Envelope, payload_type: str, key: ec.EllipticCurvePublicKey) -> None:
    """Raises EnvelopeError unless the payload is of that type and the key signed it."""
    if envelope.payload_type != payload_type:
        raise EnvelopeError(f"the envelope holds {envelope.payload_type[:60]}, not {payload_type}")
    message, hint = pae(envelope.payload_type, envelope.payload), key_hint(key)
    values = [value for name, value in envelope.signatures if name == hint]
    if not values:
        raise EnvelopeError("the envelope is not signed by the key")
    try:
        for value in values:
            key.verify(value, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise EnvelopeError("the signature of the envelope does not verify") from None


@lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> PrivateKey:
    found = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(found, ec.EllipticCurvePrivateKey) or not isinstance(found.curve, ec.SECP256R1):
        raise log_keys.LogKeyError(f"{path.name} does not hold a P-256 key")
    return found


def _create(path: Path) -> None:
    """Write a new key, never over an existing one: whoever comes second uses that of the first."""
    made = ec.generate_private_key(ec.SECP256R1())
    encoding, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    text = made.private_bytes(encoding, kind, serialization.NoEncryption()).decode()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    log_keys.write_once(path, text, 0o600)
    found = _read(path, log_keys.private(path))
    log_keys.write_once(log_keys.public_path(path), public_pem(found.public_key()).decode(), 0o644)
