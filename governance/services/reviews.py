"""Submitting a model version for use, and deciding on it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from governance import machines
from governance.machines import RequestEvent
from governance.meanings import meaning
from governance.models import PENDING, Approval, Decision, GrantState, PolicyVersion, Review, ReviewState, Vote
from governance.selectors import approvals, evidence, people
from governance.selectors.conditions import late
from governance.selectors.evidence import MODEL_VERSION_RELATED
from governance.selectors.policies import current, tier_of
from governance.selectors.reviews import DecisionState, decision_state, reviews
from governance.selectors.standing import enough_people, standing
from governance.services.common import MAX_TEXT, must_see
from governance.services.common import text as clean
from governance.services.conditions import Wanted, set_conditions, wanted
from governance.services.grants import revoke, suspend
from governance.services.issuing import conclude, suspend_late, why_not_reinstate
from governance.services.moves import move, require_version, touch
from governance.services.policies import publish_builtin
from governance.services.signing import Proven, reauthenticate, require_a_person, require_two_people
from governance.services.statements import sign_vote
from pipelines.models import ModelVersion
from security.access import selectors as access
from security.access.table import Action
from security.canonical import urn
from security.errors import ConflictError, DeniedError, InvalidError
from security.identity.models import User
from security.identity.second_factor import PasskeyAnswer
from security.log.events import Event
from security.log.services import decision as decision_on_record
from security.log.services import record, timestamp

__all__ = ["MAX_TEXT", "lapse", "refresh", "reinstate", "revoke", "submit", "suspend", "vote", "withdraw"]
DEFAULT_ENVIRONMENTS = ("production",)
ENVIRONMENT = re.compile(r"[a-z][a-z0-9-]{0,39}")
MAX_ENVIRONMENTS = 10
_LAPSED_AT_ONCE = 500


def submit(
    *,
    acting_user: User,
    model_version: ModelVersion,
    note: str = "",
    environments: Sequence[str] = DEFAULT_ENVIRONMENTS,
) -> Review:
    """Ask for the use of a model version under the current policy of its system's tier, within ``REVIEW_DAYS``.

    ``environments``: where it is to be used; everybody who signs, signs that too. Where changes were asked for, this
    answers that review, which is superseded.

    Raises DeniedError, InvalidError (note, environments), ConflictError (a review is open, exactly this was rejected,
    the origin of the model is unknown, or fewer people than the policy asks for could sign).
    """
    where = _environments(environments)
    return _ask(acting_user=acting_user, model_version=model_version, note=note, environments=where)


def reinstate(*, acting_user: User, approval: Approval, note: str = "") -> Review:
    """Ask that a suspended approval holds again: a review in which everybody signs whom its policy asks for.

    Raises as ``submit`` does, and ConflictError for an approval that is not suspended, or whose overdue conditions are
    not met yet.
    """
    must_see(acting_user, approval.review.system, "approval")
    access.require(acting_user, Action.SUBMIT, approval.review.system)
    found = approvals.rows().get(pk=approval.pk)
    why_not = why_not_reinstate(found)
    if why_not:
        raise ConflictError(why_not)
    where = found.environments
    return _ask(
        acting_user=acting_user, model_version=found.model_version, note=note, environments=where, reinstates=found
    )


def _environments(given: Sequence[str]) -> list[str]:
    """The environments once each, in order. Raises InvalidError."""
    found = sorted({one.strip() for one in given})
    if not 1 <= len(found) <= MAX_ENVIRONMENTS or not all(ENVIRONMENT.fullmatch(one) for one in found):
        raise InvalidError(
            f"Name 1 to {MAX_ENVIRONMENTS} environments in lower-case letters, digits and hyphens, such as production.",
            field="environments",
        )
    return found


def _ask(
    *,
    acting_user: User,
    model_version: ModelVersion,
    note: str,
    environments: Sequence[str],
    reinstates: Approval | None = None,
) -> Review:
    version = ModelVersion.objects.select_related(*MODEL_VERSION_RELATED).get(pk=model_version.pk)
    system = version.model.system
    must_see(acting_user, system)
    access.require(acting_user, Action.SUBMIT, system)
    text = clean(note, "note", required=False)
    for earlier in reviews().filter(model_version=version, state__in=PENDING):
        refresh(earlier)
    with transaction.atomic():
        publish_builtin()
        policy = current(tier_of(system))
        if policy is None:
            raise ConflictError(f"There is no policy for the tier {system.tier}.")
        found = evidence.found(version)
        if not found.ancestry.data:
            raise ConflictError(f"It is not known from which data {version} was made, so nobody can approve it.")
        _not_rejected_as_it_is(version, found.digest)
        _enough_people(acting_user, version, policy)
        follows = _answered(acting_user, version)
        asked = {"note": text, "follows": follows, "reinstates": reinstates, "environments": list(environments)}
        review = _create(acting_user, version, policy, found, asked)
        payload: dict[str, Any] = {"model_version": str(version.pk)}
        payload |= {"subject": review.subject_digest, "policy": policy.digest}
        payload |= {"environments": list(environments)} if environments else {}
        payload |= {"follows": str(follows.pk)} if follows else {}
        payload |= {"reinstates": str(reinstates.pk)} if reinstates else {}
        _record(Event.REVIEW_SUBMITTED, acting_user, review, payload)
    return review


def _answered(acting_user: User, version: ModelVersion) -> Review | None:
    """The review of this version that waits for changes, superseded by the one that is being submitted."""
    waiting = reviews().select_for_update(of=("self",))
    earlier = waiting.filter(model_version=version, state=ReviewState.CHANGES_REQUESTED).first()
    if earlier is not None:
        _end(earlier, RequestEvent.RESUBMIT)
        _record(Event.REVIEW_SUPERSEDED, acting_user, earlier, {"was": earlier.subject_digest, "changed": []})
    return earlier


def _not_rejected_as_it_is(version: ModelVersion, digest: str) -> None:
    """A rejection stands until something it was about has changed: nobody asks until somebody says yes."""
    rejected = reviews().filter(model_version=version, state=ReviewState.REJECTED, subject_digest=digest).first()
    if rejected is not None:
        raise ConflictError(
            f"Exactly this, {version} with this evidence and policy, was rejected on {rejected.decided_at:%Y-%m-%d}. "
            "Mend what was found wrong; a model, data or evidence that has changed can be submitted."
        )


def vote(
    *,
    acting_user: User,
    review: Review,
    decision: str,
    reason: str,
    password: str,
    code: str = "",
    passkey: PasskeyAnswer | None = None,
    expected_version: int | None = None,
    conditions: Sequence[Mapping[str, Any]] = (),
) -> Vote:
    """Sign a decision. The vote that fills the last seat issues the approval, a rejection ends the review, a request
    for changes stops it until the version is submitted again.

    ``expected_version``: the ``row_version`` of the review that the person looked at, where they say it.
    ``conditions``: what must still be done for an approval to go on holding (``conditions.wanted``), signed with it.
    ``password``, and ``code`` or ``passkey`` where a second factor is enrolled: see ``signing.reauthenticate``.
    Returns when the audit log includes it, or after some seconds when it does not yet (``inclusion.places`` tells).

    Raises DeniedError (a builder, no role, a token, voted already, wrong password or second factor, one hand under two
    names), ConflictError (closed, changed since it was submitted or looked at, a gate that does not pass, the seat is
    taken), InvalidError (decision, reason, conditions).
    """
    choice, text = _decision(decision), clean(reason, "reason")
    must_see(acting_user, review.system)
    require_a_person(acting_user)
    review = refresh(review)
    _may(acting_user, review, choice)
    set_with_it = _conditions(conditions, choice, review, acting_user)
    subject = urn("review", review.pk)
    proven = reauthenticate(
        acting_user, password, subject=subject, system=review.system.slug, code=code, passkey=passkey
    )
    with decision_on_record():
        review = _lock(review)
        require_version(review, machines.REQUEST, expected_version)
        state = _may(acting_user, review, choice)
        if choice is Decision.APPROVE:
            _two_people(acting_user, review, proven.method)
        signed = _sign(
            acting_user, review, choice=choice, reason=text, role=state.role, proven=proven, conditions=set_with_it
        )
        if choice is Decision.REJECT:
            _end(review, RequestEvent.REJECT)
            _record(Event.REVIEW_REJECTED, acting_user, review, {"vote": str(signed.pk)})
        elif choice is Decision.REQUEST_CHANGES:
            move(review, machines.REQUEST, RequestEvent.REQUEST_CHANGES)
            _record(Event.REVIEW_CHANGES_REQUESTED, acting_user, review, {"vote": str(signed.pk)})
        else:
            _conclude_if_complete(acting_user, review)
    return signed


def withdraw(*, acting_user: User, review: Review) -> Review:
    """Take a review back before it is decided. Raises DeniedError, ConflictError."""
    must_see(acting_user, review.system)
    access.require(acting_user, Action.WITHDRAW, review.system)
    with transaction.atomic():
        locked = _lock(review)
        _end(locked, RequestEvent.WITHDRAW)
        _record(Event.REVIEW_WITHDRAWN, acting_user, locked, {})
    return locked


def refresh(review: Review) -> Review:
    """The review as stored now. One that has not ended becomes superseded where its model, data, evidence or policy has
    changed, and lapses where its deadline has passed."""
    with transaction.atomic():
        locked = _lock(review)
        if locked.is_pending:
            now = standing(locked)
            if now.stale:
                _end(locked, RequestEvent.SUBJECT_CHANGED)
                payload = {"was": locked.subject_digest, "is": now.current_digest, "changed": now.changes}
                _record(Event.REVIEW_SUPERSEDED, None, locked, payload)
            elif now.overdue:
                _end(locked, RequestEvent.DEADLINE)
                _record(Event.REVIEW_LAPSED, None, locked, {"deadline": timestamp(locked.deadline)})
    return locked


def lapse() -> int:
    """Record what the clock did, the oldest first, and return to how many: reviews past their deadline lapse,
    approvals whose condition is overdue are suspended.

    Nobody waits for this: it reads so at once. At most 500 of either at a time.
    """
    now = timezone.now()
    due = reviews().filter(state__in=PENDING, deadline__lte=now).order_by("deadline")
    looked_at = list(due[:_LAPSED_AT_ONCE])
    for review in looked_at:
        refresh(review)
    held = Approval.objects.filter(state=GrantState.ACTIVE, review__conditions__due_at__lte=now).distinct()
    overdue = late(held.order_by("issued_at")[:_LAPSED_AT_ONCE], now)
    with transaction.atomic():
        suspended = [suspend_late(approval) for approval in held.filter(pk__in=overdue)]
    return len(looked_at) + sum(suspended)


def _lock(review: Review) -> Review:
    return reviews().select_for_update(of=("self",)).get(pk=review.pk)


def _create(
    acting_user: User,
    version: ModelVersion,
    policy: PolicyVersion,
    found: evidence.Found,
    asked: Mapping[str, Any],
) -> Review:
    try:
        with transaction.atomic():
            return Review.objects.create(
                system=version.model.system,
                model_version=version,
                policy_version=policy,
                submitted_by=acting_user,
                **asked,
                subject=dict(found.subject),
                subject_digest=found.digest,
            )
    except IntegrityError:
        raise ConflictError(f"A review of {version} is open already; decide or withdraw it first.") from None


def _enough_people(acting_user: User, version: ModelVersion, policy: PolicyVersion) -> None:
    """Refuse early what could never be decided."""
    excluded = {user.pk for user in people.excluded_people(version)} | {acting_user.pk}
    system = version.model.system
    holders = people.role_holders([system.pk])[system.pk]
    eligible = {role: tuple(one for one in users if one.pk not in excluded) for role, users in holders.items()}
    if enough_people(policy.policy, eligible):
        return
    needed = ", ".join(f"{step.people} {step.role.replace('-', ' ')}" for step in policy.policy.approvals)
    there = ", ".join(
        f"{len(eligible.get(step.role, ()))} {step.role.replace('-', ' ')}" for step in policy.policy.approvals
    )
    raise ConflictError(
        f"Nobody could decide on this: the {policy.tier} policy needs different people as {needed}, none of whom had "
        f"a hand in the model, and {system.slug} has {there}. Ask an administrator to grant the missing role."
    )


def _may(acting_user: User, review: Review, choice: Decision) -> DecisionState:
    """What the person can do, or an error that says why they cannot do ``choice``."""
    now = standing(review)
    state = decision_state(acting_user, review, now)
    extra = {"eligible": [user.full_name for user in state.eligible]}
    if state.why_not:
        raise (DeniedError if now.state == ReviewState.IN_REVIEW else ConflictError)(state.why_not, extra=extra)
    if choice is Decision.APPROVE and not state.can_approve:
        raise ConflictError(state.why_not_approve, extra={**extra, "gates": [gate.kind for gate in now.failing]})
    return state


def _two_people(acting_user: User, review: Review, method: str) -> None:
    """No decision by one hand under two names (``signing.require_two_people``)."""
    builders = set(people.excluded_people(review.model_version, review))
    votes = Vote.objects.filter(review=review).select_related("voter")
    require_two_people(acting_user, method, builders=builders, others={vote.voter: vote.method for vote in votes})


def _conditions(
    given: Sequence[Mapping[str, Any]], choice: Decision, review: Review, acting_user: User
) -> list[Wanted]:
    if given and (choice is not Decision.APPROVE or review.reinstates_id is not None):
        raise InvalidError("Conditions go with the approval of a version, and with nothing else.", field="conditions")
    return wanted(given, review=review, acting_user=acting_user)


def _sign(
    acting_user: User,
    review: Review,
    *,
    choice: Decision,
    reason: str,
    role: str,
    proven: Proven,
    conditions: Sequence[Wanted],
) -> Vote:
    again = choice is Decision.APPROVE and review.reinstates_id is not None
    signed = Vote(
        review=review,
        voter=acting_user,
        role=role,
        decision=choice,
        reason=reason,
        printed_name=acting_user.full_name,
        subject_digest=review.subject_digest,
        signed_at=timezone.now(),
        reauthenticated_at=proven.at,
        method=proven.method,
        meaning=meaning("reinstate" if again else choice, role),
        conditions=[one.content() for one in conditions],
    )
    sign_vote(signed, acting_user=acting_user)
    record(
        Event.VOTE_CAST,
        acting_user=acting_user,
        subject=urn("review", review.pk),
        system=review.system.slug,
        payload={
            "vote": str(signed.pk),
            "digest": signed.digest,
            "role": role,
            "decision": str(choice),
            "subject": signed.subject_digest,
        },
    )
    set_conditions(signed, conditions, acting_user=acting_user)
    if conditions:
        touch(review, machines.REQUEST)
    return signed


def _conclude_if_complete(acting_user: User, review: Review) -> None:
    """Issue the approval if now, with everything read again, every gate passes and every seat is taken."""
    now = standing(review)
    if now.complete:
        conclude(acting_user, now)


def _end(review: Review, event: RequestEvent) -> None:
    move(review, machines.REQUEST, event, decided_at=timezone.now())


def _decision(text: str) -> Decision:
    try:
        return Decision(text)
    except ValueError:
        raise InvalidError("A decision is “approve”, “reject” or “request-changes”.", field="decision") from None


def _record(event: Event, acting_user: User | None, review: Review, payload: Mapping[str, Any]) -> None:
    subject = urn("review", review.pk)
    record(event, acting_user=acting_user, subject=subject, system=review.system.slug, payload=payload)
