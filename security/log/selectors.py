"""Reading the log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.db.models import OuterRef, QuerySet, Subquery

from security.log import checkpoints, keys, merkle, tree
from security.log.entries import committed
from security.log.models import AuditEvent, Leaf, Personal, StoredCheckpoint


@dataclass(frozen=True)
class SignedHead:
    """A stored checkpoint that verifies: its size, root (32 bytes), when it was signed, and the note itself."""

    size: int
    root: bytes
    time: datetime
    note: str


@dataclass(frozen=True)
class Opened:
    """What an event commits to: nothing (``sealed`` False), its values, or None once they were erased."""

    sealed: bool
    values: dict[str, Any] | None = None


def events() -> QuerySet[AuditEvent]:
    """All events that have a number, newest first."""
    return AuditEvent.objects.filter(leaf__isnull=False).order_by("-leaf__index")


def progress() -> tuple[int, int]:
    """``(entries signed, events waiting)`` in one query: something new was recorded if and only if this is another."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT (SELECT max(size) FROM log_checkpoint), (SELECT count(*) FROM log_pending)")
        size, waiting = cursor.fetchone()
    return int(size or 0), int(waiting)


def head() -> tuple[int, str]:
    """``(size, root)`` as signed last; ``(0, SHA-256 of nothing)`` before the first event. Verifies nothing."""
    found = latest()
    if found is None:
        return 0, merkle.EMPTY_ROOT.hex()
    return found.size, checkpoints.Checkpoint.parse(found.note.rpartition("\n\n")[0] + "\n").root.hex()


def waits(*, system: str) -> bool:
    """Whether a committed event of this system (slug) waits for its number."""
    return AuditEvent.objects.filter(system=system, leaf__isnull=True).exists()


def latest() -> StoredCheckpoint | None:
    """The last checkpoint, None before the first."""
    return StoredCheckpoint.objects.order_by("-size").first()


def with_checkpoint() -> QuerySet[AuditEvent]:
    """Events with ``checkpoint``, the size of the first checkpoint that covers them; None while they wait for it."""
    over = StoredCheckpoint.objects.filter(size__gt=OuterRef("leaf__index")).order_by("size").values("size")[:1]
    return AuditEvent.objects.annotate(checkpoint=Subquery(over))


def covering(index: int) -> StoredCheckpoint | None:
    """The first checkpoint that includes the entry with this number."""
    return StoredCheckpoint.objects.filter(size__gt=index).order_by("size").first()


def signed(found: StoredCheckpoint) -> SignedHead:
    """A checkpoint, its signature and time verified. Raises ValueError (NoteError, CheckpointError), LogKeyError."""
    log, clock = keys.verifiers()
    opened = checkpoints.open_signed(found.note, log, [clock])
    moments = [each.timestamp for each in opened.cosigned if each.timestamp is not None]
    if not moments:
        raise checkpoints.CheckpointError("the checkpoint is not timed by the log's clock")
    when = datetime.fromtimestamp(moments[0], UTC)
    return SignedHead(opened.checkpoint.size, opened.checkpoint.root, when, found.note)


def entries(start: int, stop: int) -> Iterator[tuple[int, str, str, bytes]]:
    """``(index, entry, system, leaf hash)`` of the numbers from ``start`` to before ``stop``, streamed in order."""
    rows = Leaf.objects.filter(index__gte=start, index__lt=stop).order_by("index")
    columns = rows.values_list("index", "event__entry", "event__system", "hash")
    for index, entry, system, leaf in columns.iterator(chunk_size=2000):
        yield index, entry, system, bytes(leaf)


def opened(found: Iterable[AuditEvent]) -> dict[str, Opened]:
    """Event id (hexadecimal) → what its entry commits to, for all in one query."""
    rows = list(found)
    sealed = [row for row in rows if committed(row.entry)]
    kept = Personal.objects.filter(event_id__in=[row.id for row in sealed]).values_list("event_id", "values")
    values = {event_id.hex: json.loads(text) for event_id, text in kept}
    return {row.id.hex: Opened(bool(committed(row.entry)), values.get(row.id.hex)) for row in rows}


def inclusion_proof(index: int, size: int) -> list[bytes]:
    """The hashes that lead from an entry to the root of ``size`` entries (RFC 9162 §2.1.3), from O(log n) tiles.

    Raises ValueError for an entry that this tree does not have.
    """
    read = tree.reader_of(merkle.inclusion_positions(index, size), size)
    return merkle.inclusion_proof(index, size, read)


def consistency_proof(old: int, new: int) -> list[bytes]:
    """The hashes that show the tree of ``old`` entries to be the beginning of that of ``new`` (RFC 9162 §2.1.4)."""
    read = tree.reader_of(merkle.consistency_positions(old, new), new)
    return merkle.consistency_proof(old, new, read)
