"""What somebody does to the log who has the database's password and has taken the triggers away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

from security.canonical import urn
from security.log import triggers
from security.log.events import Event
from security.log.merkle import leaf_hash
from security.log.models import AuditEvent, Leaf
from security.log.services import record


def write(count: int, *, system: str = "credit", first: int = 0) -> None:
    """Record ``count`` events, each in a transaction of its own."""
    for number in range(first, first + count):
        with transaction.atomic():
            record(
                Event.RUN_CREATED, acting_user=None, subject=urn("run", number), system=system, payload={"n": number}
            )


@contextmanager
def no_triggers() -> Iterator[None]:
    """A database administrator's afternoon."""
    triggers.remove(connection)
    try:
        yield
    finally:
        triggers.install(connection)


def event_at(index: int) -> AuditEvent:
    return AuditEvent.objects.get(index=index)


def rewrite(index: int, *, with_hash: bool = False) -> None:
    """Edit an event with all its columns, and if told so the leaf hash as well."""
    event = event_at(index)
    entry = event.entry.replace('"credit"', '"cradit"')
    assert entry != event.entry
    AuditEvent.plain.filter(pk=event.pk).update(entry=entry, system="cradit")
    if with_hash:
        Leaf.objects.filter(index=index).update(hash=leaf_hash(entry.encode()))


def exchange(one: int, other: int, *, with_hash: bool = True) -> None:
    """Let two events change places."""
    first, second = Leaf.objects.get(index=one), Leaf.objects.get(index=other)
    Leaf.objects.filter(index__in=(one, other)).delete()
    for here, there in ((first, second), (second, first)):
        kept = there.hash if with_hash else here.hash
        Leaf.objects.create(index=here.index, event_id=there.event_id, hash=kept)
