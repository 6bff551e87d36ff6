"""The one who numbers: gives every waiting event its place, extends the Merkle tree, and signs a checkpoint.

Whoever calls ``number`` may be one of many: an advisory lock (PostgreSQL) or the immediate transaction (SQLite) lets
one work at a time. Should two ever work at once, the unique keys of number, event, checkpoint and predecessor let only
one commit. What waits is read from the queue and never by "ids after the last", so an event that was committed late is
simply numbered late.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, connection, transaction

from security.log import checkpoints, keys, merkle, notes, tree
from security.log.checkpoints import Checkpoint
from security.log.models import AuditEvent, Leaf, Pending, StoredCheckpoint
from security.log.tiles import HEIGHT
from security.log.tree import TreeError

BATCH = 1000
_LOCK = 0x436F756E74657273  # "Counters": the advisory lock of the sequencer
_POLL_SECONDS = 0.01
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Numbered:
    """What one call did: how many events got a number, and the size of the log after it."""

    count: int
    size: int


def number(*, batch: int = BATCH, wait: bool = False) -> Numbered | None:
    """Number up to ``batch`` waiting events in one transaction; None when somebody else is at it.

    With ``wait`` it waits for its turn. Raises LogKeyError without a usable key, and TreeError when the stored tree is
    not the one that was signed last: nothing is built on damage.
    """
    with transaction.atomic():
        if not _my_turn(wait):
            return None
        last = StoredCheckpoint.objects.order_by("-size").first()
        waiting = _waiting(batch)
        fresh = [(event_id, entry) for event_id, entry, index in waiting if index is None]
        unsigned = last is None and Leaf.objects.exists()  # carried over from the chain that came before the tree
        size = last.size if last else 0
        if fresh or unsigned:
            size = _extend(last, fresh)
        _dequeue([event_id for event_id, *_ in waiting])
    return Numbered(len(fresh), size)


def number_all(*, wait: bool = True) -> int:
    """Number until nothing waits; returns how many events got a number."""
    total = 0
    while (done := number(wait=wait)) is not None:
        total += done.count
        if done.count < BATCH:
            break
    return total


def include(events: Sequence[UUID], *, seconds: float | None = None) -> bool:
    """Wait until these committed events have their numbers, numbering them here when it is free.

    At most ``seconds`` (by default ``LOG_INCLUSION_SECONDS``); whether they have them now.
    """
    deadline = time.monotonic() + (settings.LOG_INCLUSION_SECONDS if seconds is None else seconds)
    while not _included(events):
        if connection.in_atomic_block or time.monotonic() >= deadline:
            return False
        try:
            if number() is None:
                time.sleep(_POLL_SECONDS)
        except (IntegrityError, TreeError, keys.LogKeyError, OSError) as error:
            logger.error("The events of a decision are recorded but not numbered: %s", error)
            return _included(events)
    return True


def _included(events: Sequence[UUID]) -> bool:
    return Leaf.objects.filter(event_id__in=events).count() == len(set(events))


def _my_turn(wait: bool) -> bool:
    """The sequencer's lock until this transaction ends. SQLite's immediate transactions are exclusive already."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            return True
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


def _waiting(batch: int) -> list[tuple[UUID, str, int | None]]:
    """``(event id, entry, number if it has one already)`` of the first in the queue, in its order."""
    queued = list(Pending.objects.order_by("event_id").values_list("event_id", flat=True)[:batch])
    rows = AuditEvent.objects.filter(pk__in=queued).order_by("pk")
    return list(rows.values_list("pk", "entry", "leaf__index")) if queued else []


def _extend(last: StoredCheckpoint | None, fresh: Iterable[tuple[UUID, str]]) -> int:
    """Append leaves, store the tile roots that they complete, and sign the tree; returns its size."""
    log, clock = keys.signers()
    edge = _edge(last, log.verifier())
    leaves: list[tuple[int, str | UUID, bytes]] = []
    nodes: list[merkle.Node] = []
    for event_id, entry in fresh:
        leaf, *above = edge.append(merkle.leaf_hash(entry.encode()))
        leaves.append((leaf.index, _stored(event_id), leaf.hash))
        nodes += [node for node in above if node.level % HEIGHT == 0]
    note = notes.sign(Checkpoint(log.name, edge.size, edge.root()).text(), log, clock)
    _insert("log_leaf", ("index", "event_id", "hash"), leaves)
    _insert("log_node", ("level", "index", "hash"), nodes)
    _insert("log_checkpoint", ("size", "previous", "note"), [(edge.size, last.size if last else 0, note)])
    return edge.size


def _edge(last: StoredCheckpoint | None, log: notes.Verifier) -> merkle.Frontier:
    """The right edge of the tree that was signed last, read from what is stored. Raises TreeError."""
    if last is None:
        end = Leaf.objects.order_by("-index").values_list("index", flat=True).first()
        return tree.frontier(0 if end is None else end + 1)
    try:
        signed = checkpoints.open_signed(last.note, log).checkpoint
    except ValueError as error:
        raise TreeError(f"the last checkpoint, of {last.size:,} entries, does not verify: {error}") from None
    edge = tree.frontier(last.size)
    if (signed.size, signed.root) != (last.size, edge.root()):
        raise TreeError(
            f"the stored tree of {last.size:,} entries is not the one that was signed: run manage.py verify_log"
        )
    return edge


def _stored(event_id: UUID) -> str | UUID:
    """An id as the database's driver takes it."""
    return event_id if connection.features.has_native_uuid_field else event_id.hex


def _insert(table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    if not rows:
        return
    quoted = ", ".join(connection.ops.quote_name(name) for name in columns)
    marks = ", ".join(["%s"] * len(columns))
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {table} ({quoted}) VALUES ({marks})", rows)  # noqa: S608 - names of our own


def _dequeue(event_ids: Sequence[UUID]) -> None:
    if event_ids:
        Pending.objects.filter(event_id__in=event_ids).delete()
