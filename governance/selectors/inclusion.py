"""Where decisions stand in the audit log: the number of each event and the first signed checkpoint that covers it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F

from governance.models import Approval, Review
from security.canonical import urn
from security.log.events import Event
from security.log.selectors import with_checkpoint

DECISIONS = (
    Event.VOTE_CAST,
    Event.REVIEW_APPROVED,
    Event.REVIEW_REJECTED,
    Event.REVIEW_WITHDRAWN,
    Event.REVIEW_CHANGES_REQUESTED,
    Event.REVIEW_LAPSED,
    Event.APPROVAL_ISSUED,
    Event.APPROVAL_REVOKED,
    Event.APPROVAL_SUSPENDED,
    Event.APPROVAL_REINSTATED,
)


@dataclass(frozen=True)
class Place:
    """One event: its name, when, its number and the size of a checkpoint over it; both None while it waits for them."""

    event: str
    time: datetime
    index: int | None
    checkpoint: int | None

    @property
    def included(self) -> bool:
        return self.index is not None


def places(review: Review, approval: Approval | None = None) -> list[Place]:
    """Where everything that was decided in a review stands, in the order of the log, what waits last; one query."""
    subjects = [urn("review", review.pk)] + ([urn("approval", approval.pk)] if approval else [])
    rows = with_checkpoint().filter(subject__in=subjects, event__in=DECISIONS).order_by("time", "id")
    columns = rows.values_list("event", "time", "leaf__index", F("checkpoint"))
    return sorted((Place(*row) for row in columns), key=lambda place: (place.index is None, place.index or 0))


def all_included(found: Iterable[Place]) -> bool:
    return all(place.included for place in found)
