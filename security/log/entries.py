"""The pure part of the audit log: what an entry is, and whether a stored row agrees with it.

An entry is an RFC 8785 JSON object with exactly the members ``actor, event, id, payload, subject, system, time``, and
``commitment`` where values that may have to be erased belong to it. Its leaf hash is that of RFC 9162 §2.1.1. It is
written before it has a number, so it names none; entries of the chain that came before the tree have ``index`` instead
of ``id``, and keep it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from security.canonical import NotCanonicalError, canonical_json
from security.log.identifiers import carried_over

MEMBERS = frozenset({"actor", "event", "id", "payload", "subject", "system", "time"})
CHAINED_MEMBERS = MEMBERS - {"id"} | {"index"}
MAX_ENTRY_BYTES = 64 * 1024 - 1  # what a tlog-tiles entry bundle can hold
COMMITMENT_DOMAIN = b"countersign.personal.v1\x00"
SALT_BYTES = 32


class EntryError(ValueError):
    """What should be recorded is no entry: too long, or without a canonical form."""


class Row(NamedTuple):
    """An event as stored: the columns beside the entry (``id`` as 32 hexadecimal digits, ``time`` as in the entry)."""

    id: str
    time: str
    event: str
    actor: str
    subject: str
    system: str
    entry: str


def build(
    *, id: str, time: str, event: str, actor: str, subject: str, system: str, payload: Mapping[str, Any],
    commitment: str = "",
) -> bytes:  # fmt: skip
    """The canonical bytes of one entry. Raises EntryError when it is over 64 KiB or not canonical JSON."""
    members: dict[str, Any] = {
        "actor": actor,
        "event": event,
        "id": id,
        "payload": dict(payload),
        "subject": subject,
        "system": system,
        "time": time,
    }
    if commitment:
        members["commitment"] = commitment
    try:
        entry = canonical_json(members)
    except NotCanonicalError as error:
        raise EntryError(f"the audit entry {event} cannot be written: {error}") from None
    if len(entry) > MAX_ENTRY_BYTES:
        raise EntryError(
            f"the audit entry {event} has {len(entry):,} bytes, over {MAX_ENTRY_BYTES:,}: store an artifact and "
            "record its digest"
        )
    return entry


def commit(salt: bytes, values: bytes) -> str:
    """The salted commitment to personal values in canonical JSON: SHA-256(domain ‖ salt ‖ values), in hexadecimal.

    With 32 random bytes of salt it says nothing about the values once the salt is gone, however few they could be.
    """
    return hashlib.sha256(COMMITMENT_DOMAIN + salt + values).hexdigest()


def seal(values: Mapping[str, Any]) -> tuple[bytes, bytes, str]:
    """``(salt, canonical values, commitment)`` for values that an entry must not hold. Raises EntryError."""
    try:
        canonical = canonical_json(dict(values))
    except NotCanonicalError as error:
        raise EntryError(f"personal values cannot be written: {error}") from None
    salt = os.urandom(SALT_BYTES)
    return salt, canonical, commit(salt, canonical)


def disagreement(row: Row, index: int | None) -> str | None:
    """What in a stored row differs from its entry, or None. ``index`` is where the log has it, None for nowhere yet.

    The usual entry is compared with the text that its columns must give, since that is several times faster than
    parsing; whatever is not equal is then parsed and judged member by member.
    """
    if _usual(row):
        return None
    return _differing(row, index)


def committed(entry: str) -> str:
    """The commitment of a canonical entry, empty when it has none."""
    head, found, rest = entry.partition(',"commitment":"')
    return rest[:64] if found and head.startswith('{"actor":"') and head.count('"') == 4 else ""


def _usual(row: Row) -> bool:
    id, time, event, actor, subject, system, entry = row
    if not entry.endswith(f'}},"subject":"{subject}","system":"{system}","time":"{time}"}}'):
        return False
    if entry.startswith(f'{{"actor":"{actor}","event":"{event}","id":"{id}","payload":{{'):
        return True
    start = f'{{"actor":"{actor}","commitment":"'
    rest = f'","event":"{event}","id":"{id}","payload":{{'
    return entry.startswith(start) and entry.startswith(rest, len(start) + 64)


def _differing(row: Row, index: int | None) -> str | None:
    members = parse(row.entry.encode(errors="surrogateescape"))
    if members is None:
        return "the entry does not have the canonical form it was written in"
    if "index" in members:
        at = members.pop("index")
        if at != index:
            return f"the entry says that it is number {at}"
        members["id"] = carried_over(at).hex
    columns = row._asdict()
    del columns["entry"]
    wrong = sorted(name for name, value in columns.items() if members.get(name) != value)
    return f"the columns {', '.join(wrong)} differ from the hashed entry" if wrong else None


def parse(entry: bytes) -> dict[str, Any] | None:
    """The members of an entry, or None when it is not canonical JSON with exactly the members that one has."""
    try:
        members = json.loads(entry)
        canonical = canonical_json(members)
    except (ValueError, RecursionError):
        return None
    if canonical != entry or not isinstance(members, dict):
        return None
    named = members.keys() - {"commitment"}
    exact = named == MEMBERS or (named == CHAINED_MEMBERS and isinstance(members["index"], int))
    return members if exact and isinstance(members["payload"], dict) else None
