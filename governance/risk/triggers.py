"""The tables of risk that are insert-only, for both databases; installed by migrations."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

from governance import triggers

TABLES = {
    "risk_questionnaireversion": "published questionnaires",
    "risk_systemprofile": "profiles of systems",
    "risk_assessment": "assessments",
    "risk_tierchange": "changes of tier",
    "risk_risk": "risks",
    "risk_riskrevision": "revisions of risks",
    "risk_riskacceptance": "acceptances of risks",
    "risk_incidententry": "entries of incidents",
}


def install(connection: BaseDatabaseWrapper) -> None:
    """Create the triggers; harmless when they exist already."""
    triggers.install(connection, TABLES)


def remove(connection: BaseDatabaseWrapper) -> None:
    """Drop the triggers (the test database's flush and documented emergencies only)."""
    triggers.remove(connection, TABLES)
