"""Conditions of an approval: set with an approving vote, met by their owner, confirmed by whoever set them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from governance import machines
from governance.machines import ConditionEvent
from governance.models import Condition, GrantAct, GrantActKind, Review, Vote
from governance.selectors.conditions import CONDITION_RELATED, why_not_confirm
from governance.services.common import must_see, text
from governance.services.moves import move, require_version
from governance.services.signing import reauthenticate, require_a_person
from governance.services.statements import signed_act
from security.access import selectors as access
from security.access.table import Action
from security.canonical import digest_of, urn
from security.errors import ConflictError, DeniedError, InvalidError
from security.identity.models import User
from security.identity.second_factor import PasskeyAnswer
from security.log.events import Event
from security.log.services import decision as decision_on_record
from security.log.services import record, timestamp

MAX_CONDITIONS = 10
MAX_CONDITION = 1000


@dataclass(frozen=True)
class Wanted:
    """A condition as it will be set: what has to be done, by whom, until when."""

    text: str
    owner: User
    due_at: datetime

    def content(self) -> dict[str, str]:
        """As it stands in the vote that sets it."""
        return {"text": self.text, "owner": str(self.owner.pk), "due_at": timestamp(self.due_at)}


def wanted(given: Iterable[Mapping[str, Any]], *, review: Review, acting_user: User) -> list[Wanted]:
    """What a person asks for with their vote, checked.

    ``given``: text, owner (a username), due (a date: its end in UTC) of each. Raises InvalidError (field
    ``conditions``) for more than ten, no text, an owner who cannot see the system, is no person or is the one who sets
    it, or a day that is over or beyond what the policy's approvals last.
    """
    rows = list(given)
    if len(rows) > MAX_CONDITIONS:
        raise InvalidError(f"At most {MAX_CONDITIONS} conditions, please.", field="conditions")
    owners = {str(row["owner"]).strip() for row in rows}
    found = {user.username: user for user in User.objects.filter(username__in=owners, is_active=True, is_service=False)}
    return [_wanted(row, found, review=review, acting_user=acting_user) for row in rows]


def _wanted(row: Mapping[str, Any], found: Mapping[str, User], *, review: Review, acting_user: User) -> Wanted:
    what = text(str(row["text"]), "conditions", limit=MAX_CONDITION)
    owner = found.get(str(row["owner"]).strip())
    if owner is None or not access.allowed(owner, Action.VIEW, review.system):
        raise InvalidError(f"Nobody called “{row['owner']}” has a role in {review.system.slug}.", field="conditions")
    if owner == acting_user:
        raise InvalidError("Whoever sets a condition confirms it, so somebody else must own it.", field="conditions")
    due = datetime.combine(row["due"], time(23, 59, 59), UTC)
    last = timezone.now() + timedelta(days=review.policy_version.policy.validity_days)
    if not timezone.now() < due <= last:
        raise InvalidError(f"A condition is due from today to {last:%Y-%m-%d}, not {due:%Y-%m-%d}.", field="conditions")
    return Wanted(what, owner, due)


def set_conditions(vote: Vote, conditions: Iterable[Wanted], *, acting_user: User) -> None:
    """Store the conditions of a vote that was just signed, in the caller's transaction."""
    for number, one in enumerate(conditions, 1):
        condition = Condition.objects.create(
            review=vote.review, vote=vote, number=number, text=one.text, owner=one.owner, due_at=one.due_at
        )
        _record(Event.CONDITION_SET, acting_user, condition, {"vote": str(vote.pk), "digest": digest_of(one.content())})


def report(*, acting_user: User, condition: Condition, note: str, expected_version: int | None = None) -> Condition:
    """Say that a condition is met, and how; its owner alone can. Raises DeniedError, InvalidError, ConflictError."""
    must_see(acting_user, condition.review.system, "condition")
    said = text(note, "note")
    with transaction.atomic():
        locked = _lock(condition)
        if acting_user != locked.owner or acting_user.acting_token is not None:
            raise DeniedError(f"Only its owner, {locked.owner}, signed in on the pages, can say that it is met.")
        _required(locked)
        require_version(locked, machines.CONDITION, expected_version)
        move(locked, machines.CONDITION, ConditionEvent.REPORT, note=said, reported_at=timezone.now())
        _record(Event.CONDITION_REPORTED, acting_user, locked, {"note": digest_of(said)})
    return locked


def send_back(*, acting_user: User, condition: Condition, note: str, expected_version: int | None = None) -> Condition:
    """Say that what was reported does not meet a condition, and why; whoever could confirm it can.

    Raises DeniedError, InvalidError, ConflictError.
    """
    must_see(acting_user, condition.review.system, "condition")
    said = text(note, "note")
    with transaction.atomic():
        locked = _lock(condition)
        _may_confirm(acting_user, locked)
        require_version(locked, machines.CONDITION, expected_version)
        move(locked, machines.CONDITION, ConditionEvent.RETURN, note=said, reported_at=None)
        _record(Event.CONDITION_RETURNED, acting_user, locked, {"note": digest_of(said)})
    return locked


def confirm(
    *,
    acting_user: User,
    condition: Condition,
    reason: str,
    password: str,
    code: str = "",
    passkey: PasskeyAnswer | None = None,
    expected_version: int | None = None,
) -> Condition:
    """Sign that a reported condition is met. Only that ends it, and only before it is due without a suspension.

    Raises DeniedError, InvalidError (reason), ConflictError (nothing was reported, or it is met already).
    """
    must_see(acting_user, condition.review.system, "condition")
    require_a_person(acting_user)
    why, system = text(reason, "reason"), condition.review.system
    _may_confirm(acting_user, condition)
    subject = urn("condition", condition.pk)
    proven = reauthenticate(acting_user, password, subject=subject, system=system.slug, code=code, passkey=passkey)
    with decision_on_record():
        locked = _lock(condition)
        _may_confirm(acting_user, locked)
        require_version(locked, machines.CONDITION, expected_version)
        move(locked, machines.CONDITION, ConditionEvent.CONFIRM, met_at=timezone.now(), confirmed_by=acting_user)
        act = signed_act(
            GrantAct(approval=locked.review.approval, kind=GrantActKind.CONFIRM, condition=locked, reason=why),
            acting_user=acting_user,
            proven=proven,
        )
        _record(Event.CONDITION_MET, acting_user, locked, {"act": act.digest})
    return locked


def _may_confirm(acting_user: User, condition: Condition) -> None:
    why_not = why_not_confirm(acting_user, condition)
    if why_not:
        raise DeniedError(why_not)
    _required(condition)


def _required(condition: Condition) -> None:
    if getattr(condition.review, "approval", None) is None:
        raise ConflictError("Nothing was approved with this condition, so there is nothing to meet.")


def _lock(condition: Condition) -> Condition:
    rows = Condition.objects.select_for_update(of=("self",)).select_related(*CONDITION_RELATED)
    return rows.get(pk=condition.pk)


def _record(event: Event, acting_user: User, condition: Condition, payload: Mapping[str, Any]) -> None:
    subject, told = urn("condition", condition.pk), {"review": str(condition.review_id), **payload}
    record(event, acting_user=acting_user, subject=subject, system=condition.review.system.slug, payload=told)
