"""The canonical form of what is on record about risk: what its digests in the audit log are digests of."""

from __future__ import annotations

from datetime import datetime

from governance.risk.models import Assessment, SystemProfile, TierChange
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


def _time(moment: datetime | None) -> str:
    return timestamp(moment) if moment else ""
