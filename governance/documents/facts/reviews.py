"""Facts about decisions: the report of one review, and the certificate of one approval."""

from __future__ import annotations

from typing import Any

from governance.documents.facts import cards, parts
from governance.models import Approval, Review
from governance.selectors import approvals, evidence, inclusion
from pipelines.models import Evidence


def validation_report(review: Review) -> dict[str, Any]:
    """One review: what was asked, the evidence that its votes bind, the gates of its policy over exactly that, the
    signatures, and what was decided. Evidence that came later has no part in it."""
    version = review.model_version
    bound = bound_evidence(review)
    approval = approvals.rows().filter(review=review).first()
    found = evidence.found(version)
    return {
        "model": parts.version(version),
        "run": parts.run(version.step_run.run),
        "data": cards.data_of({version.pk: found})[version.pk],
        "review": parts.review(review),
        "gates": [parts.gate(gate) for gate in evidence.judge(review.policy_version.policy, bound)],
        "evidence": parts.sorted_evidence(bound),
        "changed_since": sorted(set(_changes(review, found))),
        "signatures": [parts.vote(vote) for vote in review.votes.order_by("signed_at", "pk")],
        "approval": parts.approval(approval, approvals.status(approval, found=found)) if approval else None,
        "builders": cards.builders([version])[version.pk],
        "log": places(review, approval),
    }


def approval_certificate(approval: Approval) -> dict[str, Any]:
    """One approval: exactly what it covers, who signed it and when, until when it holds, and where the log has it."""
    review = approval.review
    return {
        "model": parts.version(approval.model_version),
        "review": parts.review(review),
        "approval": parts.approval(approval, approvals.status(approval)),
        "signatures": [parts.vote(vote) for vote in review.votes.order_by("signed_at", "pk")],
        "log": places(review, approval),
    }


def bound_evidence(review: Review) -> list[Evidence]:
    """The evidence that a review's subject names, by kind."""
    digests = {row["digest"] for row in review.subject["evidence"]}
    rows = Evidence.objects.filter(digest__in=digests, system=review.system)
    found = rows.select_related("subject", "report", "step_run").order_by("kind", "created_at", "pk")
    named = {(row["kind"], row["subject"], row["digest"]) for row in review.subject["evidence"]}
    unique: dict[tuple[str, str, str], Evidence] = {}
    for row in found:
        key = (row.kind, row.subject.digest, row.digest)
        if key in named:
            unique.setdefault(key, row)
    return list(unique.values())


def places(review: Review, approval: Approval | None) -> list[dict[str, Any]]:
    """Where the audit log has the decisions of a review; ``index`` is -1 while it has no number for one."""
    return [
        {"event": place.event, "time": parts.time(place.time), "index": -1 if place.index is None else place.index}
        for place in inclusion.places(review, approval)
    ]


def _changes(review: Review, found: evidence.Found) -> list[str]:
    return [part for part in review.subject if review.subject[part] != found.subject.get(part)]
