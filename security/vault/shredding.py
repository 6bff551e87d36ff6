"""Erasure: one artifact's data key is destroyed, and with it everything that could read its bytes.

With it go the personal values that events about the artifact commit to. What stays: the row with its digest, sizes and
history, and the stored ciphertext, whose SHA-256 can still be checked. What a backup of the database still holds is
handled twice. A mark in the store, written before the key is destroyed, makes the erasure again after a restore
(``reapply``; ``doctor`` asks for it). And once the key-encryption key has been rotated and destroyed
(``rotation.retire``), wrapped keys in older backups open nothing.
"""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from uuid import UUID

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.db import transaction
from django.utils import timezone

from security.access import selectors as access
from security.access.table import Action
from security.canonical import urn
from security.errors import ConflictError, InvalidError, UnavailableError
from security.identity.models import User
from security.log.events import Event
from security.log.services import erase, record
from security.vault import envelope
from security.vault.models import Artifact
from security.vault.services import store

FOLDER = "shredded"


class Ground(StrEnum):
    """Why something was erased: a closed list, since the log takes no free text (Regulation (EU) 2016/679, art. 17)."""

    NO_LONGER_NEEDED = "no-longer-needed"  # 17(1)(a), and the end of a retention period
    CONSENT_WITHDRAWN = "consent-withdrawn"  # 17(1)(b)
    OBJECTION = "objection"  # 17(1)(c)
    UNLAWFUL = "unlawful"  # 17(1)(d)
    LEGAL_OBLIGATION = "legal-obligation"  # 17(1)(e)
    CONTRACT_ENDED = "contract-ended"  # the data was another party's


def shred(*, acting_user: User, artifact: Artifact, ground: str) -> Artifact:
    """Destroy an artifact's data key, for good. Reading it is a ShreddedError from now on, in every process.

    Raises DeniedError, InvalidError (unknown ground), ConflictError (shredded already), UnavailableError (the store
    does not take the mark; nothing was changed).
    """
    access.require(acting_user, Action.SHRED, artifact.system)
    reason = _ground(ground)
    if Artifact.objects.filter(pk=artifact.pk).exclude(shredded_at=None).exists():
        raise ConflictError(f"Artifact {artifact} has been shredded already.")
    _mark(artifact)
    with transaction.atomic():
        row = Artifact.objects.select_for_update().select_related("system").get(pk=artifact.pk)
        if row.shredded_at is not None:
            raise ConflictError(f"Artifact {artifact} has been shredded already.")
        _destroy(row, acting_user, reason)
    envelope.forget()
    return row


def unfinished() -> list[Artifact]:
    """Artifacts with a mark in the store and a key in the database: restored from a backup, or interrupted."""
    marked = list(_marks())
    return list(Artifact.objects.filter(pk__in=marked, shredded_at=None).select_related("system")) if marked else []


def reapply() -> int:
    """Shred again what the store's marks say was shredded; returns how many. After a restore, before anything else."""
    count = 0
    for found in unfinished():
        with transaction.atomic():
            row = Artifact.objects.select_for_update().select_related("system").get(pk=found.pk)
            if row.shredded_at is None:
                _destroy(row, None, None)
                count += 1
    envelope.forget()
    return count


def _destroy(row: Artifact, acting_user: User | None, ground: Ground | None) -> None:
    """Overwrite the wrapped key and say so in the log, in the caller's transaction. No ground: from the mark."""
    row.shredded_at, row.wrapped_key = timezone.now(), b""
    row.provider = row.key_id = row.key_version = ""
    row.save(update_fields=["shredded_at", "wrapped_key", "provider", "key_id", "key_version"])
    record(
        Event.ARTIFACT_SHREDDED,
        acting_user=acting_user,
        subject=urn("artifact", row.id),
        system=row.system.slug,
        payload={
            "object_sha256": row.object_sha256,
            "bytes": row.size,
            **({"ground": ground.value} if ground else {"reapplied": True}),
        },
    )
    erase(acting_user=acting_user, subjects=[urn("artifact", row.id)])


def _mark(artifact: Artifact) -> None:
    """Leave a mark in the store that names the artifact's id and nothing else."""
    name = f"{FOLDER}/{artifact.pk}"
    try:
        if not store().exists(name):
            store().save(name, ContentFile(f"{timezone.now():%Y-%m-%dT%H:%M:%SZ}\n".encode()))
    except (OSError, SuspiciousFileOperation) as error:
        raise UnavailableError(f"The store does not take the mark of the erasure ({type(error).__name__}).") from error


def _marks() -> list[UUID]:
    try:
        names = store().listdir(FOLDER)[1]
    except FileNotFoundError:
        return []
    marks = []
    for name in names:
        with suppress(ValueError):  # a partial file of a crash
            marks.append(UUID(name))
    return marks


def _ground(text: str) -> Ground:
    try:
        return Ground(text)
    except ValueError:
        raise InvalidError(f"No ground {text!r}; there are {', '.join(Ground)}.", field="ground") from None
