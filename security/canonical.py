"""Canonical JSON (RFC 8785), SHA-256 digests and URNs: how everything in Countersign is named."""

from __future__ import annotations

import hashlib
import re
from typing import Any
from uuid import UUID

import rfc8785

DIGEST = re.compile(r"[0-9a-f]{64}")
_URN = re.compile(r"urn:countersign:(?P<noun>[a-z][a-z-]*):(?P<id>[A-Za-z0-9][A-Za-z0-9._@/-]*)")


class NotCanonicalError(ValueError):
    """The value has no canonical JSON form (NaN, an integer beyond 2^53, a key that is no text)."""


def canonical_json(value: Any) -> bytes:
    """The RFC 8785 form of a JSON value, as UTF-8 bytes. Raises NotCanonicalError."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise NotCanonicalError(f"no canonical JSON form: {error}") from error


def sha256(data: bytes) -> str:
    """SHA-256 of bytes as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest_of(value: Any) -> str:
    """SHA-256 of the canonical form of a JSON value, in hexadecimal."""
    return sha256(canonical_json(value))


def urn(noun: str, identifier: UUID | str | int) -> str:
    """``urn:countersign:<noun>:<id>``. Raises ValueError for a noun or id that would not parse back."""
    text = f"urn:countersign:{noun}:{identifier}"
    if not _URN.fullmatch(text):
        raise ValueError(f"not a Countersign URN: {text!r}")
    return text


def parse_urn(text: str) -> tuple[str, str]:
    """``(noun, id)`` of a URN. Raises ValueError."""
    match = _URN.fullmatch(text)
    if match is None:
        raise ValueError(f"not a Countersign URN: {text!r}")
    return match["noun"], match["id"]
