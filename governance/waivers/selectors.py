"""Reading waivers: those that are active, and the approvals that rest on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from governance.waivers.models import Waiver, WaiverDecision, WaiverUse

RELATED = ("system", "model_version__model__system", "owner", "requested_by")


def waivers() -> QuerySet[Waiver]:
    """Waivers with all that a line shows, newest first."""
    return Waiver.objects.select_related(*RELATED).prefetch_related("decisions__person")


def active_for(versions: Iterable[UUID], now: datetime | None = None) -> dict[UUID, list[Waiver]]:
    """Version → its waivers that were approved, not ended and have not run out; in one query.

    Whether their subject is still the same is for the caller to see, who knows it.
    """
    approved = WaiverDecision.objects.filter(waiver=OuterRef("pk"), decision="approve")
    ended = WaiverDecision.objects.filter(waiver=OuterRef("pk"), stage="end")
    rows = Waiver.objects.filter(
        Exists(approved), ~Exists(ended), model_version__in=list(versions), expires_at__gt=now or timezone.now()
    )
    found: dict[UUID, list[Waiver]] = defaultdict(list)
    for row in rows.order_by("expires_at"):
        found[row.model_version_id].append(row)
    return found


def ended_under(approvals: Iterable[UUID]) -> set[UUID]:
    """Those of the approvals that rest on a waiver which was revoked or closed since; in one query."""
    uses = WaiverUse.objects.filter(approval__in=list(approvals), waiver__decisions__stage="end")
    return set(uses.values_list("approval", flat=True))


def used_by(approval: UUID) -> list[Waiver]:
    """The waivers that an approval rests on."""
    return list(waivers().filter(uses__approval=approval).order_by("part"))


def had(version: UUID, part: str) -> int:
    """How many waivers of a part were approved for a model version, whatever became of them."""
    return WaiverDecision.objects.filter(waiver__model_version=version, waiver__part=part, decision="approve").count()
