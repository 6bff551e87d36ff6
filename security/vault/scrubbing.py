"""Verifying what lies in the store, at a set rate, and collecting what nobody knows of.

Each artifact in turn, the longest unverified first: the ciphertext's digest (which takes no key), the wrapped key at
its provider, the decrypted content's digest. What is wrong opens a finding, with an event; what is right again closes
it.
"""

from __future__ import annotations

import errno
import hmac
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, cast

from django.core.exceptions import SuspiciousFileOperation
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from security.canonical import urn
from security.errors import UnavailableError
from security.log.events import Event
from security.log.services import record
from security.vault import envelope, stream
from security.vault.models import Artifact, FindingKind, VaultFinding
from security.vault.providers.contract import KeyProviderError, NoSuchKeyError, NotGenuineError
from security.vault.services import store
from security.vault.sidebyside import Digest, worked
from security.vault.stream import DamagedError

BATCH = 20


@dataclass(frozen=True)
class Fault:
    """What is wrong with one artifact, for a person; without anything of its content."""

    kind: FindingKind
    detail: str


@dataclass
class Scrubbed:
    """How a scrub went. ``complete``: every artifact has been looked at since it began."""

    artifacts: int = 0
    bytes: int = 0
    opened: int = 0
    closed: int = 0
    keys_unchecked: int = 0
    complete: bool = False
    faults: list[tuple[Artifact, Fault]] = field(default_factory=list)


def scrub(*, rate: float, seconds: float | None = None, progress: Callable[[Scrubbed], None] | None = None) -> Scrubbed:
    """Verify artifacts until all are done or ``seconds`` have passed, at ``rate`` bytes of ciphertext a second.

    An artifact that was begun is finished. Raises UnavailableError when the store as a whole does not answer: that is
    no damage, and opens no finding.
    """
    began, pace, result = timezone.now(), _Pace(rate), Scrubbed()
    end = None if seconds is None else time.monotonic() + seconds
    while rows := _next(began):
        good: list[Artifact] = []
        seen: list[tuple[Artifact, Fault]] = []
        for row in rows:
            fault, checked_key = _examine_twice(row, pace)
            result.artifacts, result.bytes = result.artifacts + 1, pace.taken
            result.keys_unchecked += not checked_key
            if fault is None:
                good.append(row)
            else:
                seen.append((row, fault))
            if end is not None and time.monotonic() >= end:
                break
        _write_down(good, seen, result)
        if progress is not None:
            progress(result)
        if end is not None and time.monotonic() >= end:
            return result
    result.complete = True
    return result


def _examine_twice(row: Artifact, pace: _Pace) -> tuple[Fault | None, bool]:
    """A fault counts only if the row is still the one that was examined, not rotated, healed or shredded since."""
    fault, checked_key = examine(row, pace=pace)
    if fault is not None:
        now = Artifact.objects.select_related("system").get(pk=row.pk)
        if (now.key, now.object_name, now.shredded_at) != (row.key, row.object_name, row.shredded_at):
            return examine(now, pace=pace)
    return fault, checked_key


def examine(artifact: Artifact, *, pace: _Pace | None = None) -> tuple[Fault | None, bool]:
    """``(what is wrong or None, whether its key could be checked)`` of one artifact. Raises UnavailableError."""
    pace = pace or _Pace(float("inf"))
    data_key, fault, checked = _key(artifact)
    try:
        sealed = Digest()
        with store().open(artifact.object_name) as source:
            plain = _digests(_Tee(cast("BinaryIO", source), sealed, pace), artifact, data_key)
            if not hmac.compare_digest(sealed.hexdigest(), artifact.object_sha256):
                return Fault(FindingKind.DAMAGED, "the stored object does not have its digest on record"), checked
    except FileNotFoundError:
        return Fault(FindingKind.MISSING, "the stored object is not in the store"), checked
    except SuspiciousFileOperation:
        return Fault(FindingKind.DAMAGED, "what lies at its name is not a plain file in the store"), checked
    except OSError as error:
        if error.errno == errno.EIO:
            return Fault(FindingKind.DAMAGED, "the disk cannot read the stored object"), checked
        raise UnavailableError(f"The vault's store does not answer ({type(error).__name__}).") from error
    if fault is None and plain is not None and not hmac.compare_digest(plain, artifact.digest):
        fault = Fault(FindingKind.DAMAGED, "the content does not have the digest that names it")
    return fault, checked


def _key(artifact: Artifact) -> tuple[bytes | None, Fault | None, bool]:
    """``(data key, what is wrong with it, whether it could be checked)``; what was shredded has none, rightly."""
    if artifact.shredded_at is not None:
        return None, None, True
    try:
        return envelope.unwrap_uncached(artifact.key, associated_data=artifact.identity), None, True
    except NotGenuineError:
        return None, Fault(FindingKind.KEY, "its wrapped data key does not verify"), True
    except NoSuchKeyError:
        return None, Fault(FindingKind.KEY, "the key-encryption key that wrapped its data key is gone"), True
    except KeyProviderError:
        return None, None, False


def _digests(source: _Tee, artifact: Artifact, data_key: bytes | None) -> str | None:
    """Read everything; the digest of the plaintext, where there is a key and the object opens with it."""
    if data_key is None or artifact.format != stream.VERSION:
        source.drain()
        return None
    plain, file = Digest(), cast("BinaryIO", source)
    try:
        segments = stream.Segments(stream.read_header(file), key=data_key, associated_data=artifact.identity)
        for _ in worked(stream.sealed_segments(file), (segments.open, plain.add)):
            pass
    except DamagedError:
        source.drain()
        return ""  # the ciphertext's digest says whether it was the object or the row that changed
    return plain.hexdigest()


def _next(began: datetime) -> Sequence[Artifact]:
    """The longest unverified first; never the same twice in one scrub, nor what was stored since."""
    unseen = Artifact.objects.filter(created_at__lte=began).exclude(verified_at__gte=began)
    unseen = unseen.select_related("system")
    return list(unseen.order_by(F("verified_at").asc(nulls_first=True), "created_at", "pk")[:BATCH])


def _write_down(good: Sequence[Artifact], seen: Sequence[tuple[Artifact, Fault]], result: Scrubbed) -> None:
    """One transaction for a batch: when each was looked at, findings that open, findings that close."""
    now = timezone.now()
    with transaction.atomic():
        looked = [row.pk for row in (*good, *(row for row, _ in seen))]
        Artifact.objects.filter(pk__in=looked).update(verified_at=now)
        known = set(
            VaultFinding.objects.filter(artifact__in=looked, closed_at=None).values_list("artifact_id", flat=True)
        )
        for row, fault in seen:
            if row.pk not in known:
                _open_finding(row, fault)
                result.opened += 1
        result.closed += close_findings([row for row in good if row.pk in known])
    result.faults += seen


def _open_finding(row: Artifact, fault: Fault) -> None:
    finding = VaultFinding.objects.create(artifact=row, kind=fault.kind, detail=fault.detail)
    record(
        Event.ARTIFACT_DAMAGE_FOUND,
        acting_user=None,
        subject=urn("artifact", row.pk),
        system=row.system.slug,
        payload={"finding": str(finding.pk), "kind": fault.kind.value, "object_sha256": row.object_sha256},
    )


def close_findings(rows: Sequence[Artifact]) -> int:
    """Close the open findings of artifacts that verify again, with an event each, in the caller's transaction."""
    found = VaultFinding.objects.filter(artifact__in=rows, closed_at=None).select_related("artifact__system")
    for finding in found:
        finding.closed_at = timezone.now()
        record(
            Event.ARTIFACT_DAMAGE_MENDED,
            acting_user=None,
            subject=urn("artifact", finding.artifact_id),
            system=finding.artifact.system.slug,
            payload={"finding": str(finding.pk), "kind": finding.kind},
        )
    return VaultFinding.objects.bulk_update(found, ["closed_at"]) if found else 0


class _Pace:
    """Lets ``rate`` bytes a second through, by sleeping; counts them."""

    def __init__(self, rate: float) -> None:
        self._rate, self._began, self.taken = rate, time.monotonic(), 0

    def take(self, count: int) -> None:
        self.taken += count
        early = self.taken / self._rate - (time.monotonic() - self._began)
        if early > 0:
            time.sleep(early)


class _Tee:
    """The bytes of an object on their way to decryption, hashed and paced."""

    def __init__(self, source: BinaryIO, digest: Digest, pace: _Pace) -> None:
        self._source, self._digest, self._pace = source, digest, pace

    def read(self, size: int = 1 << 20) -> bytes:
        part = self._source.read(size)
        self._digest.add(part)
        self._pace.take(len(part))
        return part

    def drain(self) -> None:
        while self.read():
            pass
