"""Answers to the questionnaire that this release ships, systems that were assessed, risks and incidents."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.utils import timezone

from governance.risk.models import (
    Assessment,
    Incident,
    IncidentEntry,
    Risk,
    RiskAcceptance,
    RiskRevision,
    SystemProfile,
    TierChange,
)
from governance.risk.services import assessments, incidents, profiles, register, tiers
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


def in_a_month() -> date:
    """The last day for which the acceptances of the tests hold."""
    return timezone.now().date() + timedelta(days=30)


def describe(user: User, system: AISystem) -> SystemProfile:
    return profiles.describe(acting_user=user, system=system, **DESCRIBED)


def answer(user: User, system: AISystem, answers: dict[str, list[str]] = LOW) -> Assessment:
    return assessments.answer(acting_user=user, system=system, answers=answers)


def lower(user: User, assessment: Assessment, **more: str) -> TierChange:
    given = {"reason": "Nothing is decided with it.", "password": PASSWORD, **more}
    return tiers.lower_tier(acting_user=user, assessment=assessment, **given)


def open_risk(user: User, system: AISystem, **content: Any) -> RiskRevision:
    """A risk, written down by ``user``; ``content`` replaces what does not matter to the caller."""
    given = {"title": "It drifts", "treatment": "reduce", "owner": "olga", "source": "person", **content}
    return register.open_risk(acting_user=user, system=system, **given)


def revise(user: User, risk: Risk, **content: Any) -> RiskRevision:
    """The next revision of a risk, after the newest one unless ``seen`` says otherwise."""
    given = {"title": "It drifts", "treatment": "reduce", "owner": "olga", "seen": risk.revisions.count(), **content}
    return register.revise(acting_user=user, risk=risk, **given)


def accept(user: User, risk: Risk, **more: Any) -> RiskAcceptance:
    """A signature under what is left of a risk, for a month."""
    given = {"until": in_a_month(), "reason": "It can be borne.", "password": PASSWORD, **more}
    given.setdefault("seen", risk.revisions.count())
    return register.accept(acting_user=user, risk=risk, **given)


def report(user: User, system: AISystem, severity: str = "serious", **more: Any) -> Incident:
    given = {"title": "Wrong refusals", "what": "Twelve applicants were refused by mistake.", **more}
    return incidents.open_incident(acting_user=user, system=system, severity=severity, **given)


def close(user: User, incident: Incident, **more: str) -> IncidentEntry:
    return incidents.close(acting_user=user, incident=incident, **{"what": "Mended.", "password": PASSWORD, **more})
