"""The validation report and the approval certificate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.documents.outlines import models, parts
from governance.documents.outlines.parts import Part, column, section

Given = Mapping[str, Any]
MEANINGS = {
    "approve": "Approved: read the evidence and takes responsibility",
    "reject": "Rejected: this version must not be used",
}


def validation_report(given: Given) -> dict[str, Any]:
    """One review from what was asked to what was decided."""
    content, model, review = given["content"], given["content"]["model"], given["content"]["review"]
    title = f"Validation report: {model['model']} v{model['number']}"
    sections = [
        section("What was asked", parts.facts(_asked(review)), *_noted(review)),
        section("What was reviewed", parts.facts(models.details(model)), models.made_by_run(content["run"])),
        section("Data", *models.data(content["data"])),
        section("What the policy asks", parts.text(review["policy"]["why"]), models.gates(content["gates"])),
        section("Evidence", *models.results(content["evidence"])),
        section("Decisions", signatures(content["signatures"]), *_outcome(content)),
        section("Independence", models.hands(content["builders"]), parts.text(_INDEPENDENCE)),
        section("In the audit log", places(content["log"])),
    ]
    return parts.document(title, _lead(content), given, sections)


def approval_certificate(given: Given) -> dict[str, Any]:
    """One approval: what it covers, by whom, until when."""
    content, model, approval = given["content"], given["content"]["model"], given["content"]["approval"]
    subject = content["review"]["subject"]
    title = f"Approval certificate: {model['model']} v{model['number']}"
    lead = (
        f"Version {model['number']} of {model['model']} was approved for use in {given['system']['name']} "
        f"under the {content['review']['policy']['title'].lower()} policy."
    )
    scope = [
        ["Model", subject["model"]["digest"], "mono"],
        *[[f"Data ({one['kind']})", one["digest"], "mono"] for one in subject["data"]],
        ["Policy", subject["policy"]["digest"], "mono"],
        ["Everything that was reviewed", approval["subject_digest"], "mono"],
    ]
    bound = f"and {len(subject['evidence'])} results, each by its digest. When any of these changes, the approval ends."
    sections = [
        section("Validity", validity(approval)),
        section("What it covers, by SHA-256", parts.facts(scope), parts.text(bound)),
        section("Signatures", signatures(content["signatures"])),
        section(
            "How to check it",
            parts.text(_CHECK),
            places(content["log"]),
            parts.facts([["Digest of the approval", approval["digest"], "mono"]]),
        ),
    ]
    return parts.document(title, lead, given, sections)


def signatures(rows: list[Given]) -> Part:
    """Each with printed name, UTC time and meaning, as 21 CFR 11.50 asks."""
    shown = [
        {
            "name": row["printed_name"],
            "meaning": MEANINGS.get(row["decision"], row["decision"]),
            "tone": {"approve": "pass", "reject": "fail"}.get(row["decision"], "none"),
            "role": row["role"].replace("-", " "),
            "time": parts.moment(row["signed_at"]).removesuffix(" UTC"),
            "method": row["method"],
            "reason": row["reason"],
            "digest": row["digest"],
        }
        for row in rows
    ]
    return parts.signatures(shown, empty="Nobody has signed.")


def validity(approval: Given) -> Part:
    """Since when, until when, and whether it held when this was made."""
    rows = [
        ["Issued", parts.moment(approval["issued_at"])],
        ["Valid until", parts.moment(approval["valid_until"])],
        ["When this was made", approval["status"]],
    ]
    if approval["revoked_at"]:
        rows.append(["Revoked", f"{parts.moment(approval['revoked_at'])} by {approval['revoked_by']['name']}"])
        rows.append(["Why", approval["revoked_reason"]])
    return parts.facts(rows)


def places(rows: list[Given]) -> Part:
    """Where the log has each decision."""
    columns = [column("Event", 2), column("When", 2), column("Entry", align="end")]
    lines = [
        [row["event"], parts.moment(row["time"]), parts.figure(row["index"]) if row["index"] >= 0 else "waits for it"]
        for row in rows
    ]
    return parts.table(columns, lines, empty="Nothing was decided.")


def _asked(review: Given) -> list[list[str]]:
    policy = review["policy"]
    needed = parts.listed(
        (f"{step['people']} × {step['role'].replace('-', ' ')}" for step in policy["approvals"]), empty="none"
    )
    return [
        ["Submitted", f"{parts.moment(review['submitted_at'])} by {review['submitter']['name']}"],
        ["Policy", f"{policy['title']}, version {policy['number']}"],
        ["Signatures needed", needed],
        ["State", review["state"]],
        ["What votes bind", review["subject_digest"], "mono"],
    ]


def _noted(review: Given) -> list[Part]:
    return [parts.note(review["note"])] if review["note"] else []


def _lead(content: Given) -> str:
    passed = sum(gate["verdict"] == "pass" for gate in content["gates"])
    state = content["review"]["state"].replace("-", " ")
    return f"{passed} of {len(content['gates'])} gates pass; the review is {state}."


def _outcome(content: Given) -> list[Part]:
    found: list[Part] = []
    if content["approval"] is not None:
        found.append(validity(content["approval"]))
    if content["changed_since"]:
        changed = parts.listed(content["changed_since"])
        found.append(parts.note(f"Changed since it was submitted: {changed}.", "inconclusive"))
    return found


_INDEPENDENCE = "Nobody listed here may sign: the signatures above are of other people."
_CHECK = (
    "Each signature and this approval stand in the audit log as digests. The bundle of the model version holds the "
    "log, its signed checkpoint and a program that checks all of it without this server."
)
