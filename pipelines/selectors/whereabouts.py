"""What is known of one artifact: which steps made and used it, which file it came from, what was found about it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.models import DatasetVersion, Evidence, ModelVersion, StepInput, StepOutput, StepRun
from pipelines.selectors.data import dataset_versions
from pipelines.selectors.evidence import evidence
from pipelines.selectors.registry import model_versions
from security.vault import services as vault
from security.vault.models import Artifact

SHOWN = 50
MAX_REPORT_BYTES = 2**20
REPORT = "application/json"


@dataclass(frozen=True)
class Whereabouts:
    """The newest ``SHOWN`` of each. ``sources`` are the uses that read it from a file outside."""

    made_by: list[StepOutput]
    used_by: list[StepInput]
    sources: list[StepInput]
    datasets: list[DatasetVersion]
    models: list[ModelVersion]
    evidence: list[Evidence]
    reported: list[Evidence]


def whereabouts(artifact: Artifact) -> Whereabouts:
    """Everything that names the artifact, in a fixed number of queries."""
    made = StepOutput.objects.filter(artifact=artifact).select_related("step_run__run__version__pipeline")
    used = StepInput.objects.filter(artifact=artifact).select_related("step_run__run__version__pipeline")
    uses = list(used.order_by("-step_run__run__created_at", "-pk")[:SHOWN])
    return Whereabouts(
        made_by=list(made.order_by("step_run__run__created_at", "pk")[:SHOWN]),
        used_by=uses,
        sources=[use for use in uses if use.origin],
        datasets=list(dataset_versions().filter(artifact=artifact)[:SHOWN]),
        models=list(model_versions().filter(artifact=artifact)[:SHOWN]),
        evidence=list(evidence().filter(subject=artifact)[:SHOWN]),
        reported=list(evidence().filter(report=artifact)[:SHOWN]),
    )


def report_of(step: StepRun) -> Artifact | None:
    """The report among a step's outputs (as ``selectors.runs.steps`` has fetched them)."""
    return next((output.artifact for output in step.outputs.all() if output.kind == "report"), None)


def read_report(artifact: Artifact | None) -> Mapping[str, Any] | None:
    """A report's content, verified; None when there is none, or it is no report, or too large to show.

    A report holds figures and names of columns, never rows or personal values. Raises DamagedError, UnavailableError.
    """
    if artifact is None or artifact.media_type != REPORT or artifact.size > MAX_REPORT_BYTES:
        return None
    content = json.loads(vault.read(artifact, limit=MAX_REPORT_BYTES))
    return content if isinstance(content, Mapping) else None


def reports_about(found: Iterable[Evidence], family: str) -> Artifact | None:
    """The report of the newest evidence that a step of ``family`` (``validate.``, ``redact.``) gave."""
    return next((item.report for item in found if item.uses.startswith(family) and item.report), None)
