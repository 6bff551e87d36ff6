"""Writing events into the outbox: the event row and its place in the queue, with one statement where that is possible.

This is on the way of every change that anybody makes, so it does without an ORM, which would be half of what it costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection

from security.log.models import AuditEvent

_COLUMNS = ("id", "time", "event", "actor", "subject", "system", "entry")
_EVENTS = f"INSERT INTO log_event ({', '.join(_COLUMNS)}) VALUES "  # noqa: S608 - constants
_ROW = f"({', '.join(['%s'] * len(_COLUMNS))})"
_AT_ONCE = 1000  # rows of a statement; SQLite takes 32,766 values


def insert(events: Sequence[AuditEvent]) -> None:
    """Insert events and queue them, in the caller's transaction."""
    for first in range(0, len(events), _AT_ONCE):
        _insert(events[first : first + _AT_ONCE])


def _insert(events: Sequence[AuditEvent]) -> None:
    native, moment = connection.features.has_native_uuid_field, connection.ops.adapt_datetimefield_value
    ids = [event.id if native else event.id.hex for event in events]
    values: list[Any] = []
    for identifier, event in zip(ids, events, strict=True):
        values += (
            identifier, moment(event.time), event.event, event.actor, event.subject, event.system, event.entry,
        )  # fmt: skip
    rows = ", ".join([_ROW] * len(events))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                f"WITH written AS ({_EVENTS}{rows} RETURNING id)"  # noqa: S608 - constants
                " INSERT INTO log_pending (event_id) SELECT id FROM written",
                values,
            )
            return
        cursor.execute(_EVENTS + rows, values)
        cursor.execute(f"INSERT INTO log_pending (event_id) VALUES {', '.join(['(%s)'] * len(ids))}", ids)  # noqa: S608
