"""The signature over a whole package, as OpenSSF model signing v1.0 writes it. Pure.

An in-toto statement names every file with its SHA-256; its one subject is the SHA-256 over these digests, names in
order. Its DSSE envelope stands in a Sigstore bundle v0.3 that names the key: ``model_signing verify key`` reads it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from security.canonical import canonical_json
from security.signing.dsse import Envelope
from security.signing.statements import build

FILE = "model.sig"
PREDICATE = "https://model_signing/signature/v1.0"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def root_digest(digests: Mapping[str, str]) -> str:
    """SHA-256 over the digests (file name → hexadecimal SHA-256) in the order of names."""
    joined = hashlib.sha256()
    for name in sorted(digests):
        joined.update(bytes.fromhex(digests[name]))
    return joined.hexdigest()


def statement(name: str, digests: Mapping[str, str]) -> bytes:
    """The payload that is signed for the files of the package called ``name``."""
    predicate = {
        "serialization": {
            "method": "files",
            "hash_type": "sha256",
            "allow_symlinks": False,
            "ignore_paths": [FILE],
        },
        "resources": [{"name": file, "algorithm": "sha256", "digest": digests[file]} for file in sorted(digests)],
    }
    return build([(name, root_digest(digests))], PREDICATE, predicate)


def sigstore_bundle(envelope: Envelope) -> bytes:
    """The envelope in a Sigstore bundle; verifiers compare the hint with the SHA-256 of the key that they hold."""
    ((hint, value),) = envelope.signatures
    return canonical_json(
        {
            "mediaType": BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": _base64(envelope.payload),
                "payloadType": envelope.payload_type,
                "signatures": [{"keyid": "", "sig": _base64(value)}],
            },
        }
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
