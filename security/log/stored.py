"""What verification reads of the database: raw rows, streamed, without an instance of any model."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count
from django.utils import timezone

from security.log import checks, merkle, notes, tree
from security.log.checks import Damage, Kind, Numbered, Seen, Stretch
from security.log.entries import Row, disagreement
from security.log.events import Event
from security.log.models import AuditEvent, Leaf, Node, Pending, StoredCheckpoint

_ROWS_AT_A_TIME = 2000
Asked = tuple[int, int, list[int], tuple[notes.Verifier, notes.Verifier]]

_POSTGRESQL = """
    SELECT leaf."index", leaf.hash, replace(event.id::text, '-', ''),
        to_char(event.time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        event.event, event.actor, event.subject, event.system, event.entry, personal.salt, personal.values
    FROM {source}
    LEFT JOIN log_personal personal ON personal.event_id = event.id
"""
# As bytes, so that a text that is none any more is found to be damaged and does not end the check.
_SQLITE = """
    SELECT leaf."index", CAST(leaf.hash AS BLOB), CAST(event.id AS BLOB), CAST(event.time AS BLOB),
        CAST(event.event AS BLOB), CAST(event.actor AS BLOB), CAST(event.subject AS BLOB),
        CAST(event.system AS BLOB), CAST(event.entry AS BLOB), CAST(personal.salt AS BLOB),
        CAST(personal."values" AS BLOB)
    FROM {source}
    LEFT JOIN log_personal personal ON personal.event_id = event.id
"""
_NUMBERED = "log_leaf leaf LEFT JOIN log_event event ON event.id = leaf.event_id"
_WAITING = "log_event event LEFT JOIN log_leaf leaf ON leaf.event_id = event.id"


@dataclass(frozen=True)
class Ends:
    """How far the log goes, at one moment: the number after the last (``size``), how many there are (``count``), and
    how many entries the last checkpoint signs."""

    size: int
    count: int
    signed: int


def ends() -> Ends:
    """All in one statement, so that what is appended meanwhile does not look like damage."""
    query = 'SELECT max("index"), count(*), (SELECT max(size) FROM log_checkpoint) FROM log_leaf'
    with connection.cursor() as cursor:
        cursor.execute(query)
        last, count, signed = cursor.fetchone()
    return Ends(0 if last is None else int(last) + 1, int(count), int(signed or 0))


def stretch(asked: Asked) -> Stretch:
    """Read and check the numbers of one stretch; runs in a process of its own where several share the work."""
    start, stop, kept, verifiers = asked
    sizes = {size: Seen(size) for size in kept if start < size <= stop}
    sizes |= {seen.size: seen for seen in checkpoints(start, stop, verifiers)}
    waiting, gone = [sizes[size] for size in sorted(sizes)], erased()
    within = 'WHERE leaf."index" >= %s AND leaf."index" < %s ORDER BY leaf."index"'
    with closing(_rows(_NUMBERED, within, start, stop)) as rows:
        return checks.walk(rows, start, stop, waiting, erased=gone.__contains__)


def checkpoints(after: int, upto: int, verifiers: tuple[notes.Verifier, notes.Verifier]) -> Iterator[Seen]:
    """The stored checkpoints of ``after < size <= upto``, rising, their signatures checked."""
    note = "note" if connection.vendor == "postgresql" else "CAST(note AS BLOB)"
    query = f"SELECT size, previous, {note} FROM log_checkpoint WHERE size > %s AND size <= %s ORDER BY size"  # noqa: S608
    for size, previous, text in _stream(query, after, upto):
        yield checks.read_checkpoint(size, previous, _text(text), verifiers)


def checkpoint_before(size: int) -> int:
    """The size of the last checkpoint of fewer than ``size`` entries; 0 when there is none."""
    before = StoredCheckpoint.objects.filter(size__lt=size).order_by("-size").values_list("size", flat=True).first()
    return before or 0


def node(level: int, index: int) -> bytes | None:
    """A stored hash of level 8, 16, 24 …, None when it is not there."""
    found = Node.objects.filter(level=level, index=index).values_list("hash", flat=True).first()
    return None if found is None else bytes(found)


def nodes() -> int:
    """How many hashes of tiles are stored."""
    return Node.objects.count()


def ids(start: int, stop: int) -> list[str]:
    """The ids of the events with these numbers, in order."""
    rows = Leaf.objects.filter(index__gte=start, index__lt=stop).order_by("index")
    return [event_id.hex for event_id in rows.values_list("event_id", flat=True)]


def frontier(size: int) -> merkle.Frontier:
    """The right edge of the stored tree. Raises ValueError where a hash is missing."""
    return tree.frontier(size)


def erased() -> set[str]:
    """The ids of the events whose personal values were erased, as the log says."""
    entries = AuditEvent.plain.filter(event=Event.PERSONAL_ERASED).values_list("entry", flat=True)
    found: set[str] = set()
    for entry in entries:
        named = json.loads(entry)["payload"].get("events", [])
        found.update(each for each in named if isinstance(each, str))
    return found


def twice() -> Damage | None:
    """An event with two numbers. The database refuses that, as long as nobody takes its constraint away."""
    found = list(Leaf.objects.values("event_id").annotate(times=Count("index")).filter(times__gt=1).order_by()[:1])
    if not found:
        return None
    indices = Leaf.objects.filter(event_id=found[0]["event_id"]).order_by("index").values_list("index", flat=True)
    places = ", ".join(f"{index:,}" for index in indices)
    return Damage(indices[1], Kind.TWICE, f"one event has the numbers {places}")


def unnumbered(size: int) -> Damage | None:
    """An event that has waited too long, was taken out of the queue, or does not agree with its entry."""
    gone, queued = erased(), {event_id.hex for event_id in Pending.objects.values_list("event_id", flat=True)}
    late = (timezone.now() - timedelta(seconds=settings.LOG_LATE_SECONDS)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    with closing(_rows(_WAITING, "WHERE leaf.event_id IS NULL ORDER BY event.id")) as rows:
        for row in rows:
            damage = _waiting_wrongly(row, size, queued, late, gone)
            if damage is not None:
                return damage
    numbered = {
        each.hex
        for each in Leaf.objects.filter(event_id__in=[UUID(each) for each in queued]).values_list("event_id", flat=True)
    }
    if queued - numbered:
        return Damage(size, Kind.LOST, "an event that waited for its number is gone")
    return None


def _waiting_wrongly(row: Numbered, size: int, queued: set[str], late: str, gone: set[str]) -> Damage | None:
    if row.row is None:
        return None
    wrong = disagreement(row.row, None)
    if wrong is not None:
        return Damage(size, Kind.EDITED, f"an event that waits for its number: {wrong}")
    if row.row.time < late:
        since = "" if row.row.id in queued else ", and it was taken out of the queue"
        return Damage(size, Kind.UNNUMBERED, f"an event waits for its number since {row.row.time}{since}")
    queued.discard(row.row.id)
    return checks.personal(row, size, gone.__contains__)


def _rows(source: str, condition: str, *values: Any) -> Generator[Numbered]:
    postgresql = connection.vendor == "postgresql"
    query = (_POSTGRESQL if postgresql else _SQLITE).format(source=source) + condition
    make = _from_postgresql if postgresql else _from_sqlite
    with closing(_stream(query, *values)) as rows:
        for row in rows:
            yield make(row)


def _stream(query: str, *values: Any) -> Generator[Sequence[Any]]:
    """Rows as tuples, some thousands at a time, through a server-side cursor on PostgreSQL."""
    if connection.vendor != "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(query, values)
            while some := cursor.fetchmany(_ROWS_AT_A_TIME):
                yield from some
        return
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(query, values)
        while some := cursor.fetchmany(_ROWS_AT_A_TIME):
            yield from some


def _from_postgresql(row: Sequence[Any]) -> Numbered:
    index, leaf, identifier, *columns, salt, values = row
    if identifier is None:
        return Numbered(index, leaf, None, None, None, b"")
    raw = columns[5].encode()
    return Numbered(index, leaf, Row(identifier, *columns), salt, None if values is None else values.encode(), raw)


def _from_sqlite(row: Sequence[Any]) -> Numbered:
    index, leaf, identifier, time, *columns, salt, values = row
    if identifier is None:
        return Numbered(index, leaf, None, None, None, b"")
    event = Row(_text(identifier), _moment(_text(time)), *map(_text, columns))
    return Numbered(index, leaf, event, salt, values, columns[4])


def _text(value: bytes | str) -> str:
    """A text of the database, with what is no UTF-8 in a form that no entry has."""
    return value if isinstance(value, str) else value.decode(errors="surrogateescape")


def _moment(text: str) -> str:
    """A time as Django stores it in SQLite, ``2026-11-21 06:50:48[.123456]``, as an entry has it."""
    if text[10:11] != " ":
        return text  # not how it was stored
    return f"{text[:10]}T{text[11:]}Z" if len(text) == 26 else f"{text[:10]}T{text[11:]}.000000Z"
