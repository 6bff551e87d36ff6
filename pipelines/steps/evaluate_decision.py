"""Where to cut: ROC, precision against recall, and what each decision threshold costs at a stated price of errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field
from threadpoolctl import threadpool_limits

from pipelines.steps._bootstrap import percentile_interval
from pipelines.steps._frames import need_rows
from pipelines.steps._groups import positive_scores
from pipelines.steps._metrics import ratio
from pipelines.steps._modelfile import load_model
from pipelines.steps.contract import Port, Step, StepContext, StepError, StepParams, StepResult
from security.measurement import Measurement, Threshold, judge

Array = np.ndarray[Any, Any]
MAX_CUTS = 200


class Params(StepParams):
    """What a wrong decision costs, and what may be lost by the threshold in use."""

    target: str = Field(description="column that holds the label")
    positive: str | int | float | bool | None = Field(default=None, description="the positive label")
    cost_false_positive: float = Field(default=1.0, ge=0, le=1e9, description="cost of a negative taken for positive")
    cost_false_negative: float = Field(default=1.0, ge=0, le=1e9, description="cost of a positive that is missed")
    decision_threshold: float = Field(default=0.5, gt=0, lt=1, description="the probability in use to predict positive")
    bootstrap: int = Field(default=1000, ge=100, le=10_000, description="resamples for the intervals")
    level: float = Field(default=0.95, gt=0.5, lt=1, description="confidence level of the intervals")
    thresholds: tuple[Threshold, ...] = Field(
        default=(), description="rules, such as {metric: avoidable_cost, max: 0.01}"
    )


@dataclass(frozen=True)
class Curve:
    """``cuts`` (cuts,) rise from 0 (all rows positive) to just above 1 (none); a row at or above a cut is positive.

    ``negatives`` and ``positives`` (cuts - 1,): rows per piece between two cuts.
    """

    cuts: Array
    negatives: Array
    positives: Array

    def errors(self, counts: Array) -> tuple[Array, Array]:
        """Counts (draws, 2 × pieces), negatives first → false positives and false negatives, (draws, cuts) each."""
        pieces = len(self.cuts) - 1
        no, yes = counts[:, :pieces], counts[:, pieces:]
        nothing = np.zeros((len(counts), 1))
        wrong_yes = np.concatenate([np.cumsum(no[:, ::-1], axis=1)[:, ::-1], nothing], axis=1)
        missed = np.concatenate([nothing, np.cumsum(yes, axis=1)], axis=1)
        return wrong_yes, missed


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Measure. Raises StepError when the model and the table do not fit together, or there is one label only."""
    need_rows(inputs["table"], 2)
    if params.cost_false_positive == params.cost_false_negative == 0:
        raise StepError("both errors cost nothing; state what at least one of them costs", param="cost_false_positive")
    model = load_model(inputs["model"])
    with threadpool_limits(1):
        positive, truth, score = positive_scores(model, inputs["table"], params.target, params.positive)
    if truth.all() or not truth.any():
        raise StepError("the table has one label only; a threshold needs both to choose between", param="target")
    curve = _curve(truth, score, params.decision_threshold)
    counts = np.concatenate([curve.negatives, curve.positives])
    generator = np.random.default_rng(context.subseed("bootstrap"))
    draws = generator.multinomial(len(truth), counts / len(truth), size=params.bootstrap).astype(np.float64)
    used = int(np.flatnonzero(curve.cuts == params.decision_threshold)[0])
    now, resampled = (_costs(curve, c, params) for c in (counts[None].astype(np.float64), draws))
    best = int(now[0].argmin())
    measurements = tuple(_measurements(now[0], resampled, used, best, curve, truth, score, params))
    report = {
        "positive": positive,
        "rows": len(truth),
        "costs": {"false_positive": params.cost_false_positive, "false_negative": params.cost_false_negative},
        "decision_threshold": params.decision_threshold,
        "best_threshold": _shown(curve.cuts[best]),
        "curve": _points(curve, now[0], resampled, truth, params.level),
        "measurements": [m.model_dump(mode="json") for m in measurements],
    }
    context.progress(len(truth), len(truth), f"{len(curve.cuts)} thresholds priced")
    told = f"costs {now[0][used]:.4g} a row at {params.decision_threshold:g}"
    other = f"at {_shown(curve.cuts[best]):g}" if curve.cuts[best] <= 1 else "where no row is called positive"
    summary = f"{told}, {now[0][best]:.4g} {other}"
    return StepResult({"report": report}, measurements, judge(measurements, params.thresholds), summary)


def _curve(truth: Array, score: Array, used: float) -> Curve:
    """Cuts at the scores' own quantiles, at the threshold in use, and at both ends."""
    middle = np.quantile(score, np.linspace(0, 1, MAX_CUTS), method="nearest")
    cuts = np.unique(np.concatenate([[0.0], middle, [used, np.nextafter(1.0, 2.0)]]))
    piece = np.searchsorted(cuts, score, side="right") - 1
    counted = [np.bincount(piece[mask], minlength=len(cuts) - 1) for mask in (~truth, truth)]
    return Curve(cuts, counted[0], counted[1])


def _costs(curve: Curve, counts: Array, params: Params) -> Array:
    """Mean cost of a row at every cut, (draws, cuts)."""
    wrong_yes, missed = curve.errors(counts)
    total = counts.sum(axis=1, keepdims=True)
    return np.asarray((params.cost_false_positive * wrong_yes + params.cost_false_negative * missed) / total)


def _measurements(
    costs: Array, draws: Array, used: int, best: int, curve: Curve, truth: Array, score: Array, params: Params
) -> list[Measurement]:
    """What the threshold in use costs, what another would save, and what deciding without the model would cost."""
    n, blind = len(truth), min(costs[0], costs[-1])
    avoidable = draws[:, used] - draws.min(axis=1)
    chosen = np.minimum(curve.cuts[draws.argmin(axis=1)], 1.0)
    picked = "the best threshold was chosen on these rows, which flatters it"
    figures = (
        ("cost", costs[used], draws[:, used], "lower_is_better", "cost", ""),
        ("avoidable_cost", costs[used] - costs[best], avoidable, "lower_is_better", "cost", picked),
        ("best_threshold", _shown(curve.cuts[best]), chosen, "none", "fraction", picked),
        ("saved_by_the_model", blind - costs[used], np.minimum(draws[:, 0], draws[:, -1]) - draws[:, used],
         "higher_is_better", "cost", "against the cheaper of calling all rows positive, or none"),
    )  # fmt: skip
    made = [
        Measurement(name=name, value=float(value), unit=unit, direction=direction, n=n,
                    interval=percentile_interval(values, params.level), note=note)
        for name, value, values, direction, unit, note in figures
    ]  # fmt: skip
    made.append(Measurement(name="average_precision", value=_average_precision(truth, score),
                            direction="higher_is_better", n=int(truth.sum()),
                            note=f"{truth.mean():.3f} for scores that say nothing"))  # fmt: skip
    return made


def _average_precision(truth: Array, score: Array) -> float:
    """Precision at each positive, rows of one score together: the step-wise area below precision and recall."""
    order = np.argsort(-score, kind="stable")
    ends = np.r_[np.flatnonzero(np.diff(score[order])), len(score) - 1]
    hits = np.cumsum(truth[order])[ends]
    return float(np.sum(np.diff(hits, prepend=0) * hits / (ends + 1)) / truth.sum())


def _shown(cut: float) -> float:
    return float(min(cut, 1.0))


def _points(curve: Curve, costs: Array, draws: Array, truth: Array, level: float) -> list[dict[str, float | None]]:
    """One row per cut: rates, precision, cost with its pointwise interval. Precision is None where none is positive."""
    wrong_yes, missed = (one[0] for one in curve.errors(np.concatenate([curve.negatives, curve.positives])[None]))
    yes, no = int(truth.sum()), int((~truth).sum())
    precision = ratio(yes - missed, yes - missed + wrong_yes)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return [
        {
            "threshold": _shown(cut),
            "fpr": float(wrong_yes[i] / no),
            "recall": float(1 - missed[i] / yes),
            "precision": float(precision[i]) if np.isfinite(precision[i]) else None,
            "cost": float(costs[i]),
            "low": float(low[i]),
            "high": float(high[i]),
        }
        for i, cut in enumerate(curve.cuts)
    ]


STEP = Step(
    id="evaluate.decision@1",
    title="Price the decision threshold",
    help="The ROC curve, precision against recall, and the mean cost of a row at every decision threshold, given what "
    "a false positive and a false negative cost; what the threshold in use costs more than the best one, and saves "
    "against deciding without the model. Percentile bootstrap intervals, by counting.",
    params=Params,
    run=run,
    inputs={"model": Port("model", "a model of train.sklearn"), "table": Port("table", "rows not trained on")},
    outputs={"report": Port("report", "the curves and what each threshold costs")},
    evidence=("holdout_metrics",),
    about=("model",),
)
