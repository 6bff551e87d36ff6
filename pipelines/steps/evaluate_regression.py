"""Measure a regressor on rows it has not seen: errors with bootstrap intervals, and where it is too high or low."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field
from threadpoolctl import threadpool_limits

from pipelines.steps._bootstrap import bootstrap, percentile_interval
from pipelines.steps._frames import need_rows
from pipelines.steps._metrics import quantile_bins, ratio
from pipelines.steps._modelfile import load_model
from pipelines.steps._quantities import predictions, quantities
from pipelines.steps.contract import Port, Step, StepContext, StepParams, StepResult
from security.measurement import Measurement, Threshold, judge

Array = np.ndarray[Any, Any]
# name → (direction, unit); an error is in the unit of the target
METRICS: Mapping[str, tuple[Literal["higher_is_better", "lower_is_better", "none"], str]] = {
    "mean_absolute_error": ("lower_is_better", "target"),
    "root_mean_squared_error": ("lower_is_better", "target"),
    "r2": ("higher_is_better", "fraction"),
    "bias": ("none", "target"),
}


class Params(StepParams):
    """Which number to compare with and what counts as good enough."""

    target: str = Field(description="column that holds the number to predict")
    bootstrap: int = Field(default=500, ge=100, le=10_000, description="resamples for the intervals")
    level: float = Field(default=0.95, gt=0.5, lt=1, description="confidence level of the intervals")
    thresholds: tuple[Threshold, ...] = Field(default=(), description="rules on the measurements")


@dataclass(frozen=True)
class Regression:
    """``truth`` and ``predicted`` (rows,) in the target's unit."""

    truth: Array
    predicted: Array

    def __call__(self, weights: Array) -> dict[str, Array]:
        """Weights (draws, rows) → metric name → (draws,)."""
        total, residual = weights.sum(axis=1), self.predicted - self.truth
        centred = self.truth - self.truth.mean()  # so that squares of a far-away mean do not cancel
        mean = ratio(weights @ centred, total)
        squares = ratio(weights @ residual**2, total)
        variance = ratio(weights @ centred**2, total) - mean**2
        return {
            "mean_absolute_error": ratio(weights @ np.abs(residual), total),
            "root_mean_squared_error": np.sqrt(squares),
            "r2": 1 - ratio(squares, variance),
            "bias": ratio(weights @ residual, total),
        }


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Measure. Raises StepError when the model and the table do not fit together."""
    table = inputs["table"]
    need_rows(table, 2)
    truth = quantities(table, params.target)
    model = load_model(inputs["model"])
    with threadpool_limits(1):
        problem = Regression(truth, predictions(model, table))
        values = {name: float(v[0]) for name, v in problem(np.ones((1, len(truth)))).items()}
        draws = bootstrap(
            problem,
            len(truth),
            params.bootstrap,
            context.subseed("bootstrap"),
            lambda done: context.progress(done, params.bootstrap, "bootstrap resamples"),
        )
    measurements = tuple(_measurement(name, values[name], draws[name], len(truth), params) for name in METRICS)
    residual = problem.predicted - truth
    report = {
        "rows": len(truth),
        "target": params.target,
        "observed": {"low": float(truth.min()), "high": float(truth.max())},
        "residual_quantiles": {
            f"{q:g}": float(v)
            for q, v in zip((0.05, 0.25, 0.5, 0.75, 0.95), np.quantile(residual, (0.05, 0.25, 0.5, 0.75, 0.95)),
                            strict=True)
        },
        "levels": _levels(problem),
        "measurements": [m.model_dump(mode="json") for m in measurements],
    }  # fmt: skip
    error, explained = measurements[0].value, measurements[2].value
    told = "not defined" if explained is None else f"{explained:.3f}"
    summary = f"off by {error:.4g} on average, R² {told} on {len(truth):,} rows"
    return StepResult({"report": report}, measurements, judge(measurements, params.thresholds), summary)


def _measurement(name: str, value: float, draws: Array, n: int, params: Params) -> Measurement:
    direction, unit = METRICS[name]
    if not np.isfinite(value):
        note = "not defined: all rows have the same number"
        return Measurement(name=name, value=None, unit=unit, direction=direction, n=n, note=note)
    interval = percentile_interval(draws, params.level)
    return Measurement(name=name, value=value, unit=unit, direction=direction, n=n, interval=interval)


def _levels(problem: Regression) -> list[dict[str, Any]]:
    """Tenths of the rows by predicted number: mean predicted, mean observed, rows."""
    bins = quantile_bins(problem.predicted)
    return [
        {
            "predicted": float(problem.predicted[bins == one].mean()),
            "observed": float(problem.truth[bins == one].mean()),
            "n": int((bins == one).sum()),
        }
        for one in np.unique(bins)
    ]


STEP = Step(
    id="evaluate.regression@1",
    title="Evaluate a regressor on held-out rows",
    help="Mean absolute and root mean squared error, R² and bias in the target's unit with percentile bootstrap "
    "intervals, quantiles of the residuals, and observed against predicted by tenths of the prediction.",
    params=Params,
    run=run,
    inputs={"model": Port("model", "a model of train.regression"), "table": Port("table", "rows not trained on")},
    outputs={"report": Port("report", "measurements, residuals and levels")},
    evidence=("holdout_metrics",),
    about=("model",),
)
