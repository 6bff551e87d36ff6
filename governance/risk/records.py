"""The canonical form of what is on record about risk: what its digests in the audit log are digests of."""

from __future__ import annotations

from datetime import datetime

from governance.risk.models import (
    Assessment,
    IncidentEntry,
    RiskAcceptance,
    RiskRevision,
    SystemProfile,
    TierChange,
)
from security.canonical import digest_of
from security.log.services import timestamp


def profile_digest(profile: SystemProfile) -> str:
    """SHA-256 of the canonical form; stands in the event ``profile:written``."""
    return digest_of(
        {
            "id": str(profile.pk),
            "system": str(profile.system_id),
            "number": profile.number,
            "purpose": profile.purpose,
            "users": profile.users,
            "affected_people": profile.affected_people,
            "deployment_context": profile.deployment_context,
            "data_categories": profile.data_categories,
            "written_by": str(profile.written_by_id),
            "written_at": timestamp(profile.written_at),
        }
    )


def assessment_digest(assessment: Assessment) -> str:
    """SHA-256 of the canonical form; stands in the event ``assessment:recorded``, and is what a lowering signs."""
    return digest_of(
        {
            "id": str(assessment.pk),
            "system": str(assessment.system_id),
            "number": assessment.number,
            "questionnaire": assessment.questionnaire_digest,
            "profile": profile_digest(assessment.profile) if assessment.profile else "",
            "answers": assessment.answers,
            "note": assessment.note,
            "score": assessment.score,
            "tier": assessment.tier,
            "reasons": assessment.reasons,
            "built": assessment.built,
            "answered_by": str(assessment.answered_by_id),
            "answered_at": timestamp(assessment.answered_at),
        }
    )


def tier_change_digest(change: TierChange) -> str:
    """SHA-256 of the canonical form; stands in the events ``tier:raised`` and ``tier:lowered``."""
    return digest_of(
        {
            "id": str(change.pk),
            "system": str(change.system_id),
            "number": change.number,
            "before": change.before,
            "after": change.after,
            "reason": change.reason,
            "assessment": change.assessment.digest if change.assessment else "",
            "changed_by": str(change.changed_by_id),
            "changed_at": timestamp(change.changed_at),
            "printed_name": change.printed_name,
            "reauthenticated_at": _time(change.reauthenticated_at),
            "method": change.method,
        }
    )


def revision_digest(revision: RiskRevision) -> str:
    """SHA-256 of the canonical form; stands in the events ``risk:opened`` and ``risk:revised``."""
    return digest_of(
        {
            "id": str(revision.pk),
            "risk": str(revision.risk_id),
            "number": revision.number,
            "title": revision.title,
            "description": revision.description,
            "likelihood": revision.likelihood,
            "impact": revision.impact,
            "controls": revision.controls,
            "residual_likelihood": revision.residual_likelihood,
            "residual_impact": revision.residual_impact,
            "treatment": str(revision.treatment),
            "owner": str(revision.owner_id),
            "due": revision.due.isoformat() if revision.due else "",
            "closed": revision.closed,
            "note": revision.note,
            "written_by": str(revision.written_by_id),
            "written_at": timestamp(revision.written_at),
        }
    )


def acceptance_digest(acceptance: RiskAcceptance) -> str:
    """SHA-256 of the canonical form; stands in the event ``risk:accepted``."""
    return digest_of(
        {
            "id": str(acceptance.pk),
            "revision": acceptance.revision.digest,
            "until": acceptance.until.isoformat(),
            "reason": acceptance.reason,
            "accepted_by": str(acceptance.accepted_by_id),
            "accepted_at": timestamp(acceptance.accepted_at),
            "printed_name": acceptance.printed_name,
            "reauthenticated_at": timestamp(acceptance.reauthenticated_at),
            "method": acceptance.method,
        }
    )


def entry_digest(entry: IncidentEntry) -> str:
    """SHA-256 of the canonical form; stands in the events of the incident."""
    return digest_of(
        {
            "id": str(entry.pk),
            "incident": str(entry.incident_id),
            "number": entry.number,
            "kind": entry.kind,
            "text": entry.text,
            "severity": str(entry.severity),
            "happened_at": timestamp(entry.happened_at),
            "written_by": str(entry.written_by_id),
            "written_at": timestamp(entry.written_at),
            "printed_name": entry.printed_name,
            "reauthenticated_at": _time(entry.reauthenticated_at),
            "method": entry.method,
        }
    )


def _time(moment: datetime | None) -> str:
    return timestamp(moment) if moment else ""
