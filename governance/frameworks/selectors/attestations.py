"""Which attestations there are, and which of them count now."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from governance.frameworks.models import Attestation
from security.access.models import AISystem

STATUSES = ("in-force", "expired", "withdrawn", "outdated")


def rows() -> QuerySet[Attestation]:
    """Attestations with all that a line on a page and their status need, newest first."""
    return Attestation.objects.select_related("system", "person", "control__catalogue", "withdrawal__person").order_by(
        "-signed_at"
    )


def in_force(now: datetime | None = None) -> QuerySet[Attestation]:
    """Those that were not withdrawn and have time left."""
    return rows().filter(valid_until__gt=now or timezone.now(), withdrawal=None)


def words(systems: Iterable[AISystem], key: str, now: datetime | None = None) -> dict[tuple[UUID, str], Attestation]:
    """(system id, id of a control) → the newest attestation in force, in one query.

    Of every version of the series ``key``: whether it still says the same of the control is the caller's to compare
    (``speaks_of``).
    """
    found = in_force(now).filter(system__in=[system.pk for system in systems], control__catalogue__key=key)
    return {(row.system_id, row.control.identifier): row for row in found.order_by("signed_at")}


def status(attestation: Attestation, current_digest: str | None = None, now: datetime | None = None) -> str:
    """``withdrawn``, ``expired``, ``outdated`` (the control demands something else by now) or ``in-force``.

    ``current_digest``: what the control of that id demands in the current version, None where that is not asked.
    """
    if hasattr(attestation, "withdrawal"):
        return "withdrawn"
    if (now or timezone.now()) >= attestation.valid_until:
        return "expired"
    return "in-force" if current_digest in (None, attestation.control_digest) else "outdated"
