"""Whether approvals hold: computed at every read from times and digests, never stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from governance.models import Approval
from governance.selectors import evidence
from governance.selectors.evidence import MODEL_VERSION_RELATED, Found
from governance.waivers import selectors as waivers
from pipelines.models import ModelVersion
from security.access import selectors as access
from security.access.table import Action
from security.identity.models import User

APPROVAL_RELATED = (
    "review__system",
    "revoked_by",
    *(f"model_version__{name}" for name in MODEL_VERSION_RELATED),
)


@dataclass(frozen=True)
class Held:
    """What a model version holds: ``none``, ``active``, ``expired``, ``revoked`` or ``void``, and the approval."""

    status: str
    approval: Approval | None

    @property
    def active(self) -> bool:
        return self.status == "active"


def status(approval: Approval, now: datetime | None = None, found: Found | None = None) -> str:
    """``statuses`` of one."""
    known = None if found is None else {approval.model_version_id: found}
    return statuses([approval], now, known)[approval.pk]


def statuses(
    approvals: Iterable[Approval], now: datetime | None = None, found: Mapping[UUID, Found] | None = None
) -> dict[UUID, str]:
    """``active``, ``expired``, ``revoked`` or ``void`` of each approval.

    Void: model, data, evidence or policy changed, or a waiver that it rests on was revoked or closed.

    The approvals come with ``select_related(*APPROVAL_RELATED)``. A constant number of queries; fewer with ``found``,
    what ``evidence.found_for`` gave for their model versions just now.
    """
    wanted, moment = list(approvals), now or timezone.now()
    if found is None:
        found = evidence.found_for({row.model_version_id: row.model_version for row in wanted}.values())
    ended = waivers.ended_under(row.pk for row in wanted) if wanted else set()
    return {row.pk: _status(row, found[row.model_version_id], moment, ended=row.pk in ended) for row in wanted}


def approval_of(model_version: ModelVersion, now: datetime | None = None, found: Found | None = None) -> Held:
    """``approvals_of`` of one."""
    known = None if found is None else {model_version.pk: found}
    return approvals_of([model_version], now, known)[model_version.pk]


def approvals_of(
    model_versions: Iterable[ModelVersion], now: datetime | None = None, found: Mapping[UUID, Found] | None = None
) -> dict[UUID, Held]:
    """What each model version holds. The newest approval alone decides: an older one never outlives its revocation.

    ``found`` as in ``statuses``.
    """
    keys = [version.pk for version in model_versions]
    newest: dict[UUID, Approval] = {}
    for row in rows().filter(model_version__in=keys).order_by("issued_at"):
        newest[row.model_version_id] = row
    states = statuses(newest.values(), now, found)
    return {key: Held(states[newest[key].pk], newest[key]) if key in newest else Held("none", None) for key in keys}


def expiring(user: User, within_days: int = 30, now: datetime | None = None) -> list[Approval]:
    """The approvals that still hold, run out within so many days, and are the newest of their model version."""
    moment = now or timezone.now()
    due = rows().filter(revoked_at=None, valid_until__gt=moment, valid_until__lte=moment + timedelta(days=within_days))
    mine = list(access.visible(user, Action.VIEW, due).order_by("valid_until"))
    held = approvals_of({row.model_version_id: row.model_version for row in mine}.values(), moment)
    return [row for row in mine if held[row.model_version_id].active and held[row.model_version_id].approval == row]


def rows() -> QuerySet[Approval]:
    """Approvals with all that their status and a line on a page need."""
    return Approval.objects.select_related(*APPROVAL_RELATED)


def _status(approval: Approval, found: Found, now: datetime, *, ended: bool) -> str:
    if approval.revoked_at is not None:
        return "revoked"
    if now >= approval.valid_until:
        return "expired"
    return "active" if approval.subject_digest == found.digest and not ended else "void"
