"""Moving every data key under the present key-encryption key, without touching an object.

What still lies under another key is a question to the table, so a rotation that was interrupted simply goes on, and one
that finds nothing is done. Providers are asked outside of transactions; a row is written only if its key is still the
one that was read, so that writers, readers and a shredder need not wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from security.canonical import urn
from security.errors import ConflictError
from security.log.events import Event
from security.log.services import record
from security.vault import envelope, keyring
from security.vault.models import Artifact, SystemSecret
from security.vault.providers.contract import KeyRef, NotGenuineError, WrappedKey
from security.vault.services import columns_of

BATCH = 100
# A step may hold a stored object without a row for as long as it may run: 7 days (`timeout` in the spec), and some.
HANDOVER = timedelta(days=8)
_COLUMNS = ("provider", "key_id", "key_version", "wrapped_key")
Row = TypeVar("Row", Artifact, SystemSecret)


@dataclass(frozen=True)
class Rotated:
    """How a rotation went: keys rewrapped, and the rows whose wrapped key does not verify (they stay as they are)."""

    to: KeyRef
    rewrapped: int
    damaged: tuple[str, ...]


def pending(present: KeyRef | None = None) -> int:
    """How many data keys lie under another key than the present one. Raises KeyProviderError."""
    present = present or envelope.current()
    return _stale(Artifact.objects.all(), present).count() + _stale(SystemSecret.objects.all(), present).count()


def rotate(*, batch: int = BATCH, progress: Callable[[int], None] | None = None) -> Rotated:
    """Rewrap what lies under another key, in batches that are each committed with an event.

    ``progress`` is told the number of rewrapped keys. Raises KeyProviderError when a provider is away; what was done
    until then stays, and the next call goes on from there.
    """
    present = envelope.current()
    done, damaged = 0, []
    artifacts: Iterable[Sequence[Any]] = _batches(Artifact.objects.all(), present, batch)
    secrets: Iterable[Sequence[Any]] = _batches(SystemSecret.objects.all(), present, batch)
    for rows in chain(artifacts, secrets):
        renewed, bad = _renewed(rows)
        damaged += bad
        done += _save(rows[0].__class__, renewed, present)
        if progress is not None:
            progress(done)
    return Rotated(present, done, tuple(damaged))


def new_key() -> KeyRef:
    """Make a new primary key in the keyring file. Raises ConflictError when keys are wrapped elsewhere."""
    name = settings.VAULT_KEY_PROVIDER
    if settings.VAULT_KEY_PROVIDERS[name]["KIND"] != "keyring":
        raise ConflictError(f"Keys are wrapped by {name!r}: make the new key there, then run vault_rotate.")
    ref = KeyRef(name, keyring.add_key(Path(settings.VAULT_KEYRING)), "")
    with transaction.atomic():
        record(Event.VAULT_KEY_ADDED, acting_user=None, subject=_urn(ref), payload={"provider": name})
    return ref


def retire(key_id: str, *, even_now: bool = False, now: datetime | None = None) -> None:
    """Destroy a key of the keyring file that nothing uses: backups whose data keys it wrapped can no longer be opened.

    Raises ConflictError while a row uses it or, unless ``even_now``, while a step that began before the present key was
    made may still hold a data key under it. Raises KeyProviderError for the primary key and one that is not there.
    """
    if users := _users("keyring", key_id):
        raise ConflictError(f"{users} data keys still lie under {key_id}; run vault_rotate first.")
    path = Path(settings.VAULT_KEYRING)
    ring = keyring.load(path)
    since = ring.created.get(ring.primary)
    if since is not None and (now or datetime.now(UTC)) < since + HANDOVER and not even_now:
        raise ConflictError(
            f"{key_id} was in use until {since:%Y-%m-%d %H:%M} UTC, and a step may run for seven days: wait until "
            f"{since + HANDOVER:%Y-%m-%d %H:%M} UTC, or say --even-now if no worker has run since before then."
        )
    keyring.remove_key(path, key_id)
    with transaction.atomic():
        record(Event.VAULT_KEY_RETIRED, acting_user=None, subject=_urn(KeyRef("keyring", key_id, "")))


def _users(provider: str, key_id: str) -> int:
    found = Q(provider=provider, key_id=key_id)
    return Artifact.objects.filter(found).count() + SystemSecret.objects.filter(found).count()


def _stale(rows: QuerySet[Row], present: KeyRef) -> QuerySet[Row]:
    """Rows with a key that is not under ``present``; a destroyed key names none."""
    return rows.exclude(key_id="").exclude(
        provider=present.provider, key_id=present.key_id, key_version=present.version
    )


def _batches(rows: QuerySet[Row], present: KeyRef, size: int) -> Iterator[list[Row]]:
    """Stale rows in order of their primary key, each seen once."""
    found = list(_stale(rows, present).order_by("pk")[:size])
    while found:
        yield found
        found = list(_stale(rows, present).filter(pk__gt=found[-1].pk).order_by("pk")[:size])


def _renewed(rows: Sequence[Any]) -> tuple[dict[Any, tuple[bytes, WrappedKey]], list[str]]:
    """``{primary key: (wrapped key as read, wrapped anew)}``, and the URNs of rows whose key does not verify."""
    renewed, damaged = {}, []
    for row in rows:
        try:
            data_key = envelope.unwrap_uncached(row.key, associated_data=row.identity)
        except NotGenuineError:
            damaged.append(urn("artifact" if isinstance(row, Artifact) else "system", row.pk))
            continue
        renewed[row.pk] = (bytes(row.wrapped_key), envelope.wrap(data_key, associated_data=row.identity))
    return renewed, damaged


@transaction.atomic
def _save(model: type[Any], renewed: dict[Any, tuple[bytes, WrappedKey]], present: KeyRef) -> int:
    """Write the new keys of rows that still have the key that was read; returns how many."""
    rows = [
        row
        for row in model.objects.select_for_update().filter(pk__in=renewed)
        if bytes(row.wrapped_key) == renewed[row.pk][0]
    ]
    for row in rows:
        for column, value in columns_of(renewed[row.pk][1]).items():
            setattr(row, column, value)
    if rows:
        model.objects.bulk_update(rows, _COLUMNS)
        record(
            Event.VAULT_KEYS_REWRAPPED,
            acting_user=None,
            subject=_urn(present),
            payload={"kind": model._meta.model_name, "keys": len(rows), "version": present.version},
        )
    return len(rows)


def _urn(ref: KeyRef) -> str:
    """A key by provider and id; an ARN's colons are not for a URN."""
    return urn("vault-key", f"{ref.provider}/{ref.key_id.replace(':', '.')}"[:150])
