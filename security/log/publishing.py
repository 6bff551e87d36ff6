"""Telling the outside: checkpoints go to witnesses, to a store, to a time-stamping authority; what comes back is kept.

Each destination has its own row: how far it knows the log, when it is asked next, and what went wrong. A failure is
tried again later and later; that somebody outside holds a log which this one does not continue is an alarm that stays.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from security.canonical import urn
from security.log import keys, merkle, notes, outside, published, timestamps, tree
from security.log.checkpoints import Checkpoint
from security.log.events import Event
from security.log.models import Cosignature, Delivery, StoredCheckpoint, TimestampAnswer
from security.log.services import record
from security.log.trust import Witness
from security.log.witness import PATH, Answer, ConflictingLogError, WitnessError, cosign

STORE = "checkpoints"  # the alias in STORAGES
LONGEST_SECONDS = 3600
DELIVERED = "delivered"
_CLAIM_SECONDS = 120  # whoever is at it has so long before somebody else may try
logger = logging.getLogger(__name__)

ERRORS = (WitnessError, outside.UnreachableError, timestamps.TimestampError, OSError, ValueError)


@dataclass(frozen=True)
class Destination:
    """Somebody outside: a stable name, the send, and the least seconds between two.

    ``send(note, size, known)`` gets the newest checkpoint as the log signed it and the size that was delivered last.
    """

    name: str
    send: Callable[[str, int, int], None]
    every_seconds: float = 0.0


def destinations() -> Iterator[Destination]:
    """Everybody who is configured. Raises PolicyError, OSError."""
    for witness in published.policy().witnesses:
        if witness.url:
            yield Destination(f"witness {witness.verifier.name} {witness.verifier.key_id:08x}", _to_witness(witness))
    if STORE in settings.STORAGES:
        yield Destination("store", _to_store)
    if settings.LOG_TIMESTAMP_URL:
        yield Destination("time-stamps", _to_authority, settings.LOG_TIMESTAMP_SECONDS)


def push(now: datetime | None = None) -> dict[str, str]:
    """Send the newest checkpoint to everybody who lacks it and is due; returns what became of each who was asked."""
    moment = now or timezone.now()
    newest = StoredCheckpoint.objects.order_by("-size").values_list("size", "note").first()
    if newest is None:
        return {}
    return {each.name: _attempt(each, *newest, moment) for each in destinations() if _claim(each, newest[0], moment)}


def _claim(destination: Destination, size: int, now: datetime) -> bool:
    """Take the turn, if it is due and there is something new; of many who try one gets it."""
    Delivery.objects.get_or_create(destination=destination.name, defaults={"next_at": now})
    due = Delivery.objects.filter(destination=destination.name, next_at__lte=now).exclude(size=size, conflict=False)
    return bool(due.update(next_at=now + timedelta(seconds=_CLAIM_SECONDS)))


def _attempt(destination: Destination, size: int, note: str, now: datetime) -> str:
    row = Delivery.objects.get(destination=destination.name)
    try:
        destination.send(note, size, row.size)
    except ERRORS as error:
        _failed(row, error, now)
        return f"{type(error).__name__}: {error}"
    pause = timedelta(seconds=destination.every_seconds)
    Delivery.objects.filter(pk=row.pk).update(
        size=size, failures=0, error="", conflict=False, delivered_at=now, next_at=now + pause
    )
    return DELIVERED


def _failed(row: Delivery, error: Exception, now: datetime) -> None:
    """Note it, and try again after twice as long as last time; a conflict also becomes an event, once."""
    conflict = isinstance(error, ConflictingLogError)
    pause = min(settings.LOG_PUSH_SECONDS * 2 ** min(row.failures, 20), LONGEST_SECONDS)
    logger.error("The log's checkpoint was not taken by %s: %s", row.destination, error)
    with transaction.atomic():
        Delivery.objects.filter(pk=row.pk).update(
            failures=F("failures") + 1,
            error=str(error)[:500],
            conflict=conflict or row.conflict,
            next_at=now + timedelta(seconds=pause),
        )
        if conflict and not row.conflict:
            payload = {"destination": row.destination, "reason": str(error)[:500]}
            record(Event.CHECKPOINT_REFUSED, acting_user=None, subject=urn("log", "checkpoint"), payload=payload)


# ----------------------------------------------------------------------------------------------------------- witnesses


def _to_witness(witness: Witness) -> Callable[[str, int, int], None]:
    """Have it cosign; its cosignature is kept beside the checkpoint."""

    def post(body: bytes) -> Answer:
        return outside.post(witness.url.rstrip("/") + PATH, body, "text/plain; charset=utf-8")

    def prove(old: int, new: int) -> list[bytes]:
        return merkle.consistency_proof(old, new, tree.reader(new))

    def send(note: str, size: int, known: int) -> None:
        signed = _by_the_log_alone(note)
        found = cosign(signed, known, witness.verifier, post=post, prove=prove)
        rows = [
            Cosignature(
                checkpoint_id=size,
                name=each.verifier.name,
                key_id=f"{each.verifier.key_id:08x}",
                timestamp=each.timestamp or 0,
                line=each.signature.line(),
            )
            for each in found
        ]
        Cosignature.objects.bulk_create(rows, ignore_conflicts=True)

    return send


def _by_the_log_alone(note: str) -> str:
    """The checkpoint with the log's own signature; what others signed is none of a witness's business."""
    parsed, (log, _) = notes.parse(note), keys.verifiers()
    own = tuple(each for each in parsed.signatures if (each.name, each.key_id) == (log.name, log.key_id))
    return str(notes.Note(parsed.text, own))


# --------------------------------------------------------------------------------------------------------------- store


def store_folder(origin: str) -> str:
    """Where a log's checkpoints lie in a store: SHA-256 of its origin, as tlog-witness names it in addresses."""
    return hashlib.sha256(origin.encode()).hexdigest()


def _to_store(note: str, size: int, known: int) -> None:
    """Keep the checkpoint as a file; a store that holds a longer log, or another of this size, is in conflict."""
    store: Storage = storages[STORE]
    folder = store_folder(Checkpoint.parse(notes.parse(note).text).origin)
    name = f"{folder}/{size:019d}"
    held = _held_sizes(store, folder)
    if held and max(held) > size:
        raise ConflictingLogError(f"the store holds a checkpoint of {max(held)} entries, but this log has {size}")
    if size in held:
        with store.open(name) as file:
            other = notes.parse(file.read())
        if other.text != notes.parse(note).text:
            raise ConflictingLogError(f"the store holds another checkpoint of {size} entries")
        return
    saved = store.save(name, ContentFile(note.encode()))
    if saved != name:  # somebody else wrote one in the same moment
        store.delete(saved)


def _held_sizes(store: Storage, folder: str) -> set[int]:
    try:
        _, files = store.listdir(folder)
    except FileNotFoundError:
        return set()
    return {int(name) for name in files if name.isascii() and name.isdecimal()}


# --------------------------------------------------------------------------------------------------------- time-stamps


def _to_authority(note: str, size: int, known: int) -> None:
    if not timestamps.available():
        raise timestamps.TimestampError("rfc3161-client is not installed: see requirements-timestamps.txt")
    asked = timestamps.query(note.encode())
    answer = outside.post(settings.LOG_TIMESTAMP_URL, asked.as_bytes(), timestamps.REQUEST_TYPE)
    if answer.status != 200 or answer.content_type != timestamps.ANSWER_TYPE:
        raise timestamps.TimestampError(f"the authority answered {answer.status} {answer.content_type}")
    roots = x509.load_pem_x509_certificates(Path(settings.LOG_TIMESTAMP_ROOTS).read_bytes())
    stamp = timestamps.read(answer.body, note.encode(), roots, asked)
    TimestampAnswer.objects.get_or_create(
        checkpoint_id=size,
        defaults={"authority": settings.LOG_TIMESTAMP_URL, "answer": stamp.answer, "time": stamp.time},
    )
