"""Train a scikit-learn classifier from a table of allowed estimators; the preprocessing is part of the model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipelines.steps._estimators import Weights, build, checked_options
from pipelines.steps._fitting import check_columns, fit
from pipelines.steps._frames import (
    feature_names,
    frame,
    labels,
    need_rows,
    split_kinds,
)
from pipelines.steps._modelfile import dump_model
from pipelines.steps.contract import Port, Step, StepContext, StepError, StepParams, StepResult

EstimatorName = Literal[
    "logistic_regression",
    "decision_tree",
    "random_forest",
    "extra_trees",
    "gradient_boosting",
    "linear_svm",
    "nearest_neighbours",
    "naive_bayes",
    "dummy",
]


class Params(StepParams):
    """What to learn, from which columns, with which estimator."""

    target: str = Field(description="column that holds the label")
    features: tuple[str, ...] = Field(default=(), description="columns to learn from; all but target when empty")
    exclude: tuple[str, ...] = Field(default=(), description="columns never used as a feature")
    estimator: EstimatorName = Field(default="logistic_regression", description="which estimator to fit")
    options: dict[str, str | int | float | bool | None] = Field(
        default_factory=dict, description="hyper-parameters of the estimator; unknown names are refused"
    )
    class_weight: dict[str, float] | Literal["balanced"] | None = Field(
        default=None, description="weight per label, or balanced: inverse to the label's frequency"
    )
    max_categories: int = Field(default=100, ge=2, le=1000, description="most different values of a text feature")
    min_category_rows: int = Field(default=1, ge=1, description="rarer categories share one infrequent bin")


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Fit and serialise. Raises StepError for a table or parameters that cannot be learned from."""
    table: pa.Table = inputs["table"]
    need_rows(table, 2)
    truth = labels(table, params.target)
    classes, counts = _classes(truth, params)
    names = feature_names(table, params.target, params.features, params.exclude)
    numeric, categorical = split_kinds(table, names)
    check_columns(table, names, categorical, params.max_categories)
    rows = frame(table, names)
    model = build(
        params.estimator,
        params.options,
        numeric=numeric,
        categorical=categorical,
        seed=context.subseed("fit"),
        class_weight=_weights(params, classes),
        rare=params.min_category_rows,
    )
    context.progress(0, table.num_rows, f"fitting {params.estimator}")
    notes = fit(model, rows, truth)
    data = dump_model(model)
    accuracy = float(np.mean(model.predict(rows) == truth))
    context.progress(table.num_rows, table.num_rows, "fitted")
    report = {
        "target": params.target,
        "features": names,
        "numeric": numeric,
        "categorical": categorical,
        "classes": dict(zip(classes, counts, strict=True)),
        "rows": table.num_rows,
        "estimator": params.estimator,
        "parameters": checked_options(params.estimator, params.options),
        "class_weight": params.class_weight,
        "seed": context.subseed("fit"),
        "train_accuracy": accuracy,
        "notes": notes,
        "format": "skops",
        "model_sha256": hashlib.sha256(data).hexdigest(),
    }
    summary = f"{params.estimator} fitted on {table.num_rows:,} rows and {len(names)} features"
    return StepResult(outputs={"model": data, "report": report}, summary=summary)


def _classes(truth: np.ndarray[Any, Any], params: Params) -> tuple[list[str], list[int]]:
    values, counts = np.unique(truth.astype(str), return_counts=True)
    if len(values) < 2:
        raise StepError(
            f"{params.target!r} has one class only ({values[0]!r}); a classifier needs two or more", param="target"
        )
    options = checked_options(params.estimator, params.options)
    if options.get("n_neighbors", 0) > len(truth):
        raise StepError(f"{options['n_neighbors']} neighbours are asked for among {len(truth)} rows", param="options")
    if params.estimator == "linear_svm" and counts.min() < options["folds"]:
        raise StepError("a class has fewer rows than linear_svm has calibration folds", param="options")
    return values.tolist(), counts.tolist()


def _weights(params: Params, classes: list[str]) -> Weights:
    unknown = sorted(set(params.class_weight) - set(classes)) if isinstance(params.class_weight, dict) else []
    if unknown:
        raise StepError(
            f"class_weight names unknown labels {', '.join(unknown)}; there are {', '.join(classes)}",
            param="class_weight",
        )
    return params.class_weight


STEP = Step(
    id="train.sklearn@1",
    title="Train a classifier",
    help="Fits one of the allowed scikit-learn estimators. Imputation, scaling and encoding are inside the model, "
    "which is stored as skops (no pickle). The same table, parameters and seed give the same bytes.",
    params=Params,
    run=run,
    inputs={"table": Port("table", "training rows with the label")},
    outputs={
        "model": Port("model", "the fitted pipeline (skops)"),
        "report": Port("report", "what it was trained on and how"),
    },
    evidence=("training_config",),
    about=("model",),
)
