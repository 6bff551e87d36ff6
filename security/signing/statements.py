"""in-toto statements (in-toto/attestation, Statement v1): what is said of which digests. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from security.canonical import DIGEST, NotCanonicalError, canonical_json

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
SIGNATURE = "urn:countersign:predicate:signature-v1"  # a person's signature, as the predicate's members say


class StatementError(ValueError):
    """It is no statement of the form that is written here."""


def build(subjects: Iterable[tuple[str, str]], predicate_type: str, predicate: Mapping[str, Any]) -> bytes:
    """A statement as canonical JSON.

    ``subjects``: (name, SHA-256 in hexadecimal); a pair is named once, in the order of names. Raises StatementError for
    no subject at all, or for what is no digest.
    """
    named = sorted(set(subjects))
    if not named or not all(DIGEST.fullmatch(digest) for _, digest in named):
        raise StatementError("a statement speaks of at least one SHA-256 digest")
    return canonical_json(
        {
            "_type": STATEMENT,
            "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in named],
            "predicateType": predicate_type,
            "predicate": dict(predicate),
        }
    )


def parse(payload: bytes, predicate_type: str) -> dict[str, Any]:
    """The statement of a payload. Raises StatementError unless it is canonical and of that predicate type."""
    try:
        found = json.loads(payload)
        canonical = canonical_json(found) == payload
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError, NotCanonicalError):
        raise StatementError("the payload is no JSON") from None
    if not canonical or not isinstance(found, dict):
        raise StatementError("the payload is not in canonical form")
    if set(found) != {"_type", "subject", "predicateType", "predicate"} or found["_type"] != STATEMENT:
        raise StatementError("the payload is no in-toto Statement v1")
    if found["predicateType"] != predicate_type:
        raise StatementError(f"the statement is not of the type {predicate_type}")
    return found
