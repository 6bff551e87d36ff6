"""Facts about data: the datasheet of one dataset version."""

from __future__ import annotations

from typing import Any

from governance.documents.facts import parts
from pipelines.models import DatasetVersion, Evidence, ModelVersion, StepInput, StepOutput
from pipelines.selectors.lineage import graph

_DEPTH = 100


def datasheet(version: DatasetVersion) -> dict[str, Any]:
    """One table: what it holds, from which files and by which steps it was made, what was found about it, what uses
    it. Never a row of it."""
    above = graph(version.artifact, "up", _DEPTH)
    made = [node for node in above.nodes if node.kind == "step"]
    sources = [node for node in above.nodes if node.kind == "source"]
    about = Evidence.objects.filter(subject=version.artifact, superseded_by=None)
    rows = about.select_related("subject", "report", "step_run").order_by("kind", "created_at", "pk")
    return {
        "dataset": {**parts.dataset_version(version), "bytes": version.artifact.size},
        "run": parts.run(version.step_run.run),
        "sources": [
            {"origin": node.label, "digest": node.digest, "bytes": node.facts["bytes"]}
            for node in sorted(sources, key=lambda node: (node.label, node.digest))
        ],
        "steps": [
            {
                "label": node.label,
                "uses": node.facts["uses"],
                "state": node.state,
                "finished_at": node.facts["finished_at"],
            }
            for node in made
        ],
        "evidence": [parts.evidence(row) for row in rows],
        "used_by": _used_by(version),
        "models": _models(version),
    }


def _used_by(version: DatasetVersion) -> list[dict[str, Any]]:
    """The kinds of steps that read it, in which pipelines, and how often."""
    found: dict[tuple[str, str], int] = {}
    uses = StepInput.objects.filter(artifact=version.artifact).values_list(
        "step_run__run__version__pipeline__name", "step_run__uses"
    )
    for pipeline, step in uses.order_by("step_run__run__version__pipeline__name", "step_run__uses"):
        found[pipeline, step] = found.get((pipeline, step), 0) + 1
    return [{"pipeline": pipeline, "uses": step, "times": times} for (pipeline, step), times in found.items()]


def _models(version: DatasetVersion) -> list[dict[str, Any]]:
    """The model versions of the runs that made or read it."""
    runs = {
        *StepInput.objects.filter(artifact=version.artifact).values_list("step_run__run", flat=True),
        *StepOutput.objects.filter(artifact=version.artifact).values_list("step_run__run", flat=True),
    }
    rows = ModelVersion.objects.filter(step_run__run__in=runs).select_related("model", "artifact")
    return [
        {"model": row.model.name, "number": row.number, "digest": row.artifact.digest}
        for row in rows.order_by("model__name", "number")
    ]
