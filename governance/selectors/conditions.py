"""Conditions of approvals: which there are, who can confirm one, and what the late ones do to an approval."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from governance.models import PASSED, Approval, Condition, ConditionState
from governance.selectors import people
from security.identity.models import User

CONDITION_RELATED = (
    "review__system",
    "review__approval",
    "review__model_version__model__system",
    "review__model_version__artifact",
    "review__model_version__step_run",
    "vote__voter",
    "owner",
    "confirmed_by",
)


def conditions() -> QuerySet[Condition]:
    """Conditions of what was approved, with all that a line shows, what is due first."""
    return Condition.objects.filter(review__state__in=PASSED).select_related(*CONDITION_RELATED)


def to_meet(approval: Approval) -> QuerySet[Condition]:
    """The conditions of one approval that are not met yet."""
    return conditions().filter(review=approval.review_id).exclude(state=ConditionState.MET)


def mine(user: User) -> QuerySet[Condition]:
    """Those that wait for this person: to be met by them, or to be confirmed because they set them."""
    to_meet = Q(owner=user, state=ConditionState.OPEN)
    to_confirm = Q(vote__voter=user, state=ConditionState.REPORTED)
    holding = Q(review__approval__revoked_at=None, review__approval__valid_until__gt=timezone.now())
    return conditions().filter(to_meet | to_confirm).filter(holding)


def why_not_confirm(user: User, condition: Condition) -> str:
    """Why this person cannot confirm a condition or send it back; empty where they can.

    Whoever set it can. Once they no longer hold the role in which they did, anybody who holds it, had no hand in the
    model and does not own the condition can.
    """
    setter, role = condition.vote.voter, condition.vote.role
    if user.acting_token is not None or user.is_service:
        return "Only a person who signs in on the pages can confirm a condition."
    holders = people.role_holders([condition.review.system_id])[condition.review.system_id][role]
    if setter in holders:
        return "" if user == setter else f"{setter} set this condition and confirms it."
    excluded = people.excluded_people(condition.review.model_version, condition.review)
    others = [one for one in holders if one not in excluded and one != condition.owner]
    if user in others:
        return ""
    names = ", ".join(one.full_name for one in others[:5]) or "nobody"
    return f"{setter}, who set this condition, is no {role.replace('-', ' ')} here any more. Eligible: {names}."


def late(approvals: Iterable[Approval], now: datetime) -> dict[UUID, list[Condition]]:
    """Approval → its conditions that suspend it, in one query.

    One suspends from the moment it was due without being confirmed as met. Meeting it late does not lift that by
    itself: only a reinstatement after it was met does.
    """
    reinstated = {approval.pk: approval.reinstated_at for approval in approvals}
    rows = Condition.objects.filter(review__approval__in=list(reinstated), due_at__lte=now)
    found: dict[UUID, list[Condition]] = defaultdict(list)
    for row in rows.select_related("review__approval", "owner"):
        key = row.review.approval.pk
        if row.suspends(now, reinstated[key]):
            found[key].append(row)
    return found
