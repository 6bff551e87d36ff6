"""What a review that everybody signed leads to: an approval, or that a suspended one holds again."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from governance import machines, records
from governance.machines import GrantEvent, RequestEvent
from governance.models import Approval, GrantState, Review
from governance.selectors import approvals
from governance.selectors.conditions import late
from governance.selectors.standing import Standing
from governance.services.grants import lock, record_about
from governance.services.moves import move
from pipelines.models import Model
from security.canonical import urn
from security.errors import ConflictError
from security.identity.models import User
from security.log.events import Event
from security.log.services import record


def conclude(acting_user: User, now: Standing) -> None:
    """End a review whose every gate passes and whose every seat is taken, in the transaction of its last vote."""
    review = now.review
    with_conditions = review.conditions.exists()
    event = RequestEvent.APPROVE_WITH_CONDITIONS if with_conditions else RequestEvent.APPROVE
    move(review, machines.REQUEST, event, decided_at=timezone.now())
    payload = {"subject": review.subject_digest}
    if review.reinstates is not None:
        payload["reinstates"] = str(review.reinstates_id)
    subject, system = urn("review", review.pk), review.system.slug
    record(Event.REVIEW_APPROVED, acting_user=acting_user, subject=subject, system=system, payload=payload)
    if review.reinstates is None:
        _issue(acting_user, now, review.decided_at or timezone.now())
    else:
        _reinstate(acting_user, review, review.reinstates)


def why_not_reinstate(approval: Approval) -> str:
    """Why an approval cannot be reinstated now; empty where it can."""
    status = approvals.status(approval)
    if status != "suspended":
        return f"This approval is {status}; only one that is suspended can be reinstated."
    unmet = [one for one in late([approval], timezone.now()).get(approval.pk, ()) if one.met_at is None]
    if unmet:
        listed = "; ".join(f"“{one.text[:80]}” of {one.owner}" for one in unmet[:3])
        return f"Before it can hold again, what is overdue must be met and confirmed: {listed}."
    return ""


def suspend_late(approval: Approval) -> bool:
    """Record of an approval whose condition is overdue that it is suspended, which it reads as already."""
    locked = lock(approval)
    found = late([locked], timezone.now()).get(locked.pk, ())
    if locked.state != GrantState.ACTIVE or not found:
        return False
    move(locked, machines.GRANT, GrantEvent.SUSPEND)
    record_about(Event.APPROVAL_SUSPENDED, None, locked, {"conditions": [str(one.pk) for one in found]})
    return True


def _issue(acting_user: User, now: Standing, issued: datetime) -> None:
    review = now.review
    Model.objects.select_for_update().get(pk=review.model_version.model_id)  # one after the other for each model
    approval = Approval(
        review=review,
        model_version=review.model_version,
        environments=review.environments,
        issued_at=issued,
        valid_until=issued + timedelta(days=now.policy.validity_days),
        subject_digest=review.subject_digest,
    )
    earlier = approvals.superseded_by(approval)
    approval.save(force_insert=True)
    record_about(Event.APPROVAL_ISSUED, acting_user, approval, {"digest": records.approval_digest(approval)})
    for one in earlier:
        record_about(Event.APPROVAL_SUPERSEDED, acting_user, one, {"by": str(approval.pk)})


def _reinstate(acting_user: User, review: Review, approval: Approval) -> None:
    suspend_late(approval)
    locked = lock(approval)
    why_not = why_not_reinstate(locked)
    if why_not:
        raise ConflictError(why_not)
    move(locked, machines.GRANT, GrantEvent.REINSTATE, reinstated_at=timezone.now())
    record_about(Event.APPROVAL_REINSTATED, acting_user, locked, {"review": str(review.pk)})
