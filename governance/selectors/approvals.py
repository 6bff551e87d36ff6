"""Whether approvals hold: computed at every read from times and digests, never stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from governance.models import Approval, GrantState
from governance.selectors import evidence
from governance.selectors.conditions import late
from governance.selectors.evidence import MODEL_VERSION_RELATED, Found
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
    """What a model version holds: ``none`` or a status as ``statuses`` has it, and the approval."""

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
    """The effective status of each approval. The first that applies:

    1. ``revoked`` by somebody, for good.
    2. ``superseded``: a newer approval of the same model covers every environment that this one covers.
    3. ``expired``: its time has run out.
    4. ``void``: model, data, evidence or policy are no longer what was signed.
    5. ``suspended`` by somebody, or by a condition that was not met when it was due.
    6. ``active``.

    The approvals come with ``select_related(*APPROVAL_RELATED)``. A constant number of queries; fewer with ``found``,
    what ``evidence.found_for`` gave for their model versions just now.
    """
    wanted, moment = list(approvals), now or timezone.now()
    if not wanted:
        return {}
    if found is None:
        found = evidence.found_for({row.model_version_id: row.model_version for row in wanted}.values())
    newest, overdue = _of_models(wanted), late(wanted, moment)
    made = {}
    for row in wanted:
        older = any(_supersedes(one, row) for one in newest[row.model_version.model_id])
        made[row.pk] = _status(row, found[row.model_version_id], moment, older=older, overdue=row.pk in overdue)
    return made


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


def superseded_by(approval: Approval) -> list[Approval]:
    """The approvals of the same model that a new one, not stored yet, supersedes, and nothing has before."""
    others = list(rows().filter(model_version__model=approval.model_version.model_id, revoked_at=None))
    before = [one for one in others if not any(_supersedes(_key(other), one) for other in others)]
    return [one for one in before if _supersedes(_key(approval), one)]


def covering(held: Mapping[UUID, Held], environment: str) -> set[UUID]:
    """The model versions among these for whose environment a newer approval of the same model speaks, in one query."""
    own = {key: one.approval for key, one in held.items() if one.approval is not None}
    newest = _of_models(own.values())
    return {
        key
        for key, approval in own.items()
        if any(
            one[:2] > _key(approval)[:2] and environment in one[2] for one in newest[approval.model_version.model_id]
        )
    }


def rows() -> QuerySet[Approval]:
    """Approvals with all that their status and a line on a page need."""
    return Approval.objects.select_related(*APPROVAL_RELATED)


Key = tuple[datetime, str, frozenset[str]]


def _key(approval: Approval) -> Key:
    return approval.issued_at, str(approval.pk), frozenset(approval.environments)


def _of_models(approvals: Iterable[Approval]) -> dict[UUID, list[Key]]:
    """Model → the keys of all its approvals, in one query."""
    models = {row.model_version.model_id for row in approvals}
    keys: dict[UUID, list[Key]] = {model: [] for model in models}
    columns = ("model_version__model", "issued_at", "pk", "environments")
    for model, issued_at, pk, environments in (
        Approval.objects.filter(model_version__model__in=models).order_by().values_list(*columns)
    ):
        keys[model].append((issued_at, str(pk), frozenset(environments)))
    return keys


def _supersedes(newer: Key, older: Approval) -> bool:
    """Whether the one is newer than the other and covers all that it covers."""
    issued_at, pk, environments = _key(older)
    return newer[:2] > (issued_at, pk) and newer[2] >= environments


def _status(approval: Approval, found: Found, now: datetime, *, older: bool, overdue: bool) -> str:
    if approval.revoked_at is not None:
        return "revoked"
    if older:
        return "superseded"
    if now >= approval.valid_until:
        return "expired"
    if approval.subject_digest != found.digest:
        return "void"
    return "suspended" if overdue or approval.state != GrantState.ACTIVE else "active"
