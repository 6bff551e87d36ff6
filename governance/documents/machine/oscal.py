"""OSCAL 1.2.1: profile, component definition, assessment plan and results, plan of action and milestones.

No empty arrays, no naive times, UUIDs of version 4 or 5, Markdown in texts with its signs escaped. A finding is
``satisfied`` or ``not-satisfied`` and nothing between: what is partly shown is not satisfied, with the reason.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from governance.documents.machine.markdown import text
from governance.documents.outlines import parts

Given = Mapping[str, Any]
VERSION = "1.2.1"
NAMESPACE = "urn:countersign:oscal"
CATALOGUE = "urn:countersign:catalogue:nist-ai-rmf-1.0"
_NAMES = uuid.uuid5(uuid.NAMESPACE_URL, NAMESPACE)


def profile(given: Given) -> dict[str, Any]:
    """The outcomes that a system's tier is held to: all of the framework's, each once."""
    ids = [control_id(row["id"]) for row in given["content"]["outcomes"]]
    title = f"{given['content']['framework']['name']} for {given['system']['name']}, {given['system']['tier']} risk"
    return {
        "profile": {
            "uuid": given["export"],
            "metadata": _metadata(given, title),
            "imports": [{"href": CATALOGUE, "include-controls": [{"with-ids": ids}]}],
            "merge": {"as-is": True},
        }
    }


def component_definition(given: Given) -> dict[str, Any]:
    """The model versions that stand for a system as components, and what the evidence on them shows of each outcome."""
    content = given["content"]
    requirements = [_requirement(given, row) for row in content["outcomes"] if row["evidence"]]
    component = {
        "uuid": given["system"]["id"],
        "type": "system",
        "title": text(given["system"]["name"]) or "unnamed",
        "description": text(given["system"]["purpose"]) or "The intended purpose is not on record.",
        "props": _props({"slug": given["system"]["slug"], "risk-tier": given["system"]["tier"]}),
    }
    if requirements:
        component["control-implementations"] = [
            {
                "uuid": _name(given["export"], "implementation"),
                "source": CATALOGUE,
                "description": "Derived from the results that stand now.",
                "implemented-requirements": requirements,
            }
        ]
    models = [
        {
            "uuid": row["id"],
            "type": "software",
            "title": text(f"{row['model']} v{row['number']}"),
            "description": text(row["description"]) or "No description is on record.",
            "props": _props({"sha256": row["digest"]}),
        }
        for row in content["versions"]
    ]
    metadata = _metadata(given, f"Components of {given['system']['name']}")
    return {"component-definition": {"uuid": given["export"], "metadata": metadata, "components": [component, *models]}}


def assessment_plan(given: Given) -> dict[str, Any]:
    """What a review checks: one task for each question of its policy, about one model version."""
    content = given["content"]
    tasks = [
        {
            "uuid": _name(content["review"]["id"], f"task:{gate['kind']}"),
            "type": "action",
            "title": text(gate["question"]) or gate["kind"],
            "description": text(gate["why"]),
            "props": _props({"evidence-kind": gate["kind"], "must": gate["must"]}),
        }
        for gate in content["gates"]
    ]
    return {
        "assessment-plan": {
            "uuid": plan_uuid(content),
            "metadata": _metadata(given, f"Plan of the review of {given['label']}"),
            "import-ssp": {"href": f"urn:uuid:{given['system']['id']}"},
            "reviewed-controls": _reviewed(content),
            "assessment-subjects": [
                {
                    "type": "component",
                    "include-subjects": [{"subject-uuid": content["model"]["id"], "type": "component"}],
                }
            ],
            **({"tasks": tasks} if tasks else {}),
        }
    }


def assessment_results(given: Given) -> dict[str, Any]:
    """What one review found: an observation for each result, a finding for each gate, who signed what."""
    content, review = given["content"], given["content"]["review"]
    observations = [_observation(content, row) for row in content["evidence"]]
    result: dict[str, Any] = {
        "uuid": review["id"],
        "title": text(f"Review of {content['model']['model']} v{content['model']['number']}"),
        "description": text(f"{review['policy']['title']} policy, version {review['policy']['number']}"),
        "start": review["submitted_at"],
        "props": _props({"state": review["state"], "subject-sha256": review["subject_digest"]}),
        "reviewed-controls": _reviewed(content),
        "findings": [_finding(content, gate) for gate in content["gates"]],
    }
    if review["decided_at"]:
        result["end"] = review["decided_at"]
    if observations:
        result["observations"] = observations
    if content["signatures"]:
        result["attestations"] = [_attestation(row) for row in content["signatures"]]
    metadata = _metadata(given, f"Results of the review of {given['label']}")
    metadata["parties"] += _parties(content["signatures"], known=given["requested_by"]["id"])
    return {
        "assessment-results": {
            "uuid": given["export"],
            "metadata": metadata,
            "import-ap": {"href": f"urn:uuid:{plan_uuid(content)}"},
            "results": [result],
        }
    }


def plan_of_action(given: Given) -> dict[str, Any]:
    """What is still open in a system. A waiver is a risk whose status is ``deviation-approved``, with its deadline."""
    rows = given["content"]["open"]
    risks = [_risk(row) for row in rows]
    items = [
        {
            "uuid": _name(row["id"], "item"),
            "title": text(row["title"]),
            "description": text(row["text"]) or "No more is on record.",
            "related-risks": [{"risk-uuid": risk["uuid"]}],
        }
        for row, risk in zip(rows, risks, strict=True)
    ]
    return {
        "plan-of-action-and-milestones": {
            "uuid": given["export"],
            "metadata": _metadata(given, f"What is open in {given['system']['name']}"),
            "system-id": {"identifier-type": NAMESPACE, "id": given["system"]["slug"]},
            "risks": risks,
            "poam-items": items,
        }
    }


def control_id(label: str) -> str:
    """``govern-1.1`` for ``GOVERN 1.1``: a token."""
    return label.lower().replace(" ", "-")


def plan_uuid(content: Given) -> str:
    """The plan of a review has one name, whoever writes it down and when."""
    return _name(content["review"]["id"], "plan")


def _metadata(given: Given, title: str) -> dict[str, Any]:
    person = given["requested_by"]
    return {
        "title": text(title),
        "last-modified": given["made_at"],
        "version": given["made_at"],
        "oscal-version": VERSION,
        "props": _props(
            {"purpose": given["purpose"], "log-size": str(given["log"]["size"]), "log-root": given["log"]["root"]}
        ),
        "parties": [{"uuid": person["id"], "type": "person", "name": _line(person["name"])}],
    }


def _reviewed(content: Given) -> dict[str, Any]:
    """The framework's outcomes for which the gates' kinds of evidence speak; all, where that is not known."""
    ids = sorted({control_id(one) for gate in content["gates"] for one in gate.get("outcomes", ())})
    if not ids:
        return {"control-selections": [{"include-all": {}}]}
    return {"control-selections": [{"include-controls": [{"control-id": one} for one in ids]}]}


def _observation(content: Given, row: Given) -> dict[str, Any]:
    figures = [f"{one['name']} on {parts.group(one)}: {parts.measured(one)}" for one in row["measurements"]]
    made: dict[str, Any] = {
        "uuid": row["id"],
        "title": text(parts.words(row["kind"])),
        "description": text(". ".join([row["summary"] or row["about"] or row["kind"], *figures[:50]])),
        "props": _props({"verdict": row["verdict"], "sha256": row["digest"], "step": row["uses"]}),
        "methods": ["TEST"],
        "subjects": [
            {
                "subject-uuid": content["model"]["id"], "type": "component",
                "props": _props({"subject-sha256": row["subject"]}),
            }
        ],
        "collected": row["created_at"],
    }  # fmt: skip
    if row["report"]:
        evidence = {"href": f"urn:sha256:{row['report']}", "description": "The report of the check."}
        made["relevant-evidence"] = [evidence]
    return made


def _finding(content: Given, gate: Given) -> dict[str, Any]:
    named = [row["id"] for row in content["evidence"] if row["digest"] in gate["evidence"]]
    passed = gate["verdict"] == "pass"
    finding: dict[str, Any] = {
        "uuid": _name(content["review"]["id"], f"finding:{gate['kind']}"),
        "title": text(gate["question"]) or gate["kind"],
        "description": text(gate["reason"]) or "No reason is on record.",
        "target": {
            "type": "objective-id",
            "target-id": f"gate-{gate['kind']}",
            "status": {
                "state": "satisfied" if passed else "not-satisfied",
                "reason": "pass" if passed else "fail" if gate["verdict"] == "fail" else "other",
            },
        },
    }
    if named:
        finding["related-observations"] = [{"observation-uuid": one} for one in named]
    return finding


def _attestation(row: Given) -> dict[str, Any]:
    said = f"{row['decision']}: {row['reason']}"
    return {
        "responsible-parties": [{"role-id": row["role"], "party-uuids": [row["voter"]]}],
        "parts": [
            {
                "name": "signature",
                "ns": NAMESPACE,
                "title": text(f"{row['printed_name']}, {row['role']}, {row['signed_at']}"),
                "props": _props({"sha256": row["digest"], "signed-at": row["signed_at"], "method": row["method"]}),
                "prose": text(said),
            }
        ],
    }


def _requirement(given: Given, row: Given) -> dict[str, Any]:
    results = "; ".join(f"{one['kind']} {one['verdict']} (sha256 {one['digest']})" for one in row["evidence"])
    return {
        "uuid": _name(given["export"], row["id"]),
        "control-id": control_id(row["id"]),
        "description": text(results),
        "props": _props({"state": row["state"]}),
    }


def _risk(row: Given) -> dict[str, Any]:
    risk: dict[str, Any] = {
        "uuid": _name(row["id"], "risk"),
        "title": text(row["title"]),
        "description": text(row["text"]) or "No more is on record.",
        "statement": text(row["title"]),
        "status": "deviation-approved" if row["kind"] == "waiver" else "open",
        "props": _props({"kind": row["kind"], "subject": row["subject"]}),
    }
    if row["due_at"]:
        risk["deadline"] = row["due_at"]
    return risk


def _parties(rows: Iterable[Given], *, known: str) -> list[dict[str, Any]]:
    names = {row["voter"]: row["printed_name"] for row in rows if row["voter"] != known}
    return [{"uuid": key, "type": "person", "name": _line(name)} for key, name in names.items()]


def _props(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "ns": NAMESPACE, "value": _line(value)} for name, value in values.items() if value.strip()]


def _line(value: str) -> str:
    """One line without white space around it, which is what a string is in OSCAL."""
    return " ".join(value.split()) or "-"


def _name(*parts_: str) -> str:
    """A UUID of version 5 that is the same whenever the same thing is named."""
    return str(uuid.uuid5(_NAMES, "\n".join(parts_)))
