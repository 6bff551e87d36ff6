"""Submitting a model version for use, deciding on it, and taking an approval back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from governance import records
from governance.models import Approval, Decision, PolicyVersion, Review, ReviewState, Vote
from governance.risk.selectors import stopping
from governance.selectors import evidence, people
from governance.selectors.approvals import APPROVAL_RELATED
from governance.selectors.evidence import MODEL_VERSION_RELATED
from governance.selectors.policies import current, key_for
from governance.selectors.reviews import DecisionState, decision_state, reviews
from governance.selectors.standing import Standing, enough_people, standing
from governance.services.policies import publish_builtin
from governance.services.signing import Proven, reauthenticate, require_a_person, require_two_people
from governance.waivers.models import WaiverUse
from pipelines.models import ModelVersion
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.canonical import urn
from security.errors import ConflictError, DeniedError, InvalidError, MissingError
from security.identity.models import User
from security.identity.second_factor import PasskeyAnswer
from security.log.events import Event
from security.log.services import decision as decision_on_record
from security.log.services import record

MAX_TEXT = 5000


def submit(*, acting_user: User, model_version: ModelVersion, note: str = "") -> Review:
    """Ask for the use of a model version under the current policy of its system's tier.

    Raises DeniedError, InvalidError (note), ConflictError (a review is open, exactly this was rejected, the origin of
    the model is unknown, or fewer people than the policy asks for could sign).
    """
    version = ModelVersion.objects.select_related(*MODEL_VERSION_RELATED).get(pk=model_version.pk)
    system = version.model.system
    _must_see(acting_user, system)
    access.require(acting_user, Action.SUBMIT, system)
    text = _text(note, "note", required=False)
    for earlier in reviews().filter(model_version=version, state=ReviewState.IN_REVIEW):
        refresh(earlier)
    with transaction.atomic():
        publish_builtin()
        policy = current(key_for(system))
        if policy is None:
            raise ConflictError(f"There is no published policy for {system.slug}.")
        found = evidence.found(version)
        if not found.ancestry.data:
            raise ConflictError(f"It is not known from which data {version} was made, so nobody can approve it.")
        _not_rejected_as_it_is(version, found.digest)
        _enough_people(acting_user, version, policy)
        review = _create(acting_user, version, policy, found, text)
        payload = {"model_version": str(version.pk), "subject": review.subject_digest, "policy": policy.digest}
        _record(Event.REVIEW_SUBMITTED, acting_user, review, payload)
    return review


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
) -> Vote:
    """Sign a decision. The vote that fills the last seat issues the approval, a rejection ends the review.

    ``password``, and ``code`` or ``passkey`` where a second factor is enrolled: see ``signing.reauthenticate``.
    Returns when the audit log includes it, or after some seconds when it does not yet (``inclusion.places`` tells).

    Raises DeniedError (a builder, no role, a token, voted already, wrong password or second factor, one hand under two
    names), ConflictError (closed, changed
    since it was submitted, a gate that does not pass, the seat is taken), InvalidError (decision, reason).
    """
    choice, text = _decision(decision), _text(reason, "reason")
    _must_see(acting_user, review.system)
    require_a_person(acting_user)
    review = refresh(review)
    _may(acting_user, review, choice)
    subject = urn("review", review.pk)
    proven = reauthenticate(
        acting_user, password, subject=subject, system=review.system.slug, code=code, passkey=passkey
    )
    with decision_on_record():
        review = _lock(review)
        state = _may(acting_user, review, choice)
        if choice is Decision.APPROVE:
            _two_people(acting_user, review, proven.method)
        signed = _sign(acting_user, review, choice=choice, reason=text, role=state.role, proven=proven)
        if choice is Decision.REJECT:
            _close(review, ReviewState.REJECTED)
            _record(Event.REVIEW_REJECTED, acting_user, review, {"vote": str(signed.pk)})
        else:
            _issue_if_complete(acting_user, review)
    return signed


def withdraw(*, acting_user: User, review: Review) -> Review:
    """Take a review back before it is decided. Raises DeniedError, ConflictError."""
    _must_see(acting_user, review.system)
    access.require(acting_user, Action.WITHDRAW, review.system)
    with transaction.atomic():
        locked = _lock(review)
        if not locked.is_open:
            raise ConflictError(f"This review is {locked.state} already; it cannot be withdrawn.")
        _close(locked, ReviewState.WITHDRAWN)
        _record(Event.REVIEW_WITHDRAWN, acting_user, locked, {})
    return locked


def revoke(
    *,
    acting_user: User,
    approval: Approval,
    reason: str,
    password: str,
    code: str = "",
    passkey: PasskeyAnswer | None = None,
) -> Approval:
    """End an approval for good; one person who may is enough, because stopping must be easy.

    Returns when the audit log includes it, or after some seconds when it does not yet.

    Raises DeniedError, InvalidError (reason), ConflictError (revoked already).
    """
    text, review = _text(reason, "reason"), approval.review
    _must_see(acting_user, review.system)
    require_a_person(acting_user)
    access.require(acting_user, Action.REVOKE, review.system)
    subject = urn("approval", approval.pk)
    reauthenticate(acting_user, password, subject=subject, system=review.system.slug, code=code, passkey=passkey)
    with decision_on_record():
        locked = Approval.objects.select_for_update(of=("self",)).select_related(*APPROVAL_RELATED).get(pk=approval.pk)
        if locked.revoked_at is not None:
            raise ConflictError("This approval has been revoked already.")
        locked.revoked_at, locked.revoked_by, locked.revoked_reason = timezone.now(), acting_user, text
        locked.save(update_fields=["revoked_at", "revoked_by", "revoked_reason"])
        record(
            Event.APPROVAL_REVOKED,
            acting_user=acting_user,
            subject=urn("approval", locked.pk),
            system=review.system.slug,
            payload={"approval": str(locked.pk), "digest": records.revocation_digest(locked)},
        )
    return locked


def refresh(review: Review) -> Review:
    """The review as stored now; an open one whose model, data, evidence or policy has changed becomes superseded."""
    with transaction.atomic():
        locked = _lock(review)
        if locked.is_open:
            now = standing(locked)
            if now.stale:
                _close(locked, ReviewState.SUPERSEDED)
                payload = {"was": locked.subject_digest, "is": now.current_digest, "changed": now.changes}
                _record(Event.REVIEW_SUPERSEDED, None, locked, payload)
    return locked


def _lock(review: Review) -> Review:
    return reviews().select_for_update(of=("self",)).get(pk=review.pk)


def _create(
    acting_user: User, version: ModelVersion, policy: PolicyVersion, found: evidence.Found, note: str
) -> Review:
    try:
        with transaction.atomic():
            return Review.objects.create(
                system=version.model.system,
                model_version=version,
                policy_version=policy,
                submitted_by=acting_user,
                note=note,
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
        f"Nobody could decide on this: the {policy.policy.key} policy needs different people as {needed}, none of whom "
        f"had a hand in the model, and {system.slug} has {there}. Ask an administrator to grant the missing role."
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
    if choice is Decision.APPROVE and (stops := stopping(review.model_version)):
        raise ConflictError(f"Approving is not possible now. {' '.join(f'{one}.' for one in stops)}", extra=extra)
    return state


def _two_people(acting_user: User, review: Review, method: str) -> None:
    """No decision by one hand under two names (``signing.require_two_people``)."""
    builders = set(people.excluded_people(review.model_version, review))
    votes = Vote.objects.filter(review=review).select_related("voter")
    require_two_people(acting_user, method, builders=builders, others={vote.voter: vote.method for vote in votes})


def _sign(acting_user: User, review: Review, *, choice: Decision, reason: str, role: str, proven: Proven) -> Vote:
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
    )
    signed.digest = records.vote_digest(signed)
    signed.save(force_insert=True)
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
    return signed


def _issue_if_complete(acting_user: User, review: Review) -> None:
    """Issue the approval if now, with everything read again, every gate passes or is waived and every seat is taken.

    One that rests on waivers ends with the first of them.
    """
    now: Standing = standing(review)
    if not now.complete:
        return
    _close(review, ReviewState.APPROVED)
    issued = review.decided_at or timezone.now()
    waivers = {waiver.pk: waiver for gate in now.gates if gate.waived for waiver in gate.waivers}
    ends = [issued + timedelta(days=now.policy.validity_days), *(waiver.expires_at for waiver in waivers.values())]
    approval = Approval.objects.create(
        review=review,
        model_version=review.model_version,
        issued_at=issued,
        valid_until=min(ends),
        subject_digest=review.subject_digest,
    )
    WaiverUse.objects.bulk_create(WaiverUse(approval=approval, waiver=waiver) for waiver in waivers.values())
    _record(Event.REVIEW_APPROVED, acting_user, review, {"subject": review.subject_digest})
    record(
        Event.APPROVAL_ISSUED,
        acting_user=acting_user,
        subject=urn("approval", approval.pk),
        system=review.system.slug,
        payload={
            "approval": str(approval.pk),
            "digest": records.approval_digest(approval),
            "waivers": sorted(map(str, waivers)),
        },
    )


def _close(review: Review, state: ReviewState) -> None:
    review.state, review.decided_at = state, timezone.now()
    review.save(update_fields=["state", "decided_at"])


def _must_see(acting_user: User, system: AISystem) -> None:
    """What somebody may not view does not exist for them."""
    if not access.allowed(acting_user, Action.VIEW, system):
        raise MissingError("There is no such review, or you have no role in its system.")


def _decision(text: str) -> Decision:
    try:
        return Decision(text)
    except ValueError:
        raise InvalidError("A decision is “approve” or “reject”.", field="decision") from None


def _text(text: str, field: str, *, required: bool = True) -> str:
    cleaned = text.strip()
    if required and not cleaned:
        raise InvalidError("A signature needs a reason, in your own words.", field=field)
    if len(cleaned) > MAX_TEXT:
        raise InvalidError(f"At most {MAX_TEXT:,} characters, please; this has {len(cleaned):,}.", field=field)
    if "\x00" in cleaned:
        raise InvalidError("The text holds a NUL character, which no text has.", field=field)
    return cleaned


def _record(event: Event, acting_user: User | None, review: Review, payload: Mapping[str, Any]) -> None:
    subject = urn("review", review.pk)
    record(event, acting_user=acting_user, subject=subject, system=review.system.slug, payload=payload)
