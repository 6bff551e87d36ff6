"""Facts about what is still open in a system: gates that do not pass, conditions to be met, rules that are waived."""

from __future__ import annotations

from typing import Any

from governance.documents.facts.systems import standing_versions
from governance.selectors import evidence
from pipelines.models import ModelVersion
from security.access.models import AISystem
from security.canonical import urn

Item = dict[str, Any]


def open_items(system: AISystem) -> dict[str, Any]:
    """Every gate that does not pass for the versions that stand for the system, and what decisions left open."""
    standing = standing_versions(system)
    found = evidence.found_for(standing, whole=True)
    items = [
        _gate(version, gate)
        for version in standing
        for gate in evidence.judge(found[version.pk].policy, found[version.pk].evidence)
        if not gate.ok
    ]
    return {"open": [*items, *deviations(system)]}


def deviations(system: AISystem) -> list[Item]:
    """Conditions that are not met yet and waivers that still run: decisions of this release attach none."""
    return []


def _gate(version: ModelVersion, gate: evidence.Gate) -> Item:
    return {
        "id": f"{version.pk}:{gate.kind}",
        "kind": "gate",
        "title": f"{version}: {gate.question}",
        "text": f"{gate.reason}. {gate.why}",
        "verdict": str(gate.verdict),
        "subject": urn("model-version", version.pk),
        "due_at": "",
    }
