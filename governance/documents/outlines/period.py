"""The audit report of a period: the summary, which PDF and HTML share; HTML adds every event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.documents.outlines import parts
from governance.documents.outlines.parts import column, section

Given = Mapping[str, Any]


def audit_period(given: Given) -> dict[str, Any]:
    """Counts, decisions and approvals of a period, and where its events stand in the log."""
    content = given["content"]
    title = f"Audit report: {given['system']['name']}"
    lead = (
        f"{parts.figure(content['events'])} events from {parts.moment(content['since'])} "
        f"to before {parts.moment(content['until'])}."
    )
    sections = [
        section("In the audit log", parts.facts(_span(content)), parts.text(_WHOLE)),
        section("Decisions", _decisions(content["decisions"]), _approvals(content["approvals"])),
        section("Events by kind", _counts("Event", [[row["event"], row["count"]] for row in content["by_event"]])),
        section(
            "Events by who acted",
            _counts("Who", [[row["name"] or row["actor"], row["count"]] for row in content["by_actor"]]),
        ),
    ]
    return parts.document(title, lead, given, sections)


def _span(content: Given) -> list[list[str]]:
    if content["first"] < 0:
        return [["Entries", "none in this period"]]
    return [
        ["First entry", parts.figure(content["first"])],
        ["Last entry", parts.figure(content["last"])],
        ["Log at that time", f"{parts.figure(content['size'])} entries"],
        ["Root", content["root"], "mono"],
    ]


def _counts(head: str, rows: list[list[Any]]) -> dict[str, Any]:
    lines = [[str(name), parts.figure(count)] for name, count in rows]
    return parts.table([column(head, 4), column("Events", align="end")], lines, empty="Nothing happened.")


def _decisions(rows: list[Given]) -> dict[str, Any]:
    lines = [[parts.moment(row["decided_at"]), row["model"], row["state"]] for row in rows]
    return parts.table(
        [column("Decided", 2), column("Model", 3), column("Review")], lines, empty="No review was decided."
    )


def _approvals(rows: list[Given]) -> dict[str, Any]:
    lines = [
        [row["model"], parts.moment(row["issued_at"]), parts.day(row["valid_until"]), _revoked(row)] for row in rows
    ]
    heads = [column("Approved", 3), column("Issued", 2), column("Until", 2), column("Revoked", 3)]
    return parts.table(heads, lines, empty="No approval was issued or revoked.")


def _revoked(row: Given) -> str:
    if not row["revoked_at"]:
        return "–"
    return f"{parts.moment(row['revoked_at'])} by {row['revoked_by']}: {row['revoked_reason']}"


_WHOLE = (
    "The JSON Lines form of this report holds every event as the log hashed it: the leaf hash is SHA-256 of a zero "
    "byte and the entry (RFC 9162), and a receipt or a bundle leads from it to the signed checkpoint."
)
