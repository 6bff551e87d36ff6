"""The log's writers: events in the transaction of their change, and the erasure of personal values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from django.db import connection, transaction

from security.canonical import urn
from security.log import background, outbox, pressure, sequencer
from security.log.entries import build, seal
from security.log.events import Event
from security.log.identifiers import new_id
from security.log.models import AuditEvent, Personal

SYSTEM_ACTOR = "urn:countersign:system:engine"
_ERASED_PER_EVENT = 1000  # ids of 35 bytes each, well under an entry's 64 KiB


class Actor(Protocol):
    """Who did it: anything with an id, normally a User."""

    id: UUID


class NotInTransactionError(RuntimeError):
    """An event was recorded outside the transaction of its change."""


@dataclass
class Inclusion:
    """The events of a decision, and once its transaction is over whether the log's tree includes all of them."""

    events: list[UUID] = field(default_factory=list)
    included: bool = False


def record(
    event: Event,
    *,
    acting_user: Actor | None,
    subject: str,
    system: str = "",
    payload: Mapping[str, Any] | None = None,
    personal: Mapping[str, Any] | None = None,
) -> AuditEvent | None:
    """Write one event in the caller's transaction, so that neither exists without the other; returns it as stored.

    It has no number yet: the sequencer gives it one after the commit. Inside ``together`` it is only noted, to be
    written at the end, and None is returned.

    ``acting_user`` None is the engine itself; ``subject`` is a URN; ``payload`` holds ids, digests and numbers, never
    personal values or secrets. ``personal`` holds what may have to be erased one day, and digests of content that
    somebody could guess: the entry only commits to them, and ``erase`` removes them.

    Raises NotInTransactionError outside ``transaction.atomic``, EntryError for an entry over 64 KiB or one without a
    canonical form, UnavailableError when too many events wait for their number.
    """
    if not connection.in_atomic_block:
        raise NotInTransactionError(f"{event} must be recorded inside the transaction of the change it describes")
    actor = urn("user", acting_user.id) if acting_user else SYSTEM_ACTOR
    written = _written(str(event), actor, subject, system, payload or {}, personal)
    batch = _BATCH.get()
    if batch is None:
        _append([written])
        return written.event
    batch.append(written)
    return None


@contextmanager
def together() -> Iterator[None]:
    """One transaction whose events are written at its end, in their order, with one statement for all of them.

    For work that records many events. What was noted in an inner block that is rolled back stays noted, so an error
    inside must be let through.
    """
    with transaction.atomic():
        if _BATCH.get() is not None:
            yield  # the outer one writes
            return
        batch: list[_Written] = []
        token = _BATCH.set(batch)
        try:
            yield
            _append(batch)
        finally:
            _BATCH.reset(token)


@contextmanager
def decision() -> Iterator[Inclusion]:
    """One transaction that waits, once it is committed, until the log includes its events.

    At most ``LOG_INCLUSION_SECONDS``; where that is not enough, or an outer transaction is still open, the events are
    recorded all the same and ``included`` stays False: the sequencer catches up.
    """
    inclusion = Inclusion()
    token = _DECISION.set(inclusion)
    try:
        with transaction.atomic():
            yield inclusion
    finally:
        _DECISION.reset(token)
    inclusion.included = sequencer.include(inclusion.events)


def erase(*, acting_user: Actor | None, subjects: Iterable[str]) -> int:
    """Remove the personal values, with their salts, of all events about these subjects (URNs); returns of how many.

    The events stay, verify as before, and say no more than their entries do. The erasure is an event of its own for
    each subject, naming the events, so that values that vanish without one are damage. The caller has checked that
    ``acting_user`` may. Backups that were made before still hold the values: they must be erased or run out too.
    """
    with transaction.atomic():
        wanted = sorted(set(subjects))
        rows = Personal.objects.filter(event__subject__in=wanted)
        found = list(rows.order_by("event_id").values_list("event__subject", "event__system", "event_id"))
        by_subject: dict[tuple[str, str], list[str]] = {}
        for subject, system, event_id in found:
            by_subject.setdefault((subject, system), []).append(event_id.hex)
        Personal.objects.filter(event_id__in=[event_id for *_, event_id in found]).delete()
        for (subject, system), ids in by_subject.items():
            for first in range(0, len(ids), _ERASED_PER_EVENT):
                some = ids[first : first + _ERASED_PER_EVENT]
                record(
                    Event.PERSONAL_ERASED,
                    acting_user=acting_user,
                    subject=subject,
                    system=system,
                    payload={"events": some},
                )
    return len(found)


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds: ``2026-11-21T06:50:48.123456Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class _Written:
    """An event with its entry fixed, and beside it what the entry commits to."""

    event: AuditEvent
    personal: Personal | None


_BATCH: ContextVar[list[_Written] | None] = ContextVar("events of this transaction", default=None)
_DECISION: ContextVar[Inclusion | None] = ContextVar("the decision being taken", default=None)


def _written(
    event: str, actor: str, subject: str, system: str, payload: Mapping[str, Any], personal: Mapping[str, Any] | None
) -> _Written:
    identifier, now = new_id(), datetime.now(UTC)
    members = {"event": event, "actor": actor, "subject": subject, "system": system}
    salt, values, commitment = seal(personal) if personal else (b"", b"", "")
    entry = build(id=identifier.hex, time=timestamp(now), payload=payload, commitment=commitment, **members)
    row = AuditEvent(id=identifier, time=now, entry=entry.decode(), **members)
    return _Written(row, Personal(event=row, salt=salt, values=values.decode()) if personal else None)


def _append(batch: list[_Written]) -> None:
    """Insert events, their places in the queue, and what they commit to."""
    if not batch:
        return
    pressure.admit()
    outbox.insert([written.event for written in batch])
    sealed = [written.personal for written in batch if written.personal is not None]
    if sealed:
        Personal.objects.bulk_create(sealed)
    if (deciding := _DECISION.get()) is not None:
        deciding.events += [written.event.id for written in batch]
    background.after_commit()
