"""The canonical form of a signature under a policy: what its digest in the audit log is the digest of."""

from __future__ import annotations

from typing import Any

from governance.policymaking.models import DraftSignature
from security.canonical import digest_of
from security.log.services import timestamp


def signature_content(row: DraftSignature) -> dict[str, Any]:
    """A signature as JSON: every part that a person signed."""
    return {
        "id": str(row.pk),
        "draft": str(row.draft_id),
        "signer": str(row.signer_id),
        "printed_name": row.printed_name,
        "role": row.role,
        "reason": row.reason,
        "policy_digest": row.policy_digest,
        "base_digest": row.base_digest,
        "signed_at": timestamp(row.signed_at),
        "reauthenticated_at": timestamp(row.reauthenticated_at),
        "method": row.method,
    }


def signature_digest(row: DraftSignature) -> str:
    """SHA-256 of the canonical form; stands in the event ``policy-draft:signed``."""
    return digest_of(signature_content(row))
