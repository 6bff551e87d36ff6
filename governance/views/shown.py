"""Evidence, signatures and lineages as the parts of a page want them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils.safestring import SafeString, mark_safe

from governance.models import Decision, GrantAct, Vote
from governance.policy import Policy
from governance.selectors.standing import Seat
from governance.selectors.version_tabs import Told
from pipelines.models import Evidence, ModelVersion
from pipelines.pictures import layered
from pipelines.pictures.reports import ReportPicture
from pipelines.selectors.lineage import Lineage, Node
from security.measurement import Verdict

MAX_DRAWN = 150
_KINDS = {"review": "decision", "vote": "decision", "approval": "decision"}
_VERDICTS = {str(verdict) for verdict in Verdict}
_STATES = {
    "approve": "pass",
    "reject": "fail",
    "approved": "pass",
    "approved-with-conditions": "pass",
    "rejected": "fail",
    "request-changes": "inconclusive",
    "changes-requested": "inconclusive",
}


def evidence_item(one: Told) -> dict[str, Any]:
    """One entry of ``components/evidence.html``."""
    evidence = one.evidence
    return {
        "title": kind_text(evidence.kind),
        "verdict": verdict_of(evidence),
        "url": reverse("evidence", args=[evidence.pk]),
        "summary": evidence.summary,
        "measurements": [row.measurement for row in one.key_figures],
        "subject": evidence.subject.digest,
        "subject_url": reverse("artifact", args=[evidence.subject_id]),
        "run": run_text(evidence),
        "run_url": reverse("run", args=[evidence.step_run.run_id]),
        "at": evidence.created_at,
        "superseded": evidence.superseded_by_id is not None,
    }


def verdict_of(evidence: Evidence) -> str:
    """Its verdict; empty for a check that records that something exists and measures nothing."""
    return evidence.verdict if evidence.measurements or evidence.verdict != Verdict.INCONCLUSIVE else ""


def support_item(item: Any, version: ModelVersion) -> dict[str, Any]:
    """What speaks for an outcome: a piece of evidence, or a fact of the registry or the workflow."""
    if isinstance(item, Evidence):
        return {"verdict": verdict_of(item), "title": kind_text(item.kind), "url": reverse("evidence", args=[item.pk])}
    title = f"{kind_text(item.kind)}: {item.summary}"
    if item.page == "lineage":
        return {"verdict": item.verdict, "title": title, "url": reverse("lineage", args=[version.artifact_id])}
    return {"verdict": item.verdict, "title": title, "url": _address(item.page, item.key)}


def kind_text(kind: str) -> str:
    """``Slice metrics`` for ``slice_metrics``, ``PII report`` for ``pii_report``."""
    return kind.replace("_", " ").capitalize().replace("Pii", "PII")


def run_text(evidence: Evidence) -> str:
    """The run and step that gave it."""
    return f"run {evidence.step_run.run.number}, step {evidence.step_run.name}"


def picture(one: ReportPicture) -> dict[str, Any]:
    """The context of ``components/picture.html``."""
    svg = mark_safe(one.svg)  # noqa: S308 - pictures escape every text
    return {"svg": svg, "title": one.title, "caption": one.caption, "columns": one.columns, "rows": one.rows}


def signatures(seats: Iterable[Seat], votes: Iterable[Vote], policy: Policy) -> list[dict[str, Any]]:
    """Who has signed, as they signed, then the seats that are still empty."""
    steps: dict[str, str] = {step.role: step.why for step in policy.approvals}
    signed = [
        {
            "person": vote.printed_name,
            "role": vote.role.replace("-", " "),
            "decision": vote.decision,
            "reason": vote.reason,
            "at": vote.signed_at,
            "how": vote.method.replace("+", " and "),
            "key": vote.digest,
            "meaning": vote.meaning or _meant(vote, steps),
            "statement": vote.statement_id,
        }
        for vote in votes
    ]
    empty = [
        {"seat_for": f"A {seat.role.replace('-', ' ')}", "meaning": seat.why}
        for seat in seats
        for _ in range(seat.open)
    ]
    return signed + empty


def acts(found: Iterable[GrantAct]) -> list[dict[str, Any]]:
    """What people did to an approval, as they signed it, as ``signatures`` has votes."""
    return [
        {
            "person": act.printed_name,
            "decision": act.kind,
            "reason": act.reason,
            "at": act.signed_at,
            "how": act.method.replace("+", " and "),
            "key": act.digest,
            "meaning": act.meaning,
            "statement": act.statement_id,
        }
        for act in found
    ]


def _meant(vote: Vote, steps: dict[str, str]) -> str:
    """Of a vote from before the list of meanings: what its step of the policy asks for."""
    return steps.get(vote.role, "") if vote.decision == Decision.APPROVE else ""


def lineage_picture(found: Lineage, selected: str, title: str) -> SafeString | None:
    """The lineage drawn, or None when it is too large to be read as a picture.

    Reports are left out: the evidence that they tell of stands for them.
    """
    drawn = [node for node in found.nodes if node.kind != "report" or node.id == selected]
    if not drawn or len(drawn) > MAX_DRAWN:
        return None
    nodes = [_box(node, selected) for node in drawn]
    edges = [layered.Edge(edge.source, edge.target, edge.role) for edge in found.edges]
    return mark_safe(layered.draw(nodes, edges, title))  # noqa: S308 - pictures escape every text


def page_of(node: Node) -> str:
    """The address of a node's page; empty when it has none."""
    return _address(node.page, node.key)


def _address(page: str, key: str) -> str:
    try:
        return reverse(page, args=[key]) if page and key else ""
    except NoReverseMatch:
        return ""


def _box(node: Node, selected: str) -> layered.Node:
    state = _STATES.get(node.state, node.state)
    return layered.Node(
        id=node.id,
        label=node.label.rpartition("/")[2].strip(),
        subtitle=" · ".join(part for part in (node.kind, node.digest[:12] or node.state) if part),
        kind=_KINDS.get(node.kind, node.kind),
        state="" if state in _VERDICTS else state,
        verdict=state if state in _VERDICTS else "",
        href=page_of(node),
        hint=f"{node.kind}: {node.label}" + (f" ({node.state})" if node.state else ""),
        selected=node.id == selected,
    )
