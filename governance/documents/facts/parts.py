"""Rows as the JSON that several documents share."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from governance import frameworks, records
from governance.models import Approval, PolicyVersion, Review, Vote
from governance.selectors.evidence import Gate
from governance.selectors.people import Part
from pipelines.models import DatasetVersion, Evidence, ModelVersion, Run
from security.access.models import AISystem
from security.canonical import urn
from security.identity.models import User
from security.log.services import timestamp


def time(moment: datetime | None) -> str:
    """RFC 3339 in UTC, empty for none."""
    return timestamp(moment) if moment is not None else ""


def person(user: User | None) -> dict[str, str]:
    """Who: id and the name as it is written now; empty for nobody."""
    return {"id": str(user.pk), "name": user.full_name} if user is not None else {"id": "", "name": ""}


def system(row: AISystem) -> dict[str, Any]:
    """An AI system (with ``owner``)."""
    return {
        "id": str(row.pk),
        "slug": row.slug,
        "name": row.name,
        "purpose": row.purpose,
        "tier": row.tier,
        "owner": person(row.owner),
        "created_at": time(row.created_at),
    }


def version(row: ModelVersion) -> dict[str, Any]:
    """A model version (with model, artifact and author)."""
    return {
        "id": str(row.pk),
        "model": row.model.name,
        "description": row.model.description,
        "number": row.number,
        "digest": row.artifact.digest,
        "bytes": row.artifact.size,
        "media_type": row.artifact.media_type,
        "registered_at": time(row.created_at),
        "registered_by": person(row.created_by),
    }


def run(row: Run) -> dict[str, Any]:
    """A run (with its pipeline version and author): what makes the result repeatable. The seed may exceed 2^53."""
    return {
        "id": str(row.pk),
        "pipeline": row.version.pipeline.name,
        "pipeline_version": row.version.number,
        "pipeline_digest": row.version.digest,
        "number": row.number,
        "seed": str(row.seed),
        "code": row.code,
        "environment": row.environment,
        "created_by": person(row.created_by),
        "finished_at": time(row.finished_at),
    }


def evidence(row: Evidence) -> dict[str, Any]:
    """A result (with subject, report and step), and what its kind means."""
    known = frameworks.evidence_kinds().get(row.kind)
    return {
        "id": str(row.pk),
        "kind": row.kind,
        "about": known.description if known else "",
        "uses": row.uses,
        "subject": row.subject.digest,
        "verdict": row.verdict,
        "summary": row.summary,
        "measurements": row.measurements,
        "report": row.report.digest if row.report else "",
        "digest": row.digest,
        "created_at": time(row.created_at),
    }


def gate(row: Gate) -> dict[str, Any]:
    """What a requirement of the policy says to the evidence."""
    return {
        "kind": row.kind,
        "must": row.must,
        "question": row.question,
        "why": row.why,
        "verdict": str(row.verdict),
        "reason": row.reason,
        "evidence": [one.digest for one in row.evidence],
        "outcomes": [one.id for one in frameworks.subcategories() if row.kind in one.evidence],
    }


def vote(row: Vote) -> dict[str, Any]:
    """A signature as it was signed, and the digest that stands in the log."""
    return {**records.vote_content(row), "digest": row.digest}


def policy(row: PolicyVersion) -> dict[str, Any]:
    """A published policy by tier, number and digest."""
    parsed = row.policy
    return {
        "tier": row.tier,
        "number": row.number,
        "digest": row.digest,
        "title": parsed.title,
        "why": parsed.why,
        "validity_days": parsed.validity_days,
        "published_at": time(row.published_at),
        "approvals": [{"role": step.role, "people": step.people, "why": step.why} for step in parsed.approvals],
    }


def review(row: Review) -> dict[str, Any]:
    """A review (with system, policy version and submitter), what its votes bind included."""
    return {**records.review_content(row), "submitter": person(row.submitted_by), "policy": policy(row.policy_version)}


def approval(row: Approval, status: str) -> dict[str, Any]:
    """An approval (with ``revoked_by``) and whether it held when it was read."""
    return {
        **records.approval_content(row),
        "digest": records.approval_digest(row),
        "status": status,
        "revoked_at": time(row.revoked_at),
        "revoked_by": person(row.revoked_by),
        "revoked_reason": row.revoked_reason,
    }


def part(row: Part, names: dict[Any, str]) -> dict[str, str]:
    """What somebody did for a model."""
    return {
        "user": str(row.user),
        "name": names.get(row.user, ""),
        "kind": row.kind,
        "subject": urn(*row.subject),
        "at": time(row.at),
        "text": row.text,
    }


def dataset_version(row: DatasetVersion) -> dict[str, Any]:
    """A dataset version (with dataset and artifact)."""
    return {
        "id": str(row.pk),
        "dataset": row.dataset.name,
        "number": row.number,
        "digest": row.artifact.digest,
        "rows": row.rows,
        "columns": row.columns,
        "created_at": time(row.created_at),
    }


def sorted_evidence(rows: Iterable[Evidence]) -> list[dict[str, Any]]:
    """Results by kind, then by time."""
    return [evidence(row) for row in sorted(rows, key=lambda row: (row.kind, row.created_at, row.pk))]
