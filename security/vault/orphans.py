"""Objects that no row names: left by a crash between writing and recording. They are deleted once they are old.

The age must be more than the longest time between ``put`` and ``keep``: a step stores its sources when it begins, and
may run for seven days.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from security.canonical import urn
from security.errors import ConflictError, UnavailableError
from security.log.events import Event
from security.log.services import record
from security.vault.models import Artifact
from security.vault.services import store
from security.vault.storage import PARTIAL

_FOLDER = re.compile(r"[0-9a-f]{2}")
_BATCH = 500
_ALARM = 20  # fewer orphans than this never look like the wrong database


@dataclass(frozen=True)
class Collected:
    """``objects`` in the store, ``orphans`` among them that are old enough, how many were ``deleted``, their bytes."""

    objects: int
    orphans: int
    deleted: int
    bytes: int


def collect(*, older_than: timedelta | None = None, even_most: bool = False, now: datetime | None = None) -> Collected:
    """Delete orphans that were last written before ``older_than`` ago (``VAULT_ORPHAN_SECONDS``).

    Raises ConflictError, and deletes nothing, when they are more than half of a store: the likelier reason is the wrong
    database. Raises UnavailableError when the store does not answer.
    """
    age = timedelta(seconds=settings.VAULT_ORPHAN_SECONDS) if older_than is None else older_than
    limit = (now or timezone.now()) - age
    try:
        count, orphans = _orphans(limit)
        if len(orphans) > max(_ALARM, count // 2) and not even_most:
            raise ConflictError(
                f"{len(orphans)} of {count} objects have no row, which looks like the wrong database or an old copy of "
                "it. Nothing was deleted; if it is right, say --even-most."
            )
        size = 0
        for name in orphans:
            with suppress(FileNotFoundError):
                size += store().size(name)
                store().delete(name)
    except OSError as error:
        raise UnavailableError(f"The vault's store does not answer ({type(error).__name__}).") from error
    if orphans:
        with transaction.atomic():
            payload = {"objects": len(orphans), "bytes": size}
            record(Event.VAULT_ORPHANS_DELETED, acting_user=None, subject=urn("vault", "store"), payload=payload)
    return Collected(count, len(orphans), len(orphans), size)


def _orphans(limit: datetime) -> tuple[int, list[str]]:
    """How many objects there are, and the names of those without a row that are older than ``limit``."""
    names, count, found = _names(), 0, []
    while batch := list(islice(names, _BATCH)):
        count += len(batch)
        known = set(Artifact.objects.filter(object_name__in=batch).values_list("object_name", flat=True))
        found += [name for name in batch if name not in known and _written(name) < limit]
    return count, found


def _written(name: str) -> datetime:
    """When an object was last written; one that is gone meanwhile counts as new."""
    try:
        return store().get_modified_time(name)
    except FileNotFoundError:
        return timezone.now()


def _names() -> Iterator[str]:
    """Objects and partial files in the vault's own folders; anything else in the store is somebody else's."""
    try:
        folders = store().listdir("")[0]
    except FileNotFoundError:
        return
    for folder in sorted(name for name in folders if _FOLDER.fullmatch(name)):
        for name in store().listdir(folder)[1]:
            if re.fullmatch(r"[0-9a-f]{32}", name) or name.startswith(PARTIAL):
                yield f"{folder}/{name}"
