"""Hand a trained model to the registry: what is in the file, and under which name it becomes a new version."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from pipelines.steps._frames import model_columns
from pipelines.steps._modelfile import load_model
from pipelines.steps.contract import (
    Port,
    RegisterModel,
    Step,
    StepContext,
    StepError,
    StepParams,
    StepResult,
)

_TRAINING = ("target", "rows", "estimator", "parameters", "train_accuracy", "train_mean_absolute_error")


class Params(StepParams):
    """The registry entry that gets the new version."""

    model: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=63, description="name in the registry (a slug)")
    description: str = Field(default="", max_length=2000, description="what is new in this version")


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Describe the model. Raises StepError for a file that cannot be read safely or a report of another model."""
    data: bytes = inputs["model"]
    model = load_model(data)
    digest = hashlib.sha256(data).hexdigest()
    numeric, categorical = model_columns(model)
    training: Mapping[str, Any] = inputs.get("training") or {}
    if training.get("model_sha256", digest) != digest:
        raise StepError(
            f"the training report speaks of another model ({str(training['model_sha256'])[:12]}…, this is "
            f"{digest[:12]}…); connect the report of the step that trained this one"
        )
    context.progress(1, 1, f"described {params.model}")
    report = {
        "model": params.model,
        "description": params.description,
        "sha256": digest,
        "bytes": len(data),
        "format": "skops",
        "estimator_type": type(model.named_steps["estimator"]).__name__,
        "features": [str(n) for n in model.feature_names_in_],
        "numeric": numeric,
        "categorical": categorical,
        "classes": [str(c) for c in getattr(model, "classes_", ())],
        "training": {name: training[name] for name in _TRAINING if name in training},
    }
    register = RegisterModel(
        model=params.model,
        port="model",
        description=params.description,
        training="training" if training else "",
    )
    summary = f"{params.model}: {report['estimator_type']}, {len(data):,} bytes, sha256 {digest[:12]}…"
    return StepResult(outputs={"report": report}, summary=summary, register=register)


STEP = Step(
    id="register.model@1",
    title="Register the model",
    help="Makes the model a new version of a registry entry, to be reviewed before it may be deployed.",
    params=Params,
    run=run,
    inputs={
        "model": Port("model", "the trained model"),
        "training": Port("report", "the report of the training step", required=False),
    },
    outputs={"report": Port("report", "digest, features and classes of the version")},
)
