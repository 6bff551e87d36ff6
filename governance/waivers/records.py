"""The canonical form of waivers and of what is decided on them: what their digests in the audit log are digests of."""

from __future__ import annotations

from typing import Any

from governance.waivers.models import Waiver, WaiverDecision
from security.canonical import digest_of
from security.log.services import timestamp


def waiver_content(row: Waiver) -> dict[str, Any]:
    """A waiver as it was asked for, as JSON."""
    return {
        "id": str(row.pk),
        "system": row.system.slug,
        "model_version": str(row.model_version_id),
        "part": row.part,
        "subject_digest": row.subject_digest,
        "reason": row.reason,
        "control": row.control,
        "owner": str(row.owner_id),
        "expires_at": timestamp(row.expires_at),
        "renewal": row.renewal,
        "requested_by": str(row.requested_by_id),
        "requested_at": timestamp(row.requested_at),
    }


def waiver_digest(row: Waiver) -> str:
    """SHA-256 of the canonical form; stands in the event ``waiver:requested``."""
    return digest_of(waiver_content(row))


def decision_content(row: WaiverDecision) -> dict[str, Any]:
    """A decision as JSON: every part that a person signed, and the digest of the waiver that it is about."""
    return {
        "id": str(row.pk),
        "waiver": str(row.waiver_id),
        "waiver_digest": waiver_digest(row.waiver),
        "stage": row.stage,
        "decision": row.decision,
        "person": str(row.person_id),
        "printed_name": row.printed_name,
        "reason": row.reason,
        "subject_digest": row.subject_digest,
        "signed_at": timestamp(row.signed_at),
        "reauthenticated_at": timestamp(row.reauthenticated_at),
        "method": row.method,
    }


def decision_digest(row: WaiverDecision) -> str:
    """SHA-256 of the canonical form; stands in the event of the decision."""
    return digest_of(decision_content(row))
