"""Signing, as people would on the page, and what the log says of it."""

from __future__ import annotations

from typing import Any

from governance.models import Review, Vote
from governance.selectors.reviews import reviews
from governance.services.reviews import vote
from pipelines.models import ModelVersion
from security.identity.models import User
from security.log.models import AuditEvent
from tests.support.people import PASSWORD, People


def sign(user: User, review: Review, decision: str = "approve", **more: Any) -> Vote:
    """Sign a decision with the right password and a reason; ``more`` replaces either."""
    given: dict[str, Any] = {"reason": "The evidence is complete.", "password": PASSWORD, **more}
    return vote(acting_user=user, review=review, decision=decision, **given)


def approve(people: People, review: Review) -> None:
    """Both signatures that the high-risk policy asks for."""
    sign(people.validator, review)
    sign(people.risk_officer, review)


def events(*kinds: str) -> list[str]:
    """The names of the log's events of these kinds, in order."""
    return list(AuditEvent.objects.filter(event__in=kinds).order_by("index").values_list("event", flat=True))


def fresh(review: Review) -> ModelVersion:
    """The review's model version as it is stored now."""
    return reviews().get(pk=review.pk).model_version
