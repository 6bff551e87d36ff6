"""Reading reviews: what one person can decide now, and everything that one page shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from governance import rules
from governance.models import Approval, Condition, Decision, GrantAct, Review, ReviewState
from governance.policy import ApprovalStep
from governance.selectors import approvals
from governance.selectors.conditions import conditions
from governance.selectors.inclusion import Place, places
from governance.selectors.standing import REVIEW_RELATED, Standing, standing
from pipelines.models import ModelVersion
from security.access import selectors as access
from security.access.table import Action
from security.identity.models import User

PARTS = {"model": "the model", "data": "the data", "evidence": "the evidence", "policy": "the policy"}
_LISTED = 5


@dataclass(frozen=True)
class DecisionState:
    """What one person can do with a review now.

    ``role``: as what they would sign; ``why_not``: the sentence that says why they can decide nothing, with who can;
    ``why_not_approve``: why approving is not possible although rejecting is; ``eligible``: who can sign now.
    """

    can_approve: bool
    can_reject: bool
    role: str
    why_not: str
    why_not_approve: str
    eligible: tuple[User, ...]

    @property
    def can_request_changes(self) -> bool:
        """Whoever can reject can ask for changes instead."""
        return self.can_reject

    @property
    def can_vote(self) -> bool:
        return self.can_approve or self.can_reject


@dataclass(frozen=True)
class ReviewPage:
    """All that the page of one review shows."""

    review: Review
    model_version: ModelVersion
    standing: Standing
    decision: DecisionState
    excluded: tuple[tuple[User, tuple[str, ...]], ...]
    approval: Approval | None
    approval_status: str
    acts: tuple[GrantAct, ...]
    conditions: tuple[Condition, ...]
    can_withdraw: bool
    can_revoke: bool
    can_suspend: bool
    can_reinstate: bool
    places: list[Place]


def reviews() -> QuerySet[Review]:
    """Reviews with all that their standing needs, newest first."""
    step = "model_version__step_run"  # its log can be long, and no review shows it
    return Review.objects.select_related(*REVIEW_RELATED).defer(f"{step}__log", f"{step}__measurements")


def brief() -> QuerySet[Review]:
    """``reviews`` for a list of many: only what a line and its standing look at; the rest is read when asked for.

    The policy, which many reviews share and which is large, is read once for all of them.
    """
    joined = [name for name in REVIEW_RELATED if name != "policy_version"]
    return Review.objects.select_related(*joined).prefetch_related("policy_version").only(*_OF_A_LINE)


_OF_A_LINE = (
    "state",
    "row_version",
    "submitted_at",
    "deadline",
    "subject_digest",
    "policy_version",
    "system__slug",
    "system__tier",
    "submitted_by__full_name",
    "model_version__number",
    "model_version__created_at",
    "model_version__created_by",
    "model_version__model__name",
    "model_version__model__system__slug",
    "model_version__model__system__tier",
    "model_version__artifact__digest",
    "model_version__step_run__run",
)


def decision_state(user: User, review: Review, now: Standing | None = None) -> DecisionState:
    """Whether ``user`` can vote on ``review`` now, as what, or the sentence that says why not and who can."""
    now = now or standing(review)
    eligible = _signers(now)
    why_not = _why_not(user, now, eligible)
    if why_not:
        return DecisionState(False, False, "", why_not, "", eligible)
    role, seat_free = _role_for(user, now)
    why_not_approve = _why_not_approve(now, role, seat_free, eligible)
    return DecisionState(not why_not_approve, True, role, "", why_not_approve, eligible)


def review_page(review: Review, user: User) -> ReviewPage:
    """Everything that the page of one review needs, in a constant number of queries."""
    now = standing(review)
    approval = approvals.rows().filter(Q(review=review) | Q(reinstatements=review)).first()
    status = approvals.status(approval, found=now.found) if approval else "none"
    may_stop = access.allowed(user, Action.REVOKE, review.system)
    users = {person.pk: person for person in User.objects.filter(pk__in=now.excluded)}
    excluded = [(users[key], texts) for key, texts in now.excluded.items() if key in users]
    return ReviewPage(
        review=review,
        model_version=review.model_version,
        standing=now,
        decision=decision_state(user, review, now),
        excluded=tuple(sorted(excluded, key=lambda pair: pair[0].username)),
        approval=approval,
        approval_status=status,
        acts=tuple(GrantAct.objects.filter(approval=approval)) if approval else (),
        conditions=tuple(conditions().filter(review=approval.review_id)) if approval else (),
        can_withdraw=review.is_pending and access.allowed(user, Action.WITHDRAW, review.system),
        can_revoke=bool(approval and approval.revoked_at is None) and may_stop,
        can_suspend=status == "active" and may_stop,
        can_reinstate=status == "suspended" and access.allowed(user, Action.SUBMIT, review.system),
        places=places(review, approval),
    )


def names(users: Iterable[User]) -> str:
    """``Ada, Ben and 3 more``, or ``nobody``."""
    listed = [user.full_name for user in users]
    if len(listed) <= _LISTED:
        return ", ".join(listed) or "nobody"
    return f"{', '.join(listed[:_LISTED])} and {len(listed) - _LISTED} more"


def _why_not(user: User, now: Standing, eligible: tuple[User, ...]) -> str:
    """Why this person can neither approve nor reject; empty when they can do at least one."""
    if now.state == ReviewState.SUPERSEDED:
        parts = " and ".join(PARTS.get(part, part) for part in now.changes) or "something"
        return f"Superseded: {parts} changed after this review was submitted. It must be submitted again."
    if now.state == ReviewState.LAPSED:
        return f"Lapsed: nobody decided by {now.review.deadline:%Y-%m-%d %H:%M} UTC. It must be submitted again."
    if now.state == ReviewState.CHANGES_REQUESTED:
        asked = next((vote.printed_name for vote in now.votes if vote.decision == Decision.REQUEST_CHANGES), "Somebody")
        return f"{asked} asked for changes; there is something to decide once the version is submitted again."
    if not now.review.is_open:
        return f"This review is {now.review.state} already; there is nothing left to decide."
    personal = _why_not_this_person(user, now)
    return f"{personal} Eligible: {names(eligible)}." if personal else ""


def _why_not_this_person(user: User, now: Standing) -> str:
    if user.acting_token is not None or user.is_service:
        return "Only a person who signs in can sign; a token or a service cannot."
    if user.pk in now.excluded:
        return f"You had a hand in this model ({'; '.join(now.excluded[user.pk][:3])}), so you cannot decide on it."
    own = next((vote for vote in now.votes if vote.voter_id == user.pk), None)
    if own is not None:
        return f"You have signed already, as {_label(own.role)}; one person is one vote."
    if not _roles(user, now):
        needed = " or ".join(_label(seat.role) for seat in now.seats)
        return f"Deciding on this needs the role {needed} in {now.review.system.slug}."
    return ""


def _why_not_approve(now: Standing, role: str, seat_free: bool, eligible: tuple[User, ...]) -> str:
    if now.failing:
        listed = "; ".join(f"{gate.kind.replace('_', ' ')} ({gate.reason})" for gate in now.failing)
        return f"Approving is not possible while these gates do not pass: {listed}."
    if not seat_free:
        return f"The signature of a {_label(role)} is there already. Still needed: {names(eligible)}."
    return ""


def _roles(user: User, now: Standing) -> list[str]:
    """The roles of the policy's steps that the person holds here, in the policy's order."""
    return [seat.role for seat in now.seats if any(one.pk == user.pk for one in now.eligible.get(seat.role, ()))]


def _role_for(user: User, now: Standing) -> tuple[str, bool]:
    """As what the person signs, and whether that seat is free.

    Who holds two roles takes the free seat that leaves the other seats to be filled by others, if there is one.
    """
    roles = _roles(user, now)
    free = [seat.role for seat in now.seats if seat.open and seat.role in roles]
    best = next((role for role in free if _rest_can_sign(user, role, now)), free[0] if free else "")
    return (best, True) if best else (roles[0], False)


def _rest_can_sign(user: User, role: str, now: Standing) -> bool:
    gone = {user.pk, *(vote.voter_id for vote in now.votes)}
    rest = {name: [one.pk for one in users if one.pk not in gone] for name, users in now.eligible.items()}
    needed = {seat.role: seat.open - (seat.role == role) for seat in now.seats}
    steps = [
        ApprovalStep(role=step.role, people=needed[step.role], why="")
        for step in now.policy.approvals
        if needed[step.role] > 0
    ]
    return rules.enough_people(steps, rest)


def _signers(now: Standing) -> tuple[User, ...]:
    """Who can fill a seat that is still open."""
    if now.state != ReviewState.IN_REVIEW:
        return ()
    voted = {vote.voter_id for vote in now.votes}
    found = {
        user.pk: user
        for seat in now.seats
        if seat.open
        for user in now.eligible.get(seat.role, ())
        if user.pk not in voted
    }
    return tuple(sorted(found.values(), key=lambda user: user.username))


def _label(role: str) -> str:
    return role.replace("-", " ")
