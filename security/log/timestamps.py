"""Time-stamps of checkpoints by an authority outside (RFC 3161). Optional: needs ``requirements-timestamps.txt``.

What is stamped is the signed checkpoint as the log wrote it, so anybody can check a stored answer with
``openssl ts -verify -data checkpoint -in checkpoint.tsr -CAfile roots.pem``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509

try:
    import rfc3161_client as _client
except ImportError:
    _client = None  # type: ignore[assignment]  # optional

REQUEST_TYPE = "application/timestamp-query"
ANSWER_TYPE = "application/timestamp-reply"


class TimestampError(Exception):
    """No time-stamp: the authority refused, answered nonsense, or is not one that is trusted."""


@dataclass(frozen=True)
class Stamp:
    """A verified answer of an authority (DER) and the time that it names, UTC."""

    answer: bytes
    time: datetime


def available() -> bool:
    """Whether the package for it is installed."""
    return _client is not None


def query(data: bytes) -> Any:
    """A request for a time-stamp of the SHA-256 of ``data``, with a nonce; its bytes are ``as_bytes()``."""
    builder = _client.TimestampRequestBuilder().data(data).hash_algorithm(_client.base.HashAlgorithm.SHA256)
    return builder.nonce(nonce=True).cert_request(cert_request=True).build()


def read(answer: bytes, data: bytes, roots: Sequence[x509.Certificate], asked: Any = None) -> Stamp:
    """Verify an authority's answer over ``data`` against trusted roots, and against the nonce when ``asked`` is given.

    Raises TimestampError.
    """
    try:
        response = _client.decode_timestamp_response(answer)
        builder = _client.VerifierBuilder.from_request(asked) if asked is not None else _client.VerifierBuilder()
        for root in roots:
            builder = builder.add_root_certificate(root)
        builder.build().verify_message(response, data)
        return Stamp(answer, response.tst_info.gen_time.astimezone(UTC))
    except (ValueError, _client.VerificationError) as error:
        raise TimestampError(f"the authority's answer does not verify: {error}") from error
