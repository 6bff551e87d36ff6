"""What could be used at a moment, approved by whom, on which evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.documents.outlines import parts, reviews
from governance.documents.outlines.parts import column, section

Given = Mapping[str, Any]


def standing(given: Given) -> dict[str, Any]:
    """Every version that was registered then; those that held an approval in full."""
    content = given["content"]
    rows = content["versions"]
    live = [row for row in rows if row["status"] == "active"]
    title = f"As of {parts.moment(content['at'])}: {given['system']['name']}"
    count = f"{parts.figure(len(live))} of {parts.figure(len(rows))}"
    lead = f"{count} model versions could be used; the tier was {content['tier']}."
    columns = [
        column("Model", 3), column("Registered", 2), column("Approval", 2, kind="verdict"), column("Issued", 2),
        column("Until", 2), column("SHA-256", 3, kind="mono"),
    ]  # fmt: skip
    table = parts.table(columns, [_line(row) for row in rows], empty="No model was registered then.")
    approved = [_approved(row) for row in rows if row["approval"] is not None]
    return parts.document(title, lead, given, [section("Model versions", table), *approved])


def _line(row: Given) -> list[Any]:
    model, approval = row["model"], row["approval"] or {"issued_at": "", "valid_until": ""}
    tone = {"active": "pass", "none": "none"}.get(row["status"], "fail")
    return [
        f"{model['model']} v{model['number']}",
        parts.day(model["registered_at"]),
        [row["status"], tone],
        parts.day(approval["issued_at"]),
        parts.day(approval["valid_until"]),
        model["digest"][:16],
    ]


def _approved(row: Given) -> dict[str, Any]:
    model, approval = row["model"], row["approval"]
    told = [
        ["Approval", row["status"]],
        ["Issued", parts.moment(approval["issued_at"])],
        ["Valid until", parts.moment(approval["valid_until"])],
        ["What was signed", approval["subject_digest"], "mono"],
    ]
    if approval["revoked_at"]:
        told.append(["Revoked", f"{parts.moment(approval['revoked_at'])} by {approval['revoked_by']['name']}"])
        told.append(["Why", approval["revoked_reason"]])
    if row["changed"]:
        told.append(["Changed since", parts.listed(row["changed"])])
    evidence = [[parts.words(one["kind"]), one["digest"]] for one in approval["evidence"]]
    return section(
        f"{model['model']} v{model['number']}",
        parts.facts(told),
        reviews.signatures(approval["signatures"]),
        parts.table([column("Evidence that was signed", 2), column("SHA-256", 4, kind="mono")], evidence),
    )
