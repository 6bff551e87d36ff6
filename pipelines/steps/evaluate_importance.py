"""Which columns a model leans on: permutation importance with intervals, and how stable the ranking is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field
from scipy.stats import spearmanr
from threadpoolctl import threadpool_limits

from pipelines.steps._answers import Asked, asked
from pipelines.steps._bootstrap import bootstrap, percentile_interval
from pipelines.steps._frames import need_rows
from pipelines.steps.contract import Port, Step, StepContext, StepError, StepParams, StepResult
from security.measurement import Measurement, Threshold, judge

Array = np.ndarray[Any, Any]
HALVES = 20


class Params(StepParams):
    """On how many rows and how often to permute."""

    target: str = Field(description="column that holds the label or the number to predict")
    repeats: int = Field(default=5, ge=2, le=100, description="permutations of each column")
    max_rows: int = Field(default=2000, ge=20, le=100_000, description="rows that are used, drawn by the seed")
    bootstrap: int = Field(default=500, ge=100, le=10_000, description="resamples for the intervals")
    level: float = Field(default=0.95, gt=0.5, lt=1, description="confidence level of the intervals")
    thresholds: tuple[Threshold, ...] = Field(
        default=(), description="rules, such as {metric: importance_stability, min: 0.8}"
    )


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Measure. Raises StepError when model and table do not fit together or the model does not answer."""
    need_rows(inputs["table"], 4)
    with threadpool_limits(1):
        subject = asked(inputs["model"], inputs["table"], params.target, params.max_rows, context)
        rises = _rises(subject, params, context)
    rows, names = rises.shape[0], list(subject.frame.columns)
    draws = bootstrap(
        lambda weights: {name: weights @ rises[:, i] / rows for i, name in enumerate(names)},
        rows,
        params.bootstrap,
        context.subseed("bootstrap"),
    )
    unit = "nats" if subject.classes else "target"
    order = np.argsort(-rises.mean(axis=0), kind="stable")
    found = [
        Measurement(
            name="importance",
            value=float(rises[:, i].mean()),
            unit=unit,
            n=rows,
            interval=percentile_interval(draws[names[i]], params.level),
            slice={"column": names[i]},
        )
        for i in order
    ]
    measurements = (*found, _stability(rises, context))
    report = {
        "rows": rows,
        "repeats": params.repeats,
        "loss": "log loss" if subject.classes else "absolute error",
        "measurements": [m.model_dump(mode="json") for m in measurements],
    }
    stable = measurements[-1].value
    told = "not defined" if stable is None else f"{stable:.2f}"
    summary = f"leans most on {', '.join(names[i] for i in order[:3])}; stability of the ranking {told}"
    return StepResult({"report": report}, measurements, judge(measurements, params.thresholds), summary)


def _rises(subject: Asked, params: Params, context: StepContext) -> Array:
    """By how much the loss of each row rises when each column is permuted, mean over repeats: (rows, columns)."""
    before = subject.smooth_loss(subject.answers(subject.frame))
    generator = np.random.default_rng(context.subseed("permutations"))
    rows, made = len(before), []
    for done, name in enumerate(subject.frame.columns):
        total = np.zeros(rows)
        for _ in range(params.repeats):
            values = subject.frame[name].to_numpy()[generator.permutation(rows)]
            moved = subject.frame.assign(**{name: pd.Series(values, index=subject.frame.index)})
            total += subject.smooth_loss(subject.answers(moved)) - before
        made.append(total / params.repeats)
        context.progress(done + 1, subject.frame.shape[1], f"permuted {name}")
    rises = np.column_stack(made)
    if not np.isfinite(rises).all():
        raise StepError("the model gives some rows no answer (no finite number); its importances cannot be measured")
    return rises


def _stability(rises: Array, context: StepContext) -> Measurement:
    """Spearman's rank correlation between the importances on two halves of the rows, mean over ``HALVES`` splits."""
    generator, rows = np.random.default_rng(context.subseed("halves")), rises.shape[0]
    found = []
    for _ in range(HALVES):
        order = generator.permutation(rows)
        pair = [rises[half].mean(axis=0) for half in (order[: rows // 2], order[rows // 2 :])]
        if all(len(np.unique(one)) > 1 for one in pair):
            found.append(float(spearmanr(*pair).statistic))
    if len(found) < HALVES:
        note = "not defined: fewer than two columns, or none of them matters"
        return Measurement(name="importance_stability", value=None, unit="rank correlation",
                           direction="higher_is_better", n=rows, note=note)  # fmt: skip
    return Measurement(name="importance_stability", value=float(np.mean(found)), unit="rank correlation",
                       direction="higher_is_better", n=rows,
                       note=f"between halves of the rows, {HALVES} splits; lowest {min(found):.2f}")  # fmt: skip


STEP = Step(
    id="evaluate.importance@1",
    title="See which columns matter",
    help="Permutation importance on held-out rows (Breiman 2001): by how much the log loss or absolute error rises "
    "when one column is shuffled, with bootstrap intervals over rows, and how well the ranking agrees between halves "
    "of the rows. Columns that say the same share their importance: each alone may look unimportant.",
    params=Params,
    run=run,
    inputs={"model": Port("model", "a trained model"), "table": Port("table", "rows not trained on")},
    outputs={"report": Port("report", "importances, most important first, and their stability")},
    evidence=("explanation_report",),
    about=("model",),
)
