"""The deploy gate: whether exactly these bytes may be used in this environment now. Unknown means no."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from governance.models import Approval
from governance.selectors import approvals
from governance.selectors.evidence import MODEL_VERSION_RELATED
from pipelines.models import ModelVersion
from security.access import selectors as access
from security.access.table import Action
from security.identity.models import User

UNKNOWN = "No model version that you may see has this digest."
NEVER = "{version} was never approved."
ELSEWHERE = "The approval of {version} covers {covered}, not {environment}."
NEWER = "A newer approval of another version of this model covers {environment}: {version} is superseded there."
_WORDS: Mapping[str, str] = {
    "suspended": "The approval of {version} is suspended.",
    "expired": "The approval of {version} ran out on {until:%Y-%m-%d}.",
    "superseded": "The approval of {version} is superseded by a newer one.",
    "revoked": "The approval of {version} was revoked.",
    "void": "The approval of {version} no longer holds: what was signed has changed.",
}


@dataclass(frozen=True)
class Answer:
    """``allowed`` only with an ``approval`` that is active; ``reasons`` why not, one for each version known."""

    allowed: bool
    digest: str
    environment: str
    reasons: tuple[str, ...]
    model_versions: tuple[ModelVersion, ...]
    approval: Approval | None
    checked_at: datetime

    @property
    def approval_id(self) -> UUID | None:
        """The approval that allows it."""
        return self.approval.pk if self.approval else None

    @property
    def valid_until(self) -> datetime | None:
        """When the approval runs out at the latest."""
        return self.approval.valid_until if self.approval else None


def decide(user: User, digest: str, environment: str, now: datetime | None = None) -> Answer:
    """What the gate says to a digest (SHA-256 of a model's bytes) and an environment; a constant number of queries.

    The same bytes may be registered more than once: one version with an approval that holds is enough. What the user
    may not see is not known to them.
    """
    moment = now or timezone.now()
    rows = ModelVersion.objects.filter(artifact__digest=digest).select_related(*MODEL_VERSION_RELATED)
    versions = list(access.visible(user, Action.VIEW, rows).order_by("model__name", "number"))
    held = approvals.approvals_of(versions, moment)
    elsewhere = approvals.covering(held, environment)
    reasons: list[str] = []
    for version in versions:
        approval, status = held[version.pk].approval, held[version.pk].status
        why_not = _why_not(version, approval, status, environment, newer=version.pk in elsewhere)
        if not why_not and approval is not None:
            return Answer(True, digest, environment, (), tuple(versions), approval, moment)
        reasons.append(why_not)
    return Answer(False, digest, environment, tuple(reasons or [UNKNOWN]), tuple(versions), None, moment)


def _why_not(version: ModelVersion, approval: Approval | None, status: str, environment: str, *, newer: bool) -> str:
    """Why one version may not be used there; empty where it may."""
    about = {"version": str(version), "environment": environment}
    if approval is None:
        return NEVER.format(**about)
    if status != "active":
        words = _WORDS.get(status, "The approval of {version} does not hold.")
        return words.format(**about, until=approval.valid_until)
    if environment not in approval.environments:
        return ELSEWHERE.format(**about, covered=", ".join(approval.environments) or "no environment by name")
    return NEWER.format(**about) if newer else ""
