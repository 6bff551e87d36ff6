"""Open a model that was trained elsewhere: check the file, load it confined, ask it, compare with its declaration."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from pipelines.package.answers import Answers, Ask, Task, check, texts
from pipelines.package.columns import MAX_COLUMNS, Column, probe
from pipelines.package.foreign import HEAD_BYTES, sniff
from pipelines.package.onnxfile import OnnxModel
from pipelines.steps._modelfile import load_model
from pipelines.steps.contract import Port, Source, Step, StepContext, StepError, StepParams, StepResult
from security.measurement import Measurement, Verdict

DIGEST = r"^[0-9a-f]{64}$"


class Params(StepParams):
    """Which file, and what its supplier declares of it."""

    sha256: str = Field(pattern=DIGEST, description="SHA-256 of the uploaded file, an artifact of this system")
    columns: tuple[Column, ...] = Field(
        min_length=1, max_length=MAX_COLUMNS, description="the model's inputs, in their order"
    )
    task: Task = Field(default="classification", description="what the model answers: a class or a number")
    classes: tuple[str, ...] = Field(default=(), max_length=1000, description="the classes it answers, in their order")
    training_sha256: str = Field(pattern=DIGEST, description="SHA-256 of the data that the model was trained on")

    @model_validator(mode="after")
    def _consistent(self) -> Params:
        names = [column.name for column in self.columns]
        if len(set(names)) < len(names):
            raise ValueError("two columns have the same name")
        if (self.task == "classification") != bool(self.classes) or len(set(self.classes)) < len(self.classes):
            raise ValueError("a classification names its classes, each once; a regression names none")
        return self


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Judge the file. Raises StepError for everything that is not a model as it was declared."""
    data = Path(inputs["file"]).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != params.sha256:
        raise StepError(f"the file has the digest {digest[:12]}…, not the one named", param="sha256")
    kind = sniff(data[:HEAD_BYTES])
    context.progress(0, 2, f"reading {kind}")
    ask, what = _onnx(data, params) if kind == "onnx" else _skops(data, params)
    context.progress(1, 2, "asking the model")
    rows = probe(params.columns, context.subseed("probe"))
    answers = check(ask, rows, task=params.task, classes=params.classes)
    report = {
        "sha256": digest,
        "bytes": len(data),
        "format": kind,
        **what,
        "task": params.task,
        "columns": [column.model_dump(mode="json") for column in params.columns],
        "classes": list(params.classes),
        "training": {"sha256": params.training_sha256, "in_vault": "training" in inputs},
        "probe": {"rows": len(rows), **_answered(answers)},
    }
    context.progress(2, 2, "done")
    asked = Measurement(name="probed_rows", value=float(len(rows)), unit="rows", n=len(rows))
    summary = f"{kind}, {len(data):,} bytes, answers {len(rows)} rows of its declared schema as declared"
    outputs = {"model": data, "report": report}
    return StepResult(outputs=outputs, measurements=(asked,), verdict=Verdict.PASS, summary=summary)


def _onnx(data: bytes, params: Params) -> tuple[Ask, dict[str, Any]]:
    model = OnnxModel(data, params.columns, task=params.task, classes=params.classes)
    return model.ask, {"operators": model.operators}


def _skops(data: bytes, params: Params) -> tuple[Ask, dict[str, Any]]:
    model = load_model(data)
    names = [column.name for column in params.columns]
    _check_skops(model, names, params)

    def ask(rows: Any) -> Answers:
        given = rows if hasattr(model, "feature_names_in_") else rows.to_numpy()
        if params.task == "regression":
            return Answers(np.asarray(model.predict(given), dtype=np.float64))
        scores = np.asarray(model.predict_proba(given)) if hasattr(model, "predict_proba") else None
        return Answers(texts(model.predict(given)), scores)

    return ask, {"estimator_type": type(model).__name__}


def _check_skops(model: Any, names: list[str], params: Params) -> None:
    if not hasattr(model, "predict"):
        raise StepError(f"the file holds a {type(model).__name__}, which cannot predict; save the whole fitted model")
    known = [str(one) for one in getattr(model, "feature_names_in_", names)]
    if known != names:
        raise StepError(
            f"the model was fitted on {', '.join(known[:20])}; declare these columns, in this order", param="columns"
        )
    if params.task == "classification":
        own = [str(one) for one in texts(getattr(model, "classes_", []))]
        if own != list(params.classes):
            raise StepError(
                f"the model's own classes are {', '.join(own[:20]) or 'none'}; declared are "
                f"{', '.join(params.classes)}, and they must be the same in the same order",
                param="classes",
            )


def _answered(answers: Answers) -> dict[str, Any]:
    if answers.values.dtype != object:
        return {"smallest": float(answers.values.min()), "largest": float(answers.values.max())}
    classes, counts = np.unique(answers.values.astype(str), return_counts=True)
    return {"answered": dict(zip(classes.tolist(), counts.tolist(), strict=True))}


STEP = Step(
    id="import.model@1",
    title="Open a model from outside",
    help="Reads an uploaded skops or ONNX file, refuses everything that could run code, loads it in a process without "
    "network and asks it rows of its declared schema. A model that answers otherwise than declared is refused.",
    params=Params,
    run=run,
    inputs={
        "file": Port("file", "verified private copy of the uploaded file"),
        "training": Port("file", "the data it was trained on, where this system has it", required=False),
    },
    outputs={
        "model": Port("model", "the same bytes, now known as a model"),
        "report": Port("report", "format, schema, classes, and what it answered"),
    },
    sources=(
        Source(name="file", param="sha256", stored=True),
        Source(name="training", param="training_sha256", stored=True),
    ),
    evidence=("model_scan",),
    about=("model",),
    confined=True,
)
