"""The tables of risk."""

from governance.risk.models.incidents import GRAVE, Incident, IncidentEntry, Severity
from governance.risk.models.register import Risk, RiskAcceptance, RiskRevision, Source, Treatment
from governance.risk.models.tiers import Assessment, QuestionnaireVersion, SystemProfile, TierChange

__all__ = [
    "GRAVE",
    "Assessment",
    "Incident",
    "IncidentEntry",
    "QuestionnaireVersion",
    "Risk",
    "RiskAcceptance",
    "RiskRevision",
    "Severity",
    "Source",
    "SystemProfile",
    "TierChange",
    "Treatment",
]
