"""Facts about model versions: the model card, and the inventory of a system's models."""

from __future__ import annotations

from typing import Any

from governance.documents.facts import cards, parts
from governance.selectors import model_pages
from pipelines.models import ModelVersion
from security.access.models import AISystem


def model_card(version: ModelVersion) -> dict[str, Any]:
    """One version as ``cards`` has it."""
    return cards.cards([version])[0]


def inventory(system: AISystem) -> dict[str, Any]:
    """Every model of a system: its newest version, what that holds, and the version that may be used."""
    lines = model_pages.model_lines(model_pages.models().filter(system=system).order_by("name"))
    return {"models": [_line(line) for line in lines]}


def _line(line: model_pages.ModelLine) -> dict[str, Any]:
    latest, used = line.latest, line.in_use
    if used is None and latest is not None and latest.held.active:
        used = latest
    approval = used.held.approval if used is not None else None
    return {
        "id": str(line.model.pk),
        "model": line.model.name,
        "description": line.model.description,
        "registered_at": parts.time(line.model.created_at),
        "versions": getattr(line.model, "version_count", 0),
        "newest": _version(latest),
        "in_use": _version(used),
        "approval": {
            "issued_at": parts.time(approval.issued_at if approval else None),
            "valid_until": parts.time(approval.valid_until if approval else None),
            "review": str(approval.review_id) if approval else "",
        },
    }


def _version(line: model_pages.VersionLine | None) -> dict[str, Any]:
    if line is None:
        return {"id": "", "number": 0, "digest": "", "state": "", "gates_passed": 0, "gates": 0}
    return {
        "id": str(line.version.pk),
        "number": line.version.number,
        "digest": line.version.artifact.digest,
        "state": line.state,
        "gates_passed": sum(gate.ok for gate in line.gates),
        "gates": len(line.gates),
    }
