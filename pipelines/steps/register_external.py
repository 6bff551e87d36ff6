"""Make a model from outside a version of a registry entry, with what its supplier says of its origin."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from pipelines.steps.contract import (
    Port,
    RegisterModel,
    Step,
    StepContext,
    StepError,
    StepParams,
    StepResult,
)
from security.measurement import Verdict


class Params(StepParams):
    """The registry entry, and the origin in the supplier's words."""

    model: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=56, description="name in the registry (a slug)")
    description: str = Field(default="", max_length=2000, description="what the model is for")
    supplier: str = Field(min_length=1, max_length=200, description="who trained it")
    reference: str = Field(default="", max_length=500, description="where it comes from: an address, a commit")
    lineage: str = Field(min_length=1, max_length=4000, description="from which data and how it was trained")


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """State the origin. PASS only where this system holds the training data itself; a digest alone proves nothing.

    Raises StepError for a report of another model.
    """
    scan: Mapping[str, Any] = inputs["scan"]
    digest = hashlib.sha256(inputs["model"]).hexdigest()
    if scan.get("sha256") != digest or "training" not in scan:
        raise StepError("the scan speaks of another model; connect the report of the import.model step that opened it")
    training = dict(scan["training"])
    report = {
        **params.model_dump(mode="json"),
        **{name: scan[name] for name in ("sha256", "format", "task", "columns", "classes") if name in scan},
        "training": training,
    }
    context.progress(1, 1, f"registered {params.model}")
    held = bool(training.get("in_vault"))
    known = "which this system holds" if held else "which this system does not hold: its supplier's word"
    return StepResult(
        outputs={"report": report},
        verdict=Verdict.PASS if held else Verdict.INCONCLUSIVE,
        summary=f"{params.model} from {params.supplier}, trained on {training['sha256'][:12]}…, {known}",
        register=RegisterModel(params.model, "model", params.description, training="scan"),
    )


STEP = Step(
    id="register.external@1",
    title="Register a model from outside",
    help="Makes an imported model a new version of a registry entry. Its origin is evidence: it passes where the "
    "training data is in this system's vault, and stays inconclusive where only its digest was declared.",
    params=Params,
    run=run,
    inputs={
        "model": Port("model", "the imported model"),
        "scan": Port("report", "the report of the import.model step"),
    },
    outputs={"report": Port("report", "the origin as it was declared")},
    evidence=("provenance_attestation",),
    about=("model",),
)
