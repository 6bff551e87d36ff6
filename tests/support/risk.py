"""Answers to the questionnaire that this release ships, and systems that were described and assessed."""

from __future__ import annotations

from typing import Any

from governance.risk.models import Assessment, SystemProfile, TierChange
from governance.risk.services import assessments, profiles, tiers
from security.access.models import AISystem
from security.identity.models import User
from tests.support.people import PASSWORD

DESCRIBED: dict[str, Any] = {
    "users": "Two clerks.",
    "affected_people": "Nobody outside.",
    "deployment_context": "A laptop.",
    "data_categories": ["measurements of cells"],
}
LOW: dict[str, list[str]] = {
    "area": ["none"],
    "affected": ["nobody"],
    "autonomy": ["nothing"],
    "harm": ["nothing"],
    "reversal": ["at-once"],
    "scale": ["few"],
    "data": ["published"],
    "oversight": ["days"],
    "explanation": ["exact"],
    "adversaries": ["nobody"],
    "dependence": ["nothing"],
}
MEDIUM = LOW | {
    "area": ["commerce"],
    "affected": ["customers"],
    "autonomy": ["proposes"],
    "harm": ["money"],
    "reversal": ["on-request"],
    "scale": ["many"],
}
HIGH = LOW | {"area": ["credit"]}


def describe(user: User, system: AISystem) -> SystemProfile:
    return profiles.describe(acting_user=user, system=system, **DESCRIBED)


def answer(user: User, system: AISystem, answers: dict[str, list[str]] = LOW) -> Assessment:
    return assessments.answer(acting_user=user, system=system, answers=answers)


def lower(user: User, assessment: Assessment, **more: str) -> TierChange:
    given = {"reason": "Nothing is decided with it.", "password": PASSWORD, **more}
    return tiers.lower_tier(acting_user=user, assessment=assessment, **given)
