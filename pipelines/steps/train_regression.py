"""Train a scikit-learn regressor from a table of allowed estimators; the preprocessing is part of the model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipelines.steps._estimators import build, checked_options
from pipelines.steps._fitting import check_columns, fit
from pipelines.steps._frames import feature_names, frame, need_rows, split_kinds
from pipelines.steps._modelfile import dump_model
from pipelines.steps._quantities import quantities
from pipelines.steps._regressors import REGRESSORS
from pipelines.steps.contract import Port, Step, StepContext, StepError, StepParams, StepResult

EstimatorName = Literal[
    "ridge",
    "decision_tree",
    "random_forest",
    "extra_trees",
    "gradient_boosting",
    "nearest_neighbours",
    "dummy",
]


class Params(StepParams):
    """What to learn, from which columns, with which estimator."""

    target: str = Field(description="column that holds the number to predict")
    features: tuple[str, ...] = Field(default=(), description="columns to learn from; all but target when empty")
    exclude: tuple[str, ...] = Field(default=(), description="columns never used as a feature")
    estimator: EstimatorName = Field(default="ridge", description="which estimator to fit")
    options: dict[str, str | int | float | bool | None] = Field(
        default_factory=dict, description="hyper-parameters of the estimator; unknown names are refused"
    )
    max_categories: int = Field(default=100, ge=2, le=1000, description="most different values of a text feature")
    min_category_rows: int = Field(default=1, ge=1, description="rarer categories share one infrequent bin")


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Fit and serialise. Raises StepError for a table or parameters that cannot be learned from."""
    table: pa.Table = inputs["table"]
    need_rows(table, 2)
    truth = quantities(table, params.target)
    if float(truth.min()) == float(truth.max()):
        raise StepError(f"{params.target!r} has one value only; there is nothing to learn", param="target")
    names = feature_names(table, params.target, params.features, params.exclude)
    numeric, categorical = split_kinds(table, names)
    check_columns(table, names, categorical, params.max_categories)
    options = checked_options(params.estimator, params.options, REGRESSORS)
    if options.get("n_neighbors", 0) > len(truth):
        raise StepError(f"{options['n_neighbors']} neighbours are asked for among {len(truth)} rows", param="options")
    rows = frame(table, names)
    model = build(
        params.estimator,
        params.options,
        numeric=numeric,
        categorical=categorical,
        seed=context.subseed("fit"),
        rare=params.min_category_rows,
        among=REGRESSORS,
    )
    context.progress(0, table.num_rows, f"fitting {params.estimator}")
    notes = fit(model, rows, truth)
    data = dump_model(model)
    residual = np.asarray(model.predict(rows), dtype=np.float64) - truth
    context.progress(table.num_rows, table.num_rows, "fitted")
    report = {
        "target": params.target,
        "features": names,
        "numeric": numeric,
        "categorical": categorical,
        "rows": table.num_rows,
        "estimator": params.estimator,
        "parameters": options,
        "seed": context.subseed("fit"),
        "train_mean_absolute_error": float(np.abs(residual).mean()),
        "notes": notes,
        "format": "skops",
        "model_sha256": hashlib.sha256(data).hexdigest(),
    }
    summary = f"{params.estimator} fitted on {table.num_rows:,} rows and {len(names)} features"
    return StepResult(outputs={"model": data, "report": report}, summary=summary)


STEP = Step(
    id="train.regression@1",
    title="Train a regressor",
    help="Fits one of the allowed scikit-learn regressors. Imputation, scaling and encoding are inside the model, "
    "which is stored as skops (no pickle). The same table, parameters and seed give the same bytes.",
    params=Params,
    run=run,
    inputs={"table": Port("table", "training rows with the number to predict")},
    outputs={
        "model": Port("model", "the fitted pipeline (skops)"),
        "report": Port("report", "what it was trained on and how"),
    },
    evidence=("training_config",),
    about=("model",),
)
