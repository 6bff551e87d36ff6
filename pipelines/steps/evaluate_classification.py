"""Measure a classifier on rows it has not seen: metrics with bootstrap intervals, ROC and reliability curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field
from sklearn.metrics import confusion_matrix, roc_curve
from threadpoolctl import threadpool_limits

from pipelines.steps._bootstrap import bootstrap, percentile_interval, wilson
from pipelines.steps._frames import class_names, known_labels, labels, model_frame, need_rows, positive_class
from pipelines.steps._metrics import METRICS, Binary, Multiclass, quantile_bins
from pipelines.steps._modelfile import load_model
from pipelines.steps.contract import Port, Step, StepContext, StepError, StepParams, StepResult
from security.measurement import Interval, Measurement, Threshold, judge

Array = np.ndarray[Any, Any]
_CURVE_POINTS = 200


class Params(StepParams):
    """Which label to compare with and what counts as good enough."""

    target: str = Field(description="column that holds the label")
    positive: str | int | float | bool | None = Field(
        default=None, description="the positive label; the second of two by default, all classes (macro) if more"
    )
    decision_threshold: float = Field(default=0.5, gt=0, lt=1, description="probability from which it is predicted")
    bootstrap: int = Field(default=500, ge=100, le=10_000, description="resamples for the intervals")
    level: float = Field(default=0.95, gt=0.5, lt=1, description="confidence level of the intervals")
    thresholds: tuple[Threshold, ...] = Field(default=(), description="rules on the measurements")


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Measure. Raises StepError when the model and the table do not fit together."""
    table: pa.Table = inputs["table"]
    need_rows(table, 2)
    model = load_model(inputs["model"])
    classes = class_names(model)
    truth = known_labels(classes, labels(table, params.target))
    with threadpool_limits(1):
        scores = np.asarray(model.predict_proba(model_frame(model, table)), dtype=np.float64)
        problem = _problem(classes, truth, scores, params)
        measurements = tuple(_measure(problem, params, context))
    report = _report(problem, classes, table.num_rows, params, measurements)
    found = {m.name: m.value for m in measurements}
    summary = f"accuracy {_text(found['accuracy'])}, ROC AUC {_text(found['roc_auc'])} on {table.num_rows:,} rows"
    return StepResult({"report": report}, measurements, judge(measurements, params.thresholds), summary)


def _text(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"


def _problem(classes: list[str], truth: Array, scores: Array, params: Params) -> Binary | Multiclass:
    positive = positive_class(classes, params.positive)
    if positive is None:
        if params.decision_threshold != 0.5:
            raise StepError(
                "a decision threshold needs a positive label when there are more than two classes",
                param="decision_threshold",
            )
        return Multiclass(truth, scores, quantile_bins(scores.max(axis=1)))
    score = scores[:, classes.index(positive)]
    return Binary(truth == classes.index(positive), score, params.decision_threshold, quantile_bins(score))


def _measure(problem: Binary | Multiclass, params: Params, context: StepContext) -> list[Measurement]:
    rows = len(problem.truth)
    values = {name: float(v[0]) for name, v in problem(np.ones((1, rows))).items()}
    draws = bootstrap(
        problem,
        rows,
        params.bootstrap,
        context.subseed("bootstrap"),
        lambda done: context.progress(done, params.bootstrap, "bootstrap resamples"),
    )
    counts = problem.counts()
    return [_measurement(name, values[name], draws[name], counts[name], params.level) for name in METRICS]


def _measurement(name: str, value: float, draws: Array, n: int, level: float) -> Measurement:
    metric = METRICS[name]
    if not np.isfinite(value):
        note = "not defined: a class is missing from the labels or from the predictions"
        return Measurement(name=name, value=None, unit=metric.unit, direction=metric.direction, n=n, note=note)
    interval: Interval | None = percentile_interval(draws, level)
    if metric.share and value in (0.0, 1.0):
        interval = wilson(value * n, n, level)
    note = "binned by quantiles; biased upwards in small samples" if name == "calibration_error" else ""
    return Measurement(
        name=name, value=value, unit=metric.unit, direction=metric.direction, n=n, interval=interval, note=note
    )


def _report(
    problem: Binary | Multiclass, classes: list[str], rows: int, params: Params, measurements: tuple[Measurement, ...]
) -> dict[str, Any]:
    binary = isinstance(problem, Binary)
    positive = positive_class(classes, params.positive)
    shown = [f"not {positive}", str(positive)] if binary and len(classes) > 2 else classes
    truth, predicted = problem.truth.astype(int), problem.predicted.astype(int)
    if binary and len(classes) == 2:  # positions of the classes, not "is positive"
        at = classes.index(str(positive))
        truth, predicted = np.where(truth, at, 1 - at), np.where(predicted, at, 1 - at)
    matrix = confusion_matrix(truth, predicted, labels=range(len(shown)))
    report: dict[str, Any] = {
        "rows": rows,
        "classes": classes,
        "positive": positive,
        "decision_threshold": params.decision_threshold if binary else None,
        "averaging": "binary" if binary else "macro, one against the rest",
        "confusion_matrix": {"labels": shown, "rows_are": "truth", "counts": matrix.tolist()},
        "measurements": [m.model_dump(mode="json") for m in measurements],
        "reliability": _reliability(problem, params.level),
    }
    if isinstance(problem, Binary) and 0 < problem.truth.sum() < rows:
        report["roc"] = _roc(problem)
    return report


def _roc(problem: Binary) -> list[dict[str, float]]:
    """At most ``_CURVE_POINTS`` points of the ROC curve, ends kept."""
    false_rate, true_rate, _ = roc_curve(problem.truth, problem.score)
    keep = np.unique(np.linspace(0, len(false_rate) - 1, _CURVE_POINTS).round().astype(int))
    return [{"fpr": float(false_rate[i]), "tpr": float(true_rate[i])} for i in keep]


def _reliability(problem: Binary | Multiclass, level: float) -> list[dict[str, Any]]:
    """Per bin of predicted probability: mean predicted, observed share, Wilson interval, rows."""
    if isinstance(problem, Binary):
        score, hit = problem.score, problem.truth
    else:
        score, hit = problem.scores.max(axis=1), problem.truth == problem.predicted
    points = []
    for name in np.unique(problem.bins):
        inside = problem.bins == name
        n, hits = int(inside.sum()), int(hit[inside].sum())
        interval = wilson(hits, n, level)
        low, high = (interval.low, interval.high) if interval else (0.0, 1.0)
        predicted = float(score[inside].mean())
        points.append({"predicted": predicted, "observed": hits / n, "low": low, "high": high, "n": n})
    return points


STEP = Step(
    id="evaluate.classification@1",
    title="Evaluate on held-out rows",
    help="Accuracy, precision, recall, F1, ROC AUC, log loss, Brier score and calibration error with percentile "
    "bootstrap intervals (Wilson's where a share is 0 or 1), the confusion matrix, ROC and reliability curves.",
    params=Params,
    run=run,
    inputs={"model": Port("model", "a model of train.sklearn"), "table": Port("table", "rows it was not trained on")},
    outputs={"report": Port("report", "measurements, confusion matrix and curves")},
    evidence=("holdout_metrics", "calibration_report"),
    about=("model",),
)
