"""Lineage with the decisions in it: source file → data sets → model → evidence → reviews → votes → approval."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import UUID

from governance.models import Approval, Review
from governance.selectors import approvals
from governance.selectors.standing import REVIEW_RELATED, Standing, standings
from pipelines.selectors import lineage
from pipelines.selectors.lineage import Direction, Edge, Lineage, Node
from security.canonical import urn
from security.vault.models import Artifact


def graph(artifact: Artifact, direction: Direction = "both", depth: int = 10) -> Lineage:
    """The lineage of one artifact, and the reviews, votes and approvals of every model version in it."""
    base = lineage.graph(artifact, direction, depth)
    present = {node.id for node in base.nodes}
    versions = [UUID(node.key) for node in base.nodes if node.page == "model-version"]
    reviews = Review.objects.filter(model_version__in=versions).select_related(*REVIEW_RELATED).order_by("submitted_at")
    now = standings(reviews)
    issued = {row.review_id: row for row in approvals.rows().filter(review__in=now)}
    states = approvals.statuses(issued.values())
    nodes, edges = list(base.nodes), list(base.edges)
    for one in now.values():
        nodes.extend(_review_nodes(one))
        edges.extend(edge for edge in _review_edges(one) if edge.source in present)
        edges.extend(_vote_edges(one))
        if (approval := issued.get(one.review.pk)) is not None:
            nodes.append(_approval_node(approval, states[approval.pk]))
            edges.append(Edge(urn("review", one.review.pk), urn("approval", approval.pk), "issued"))
    return Lineage(nodes, edges, base.truncated)


def _review_nodes(now: Standing) -> Iterator[Node]:
    review, key = now.review, str(now.review.pk)
    facts = {"submitted_by": str(review.submitted_by_id), "submitted_at": review.submitted_at.isoformat()}
    label = f"review of {review.model_version}"
    yield Node(urn("review", key), "review", label, review.subject_digest, now.state, "review", key, facts)
    for vote in now.votes:
        signed = {"role": vote.role, "voter": str(vote.voter_id), "signed_at": vote.signed_at.isoformat()}
        label = f"{vote.printed_name}, {vote.role.replace('-', ' ')}"
        yield Node(urn("vote", vote.pk), "vote", label, vote.digest, vote.decision, "review", key, signed)


def _review_edges(now: Standing) -> Iterable[Edge]:
    """From the model, and from the evidence that the review's subject binds."""
    review = urn("review", now.review.pk)
    yield Edge(urn("artifact", now.review.model_version.artifact_id), review, "is reviewed in")
    bound = {row["digest"] for row in now.review.subject["evidence"]}
    for row in now.evidence:
        if row.digest in bound:
            yield Edge(urn("evidence", row.pk), review, "is bound by")


def _vote_edges(now: Standing) -> Iterator[Edge]:
    for vote in now.votes:
        yield Edge(urn("vote", vote.pk), urn("review", now.review.pk), vote.decision)


def _approval_node(approval: Approval, state: str) -> Node:
    facts = {"issued_at": approval.issued_at.isoformat(), "valid_until": approval.valid_until.isoformat()}
    key = str(approval.review_id)
    label = f"approval until {approval.valid_until:%Y-%m-%d}"
    return Node(urn("approval", approval.pk), "approval", label, approval.subject_digest, state, "review", key, facts)
