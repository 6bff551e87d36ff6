"""Where a review stands now: everything that decides whether and by whom it can be decided, for many at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils import timezone

from governance import rules, subjects
from governance.models import Decision, Review, ReviewState, Vote
from governance.policy import ApprovalStep, Policy
from governance.selectors import evidence, people
from governance.selectors.evidence import MODEL_VERSION_RELATED, Found, Gate
from pipelines.models import Evidence
from security.identity.models import User

REVIEW_RELATED = (
    "system",
    "policy_version",
    "submitted_by",
    *(f"model_version__{name}" for name in MODEL_VERSION_RELATED),
)


@dataclass(frozen=True)
class Seat:
    """One approval step of the policy and the approving votes that count for it."""

    role: str
    people: int
    why: str
    votes: tuple[Vote, ...]

    @property
    def open(self) -> int:
        """How many signatures are still needed."""
        return max(0, self.people - len(self.votes))


@dataclass(frozen=True)
class Reading:
    """A review as a list shows it: what was found now, what the gates of its policy say to that, and its votes."""

    review: Review
    policy: Policy
    gates: tuple[Gate, ...]
    found: Found
    votes: tuple[Vote, ...]

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        return self.found.evidence

    @property
    def current_subject(self) -> Mapping[str, Any]:
        """What would be submitted now."""
        return self.found.subject

    @property
    def current_digest(self) -> str:
        return self.found.digest

    @property
    def stale(self) -> bool:
        """The model, data, evidence or policy is no longer what was submitted."""
        return self.current_digest != self.review.subject_digest

    @property
    def changes(self) -> list[str]:
        """Which parts of the subject have changed since it was submitted."""
        return subjects.changes(self.review.subject, self.current_subject)

    @property
    def state(self) -> str:
        """The review's state as it is to be read now, whatever has been recorded of it yet."""
        if self.review.is_pending and self.stale:
            return str(ReviewState.SUPERSEDED)
        return str(ReviewState.LAPSED if self.overdue else self.review.state)

    @property
    def overdue(self) -> bool:
        """It has not ended, and its deadline has passed: time never approves."""
        return self.review.is_pending and timezone.now() >= self.review.deadline

    @property
    def failing(self) -> list[Gate]:
        return [gate for gate in self.gates if not gate.ok]


@dataclass(frozen=True)
class Standing(Reading):
    """A review and everything that decides whether and by whom it can be decided.

    ``excluded``: user id → what they did; ``eligible``: role → who holds it and is not excluded; ``counted``: the
    votes of people who still hold their role and are not excluded.
    """

    excluded: Mapping[UUID, tuple[str, ...]]
    eligible: Mapping[str, tuple[User, ...]]
    counted: tuple[Vote, ...]
    seats: tuple[Seat, ...]

    @property
    def complete(self) -> bool:
        """Every gate passes, every seat is taken, nothing has changed, and it is in time."""
        return self.state == ReviewState.IN_REVIEW and not self.failing and not any(seat.open for seat in self.seats)


def readings(
    reviews: Iterable[Review], *, whole: bool = False, found: Mapping[UUID, Found] | None = None
) -> dict[UUID, Reading]:
    """How each review reads now, in a constant number of queries.

    The reviews come with ``select_related(*REVIEW_RELATED)``. ``whole`` as in ``evidence.found_for``; ``found`` is
    what that gave just now for the model versions, where the caller has it already.
    """
    wanted = list(reviews)
    if found is None:
        found = evidence.found_for({one.model_version_id: one.model_version for one in wanted}.values(), whole=whole)
    policies = {version.pk: version.policy for version in {one.policy_version for one in wanted}}
    votes: dict[UUID, list[Vote]] = defaultdict(list)
    for vote in Vote.objects.filter(review__in=wanted).select_related("voter"):
        votes[vote.review_id].append(vote)
    made = {}
    for review in wanted:
        policy, now = policies[review.policy_version_id], found[review.model_version_id]
        gates = tuple(evidence.judge(policy, now.evidence))
        made[review.pk] = Reading(review, policy, gates, now, tuple(votes[review.pk]))
    return made


def standing(review: Review) -> Standing:
    """``standings`` of one, whole."""
    return standings([review], whole=True)[review.pk]


def standings(
    reviews: Iterable[Review], *, whole: bool = False, found: Mapping[UUID, Found] | None = None
) -> dict[UUID, Standing]:
    """Where each review stands, in a constant number of queries; arguments as in ``readings``."""
    read = readings(reviews, whole=whole, found=found)
    if not read:
        return {}
    versions = {now.review.model_version_id: now.review.model_version for now in read.values()}
    parts = people.parts_of(versions.values())
    holders = people.role_holders(now.review.system_id for now in read.values())
    made = {}
    for key, now in read.items():
        excluded = _excluded([*parts[now.review.model_version_id], people.submitted(now.review)])
        eligible = {
            role: tuple(user for user in users if user.pk not in excluded)
            for role, users in holders[now.review.system_id].items()
        }
        made[key] = _standing(now, excluded, eligible)
    return made


def _standing(
    now: Reading, excluded: Mapping[UUID, tuple[str, ...]], eligible: Mapping[str, tuple[User, ...]]
) -> Standing:
    counted = tuple(vote for vote in now.votes if _counts(vote, now.review, eligible))
    seats = tuple(_seat(step, counted) for step in now.policy.approvals)
    return Standing(**vars(now), excluded=excluded, eligible=eligible, counted=counted, seats=seats)


def _counts(vote: Vote, review: Review, eligible: Mapping[str, tuple[User, ...]]) -> bool:
    """A vote counts while its person still holds the role, had no hand in the model, and signed this very subject."""
    holds = any(user.pk == vote.voter_id for user in eligible.get(vote.role, ()))
    return holds and vote.subject_digest == review.subject_digest


def _seat(step: ApprovalStep, counted: Sequence[Vote]) -> Seat:
    approving = [vote for vote in counted if vote.role == step.role and vote.decision == Decision.APPROVE]
    return Seat(step.role, step.people, step.why, tuple(approving))


def _excluded(parts: Sequence[people.Part]) -> dict[UUID, tuple[str, ...]]:
    reasons: dict[UUID, list[str]] = defaultdict(list)
    for part in parts:
        reasons[part.user].append(part.text)
    return {user: tuple(texts) for user, texts in reasons.items()}


def enough_people(policy: Policy, eligible: Mapping[str, tuple[User, ...]]) -> bool:
    """Whether every signature that the policy asks for can come from a different person."""
    return rules.enough_people(policy.approvals, {role: [u.pk for u in users] for role, users in eligible.items()})
