"""What waits for one person: the open reviews that they can decide on now and whose signature is still needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from governance import sentences
from governance.models import Approval, Decision, Review, ReviewState, Vote
from governance.selectors import approvals
from governance.selectors.evidence import Found, found_for
from governance.selectors.people import ACTION_OF_ROLE
from governance.selectors.reviews import DecisionState, brief, decision_state
from governance.selectors.standing import Standing, standings
from security.access import selectors as access
from security.identity.models import User
from security.measurement import combine

LOOKED_AT = 25  # whether a review waits takes its lineage and evidence, so the work of one page has a bound


@dataclass(frozen=True)
class Waiting:
    """What waits, oldest first, each with what the person can do.

    ``more``: there are other open reviews besides the ``looked_at`` that were looked at. ``behind``: what stands behind
    the model versions of these and of the reviews that were to be read with them.
    """

    found: Sequence[tuple[Standing, DecisionState]]
    more: bool
    looked_at: int
    behind: Mapping[UUID, Found]

    @property
    def reviews(self) -> list[Review]:
        return [now.review for now, _ in self.found]

    @property
    def number(self) -> str:
        """How many: ``12``, or ``50+`` where not all were looked at."""
        return f"{len(self.found)}+" if self.more else str(len(self.found))

    @property
    def badge(self) -> str:
        """``number`` for the navigation, where none is not worth a sign."""
        return "" if self.number == "0" else self.number


@dataclass(frozen=True)
class WaitingLine:
    """A review that waits: as what the person would sign, what the gates say, and who has signed.

    ``deadline``: when the approval of another version of the same model, which this one would follow, runs out.
    """

    review: Review
    role: str
    verdict: str
    gates: str
    parts: tuple[str, ...]
    signed: tuple[str, ...]
    deadline: datetime | None
    deadline_of: str


def waiting(user: User, also: Iterable[Review] = ()) -> Waiting:
    """What waits for this person, in a constant number of queries. ``also``: reviews that a page shows beside it."""
    rows = list(_candidates(user)[: LOOKED_AT + 1])
    looked_at = sorted(rows[:LOOKED_AT], key=lambda review: (review.submitted_at, review.pk))
    behind = found_for({one.model_version_id: one.model_version for one in [*looked_at, *also]}.values())
    now = [one for one in standings(looked_at, found=behind).values() if not one.stale]
    decided = [(one, decision_state(user, one.review, one)) for one in now]
    return Waiting([pair for pair in decided if _needed(*pair)], len(rows) > LOOKED_AT, LOOKED_AT, behind)


def waiting_lines(found: Iterable[tuple[Standing, DecisionState]]) -> list[WaitingLine]:
    """Lines of what ``waiting`` found, in a constant number of queries."""
    pairs = list(found)
    held = _held_by_others([now.review for now, _ in pairs])
    return [_line(now, state, held.get(now.review.model_version.model_id)) for now, state in pairs]


def _candidates(user: User) -> QuerySet[Review]:
    """Open reviews where the person holds a deciding role, neither submitted nor signed by them.

    The oldest come first, and those where somebody has approved in such a role come last: most of them wait for others,
    but a vote may have ceased to count.
    """
    open_now = brief().filter(state=ReviewState.IN_REVIEW, deadline__gt=timezone.now())
    rows = open_now.exclude(submitted_by=user).exclude(votes__voter=user)
    mine, held = rows.none(), []
    for role, action in ACTION_OF_ROLE.items():
        mine = mine | access.visible(user, action, rows)
        held += [role] if access.allowed_somewhere(user, action) else []
    signed = Vote.objects.filter(review=OuterRef("pk"), role__in=held, decision=Decision.APPROVE)
    return mine.order_by(Exists(signed), "submitted_at", "pk")


def _needed_of(user: User, reviews: Sequence[Review]) -> list[tuple[Standing, DecisionState]]:
    """Those of the reviews that wait for this person, each with what the person can do."""
    now = [one for one in standings(reviews).values() if not one.stale]
    decided = [(one, decision_state(user, one.review, one)) for one in now]
    return [pair for pair in decided if _needed(*pair)]


def _needed(now: Standing, state: DecisionState) -> bool:
    return state.can_vote and any(seat.role == state.role and seat.open for seat in now.seats)


def _line(now: Standing, state: DecisionState, other: Approval | None) -> WaitingLine:
    return WaitingLine(
        review=now.review,
        role=state.role.replace("-", " "),
        verdict=str(combine(gate.verdict for gate in now.gates)),
        gates=sentences.gates_text(now.gates),
        parts=sentences.gates_parts(now.gates),
        signed=tuple(vote.printed_name for vote in now.counted),
        deadline=other.valid_until if other else None,
        deadline_of=str(other.model_version) if other else "",
    )


def _held_by_others(found: Sequence[Review]) -> dict[UUID, Approval]:
    """Model → the approval of another version that still holds and ends last."""
    if not found:
        return {}
    models = {review.model_version.model_id for review in found}
    own = {review.model_version_id for review in found}
    rows = approvals.rows().filter(model_version__model__in=models, revoked_at=None, valid_until__gt=timezone.now())
    mine = [row for row in rows.order_by("valid_until") if row.model_version_id not in own]
    states = approvals.statuses(mine)
    return {row.model_version.model_id: row for row in mine if states[row.pk] == "active"}
