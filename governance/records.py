"""The canonical form of votes and approvals: what their digests in the audit log are digests of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from governance.models import Approval, Condition, GrantAct, Review, Signature, Vote
from security.canonical import digest_of
from security.log.services import timestamp


def vote_content(vote: Vote) -> dict[str, Any]:
    """A vote as JSON: every part that a person signed. Votes from before there were meanings and statements hold
    neither, so that their digests stay."""
    return {
        "id": str(vote.pk),
        "review": str(vote.review_id),
        "voter": str(vote.voter_id),
        "printed_name": vote.printed_name,
        "role": vote.role,
        "decision": str(vote.decision),
        "reason": vote.reason,
        "subject_digest": vote.subject_digest,
        "signed_at": timestamp(vote.signed_at),
        "reauthenticated_at": timestamp(vote.reauthenticated_at),
        "method": vote.method,
        **({"conditions": vote.conditions} if vote.conditions else {}),
        **({"environments": vote.review.environments} if vote.review.environments else {}),
        **_since_statements(vote),
    }


def vote_digest(vote: Vote) -> str:
    """SHA-256 of the canonical form; stands in the event ``vote:cast``."""
    return digest_of(vote_content(vote))


def approval_content(approval: Approval) -> dict[str, Any]:
    """An approval as it was issued, as JSON."""
    return {
        "id": str(approval.pk),
        "review": str(approval.review_id),
        "model_version": str(approval.model_version_id),
        "issued_at": timestamp(approval.issued_at),
        "valid_until": timestamp(approval.valid_until),
        "subject_digest": approval.subject_digest,
        **({"environments": approval.environments} if approval.environments else {}),
    }


def approval_digest(approval: Approval) -> str:
    """SHA-256 of the canonical form; stands in the event ``approval:issued``."""
    return digest_of(approval_content(approval))


def revocation_content(approval: Approval) -> dict[str, Any]:
    """Who ended an approval, when and why, as JSON."""
    return {
        "approval": str(approval.pk),
        "revoked_at": _time(approval.revoked_at),
        "revoked_by": str(approval.revoked_by_id),
        "reason": approval.revoked_reason,
    }


def revocation_digest(approval: Approval) -> str:
    """SHA-256 of the canonical form; stands in the event ``approval:revoked``."""
    return digest_of(revocation_content(approval))


def condition_content(condition: Condition) -> dict[str, Any]:
    """A condition as JSON: as it was signed, and what became of it."""
    return {
        "id": str(condition.pk),
        "vote": str(condition.vote_id),
        "number": condition.number,
        "signed": {
            "text": condition.text,
            "owner": str(condition.owner_id),
            "due_at": timestamp(condition.due_at),
        },
        "state": str(condition.state),
        "met_at": _time(condition.met_at),
    }


def act_content(act: GrantAct) -> dict[str, Any]:
    """What somebody did to an approval, as JSON: every part that they signed."""
    return {
        "id": str(act.pk),
        "approval": str(act.approval_id),
        "signer": str(act.signer_id),
        "printed_name": act.printed_name,
        "kind": str(act.kind),
        **({"condition": str(act.condition_id)} if act.condition_id else {}),
        "reason": act.reason,
        "subject_digest": act.subject_digest,
        "signed_at": timestamp(act.signed_at),
        "reauthenticated_at": timestamp(act.reauthenticated_at),
        "method": act.method,
        **_since_statements(act),
    }


def act_digest(act: GrantAct) -> str:
    """SHA-256 of the canonical form; stands in the event of the act."""
    return digest_of(act_content(act))


def review_content(review: Review) -> dict[str, Any]:
    """A review as JSON, with the subject that its votes bind."""
    return {
        "id": str(review.pk),
        "system": review.system.slug,
        "model_version": str(review.model_version_id),
        "policy_version": str(review.policy_version_id),
        "state": str(review.state),
        "submitted_by": str(review.submitted_by_id),
        "submitted_at": timestamp(review.submitted_at),
        "decided_at": _time(review.decided_at),
        "note": review.note,
        "environments": review.environments,
        "reinstates": str(review.reinstates_id or ""),
        "subject": review.subject,
        "subject_digest": review.subject_digest,
    }


def _since_statements(row: Signature) -> dict[str, str]:
    """The meaning, and the digest of the envelope once there is one."""
    found = {"meaning": row.meaning, "statement": row.statement.digest if row.statement else ""}
    return {name: value for name, value in found.items() if value}


def _time(moment: datetime | None) -> str:
    return timestamp(moment) if moment else ""
