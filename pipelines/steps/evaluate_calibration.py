"""Do the probabilities hold? Calibration error with its binning, slope and intercept, and what chance alone gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import Field
from scipy.special import expit, logit
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from pipelines.steps._bootstrap import bootstrap, percentile_interval, wilson
from pipelines.steps._frames import class_names, known_labels, labels, need_rows, positive_class
from pipelines.steps._groups import probabilities
from pipelines.steps._metrics import bin_gaps, quantile_bins, ratio
from pipelines.steps._modelfile import load_model
from pipelines.steps.contract import Port, Step, StepContext, StepParams, StepResult
from security.measurement import Interval, Measurement, Threshold, judge

Array = np.ndarray[Any, Any]
CLOSE = 1e-6  # probabilities this near 0 and 1 are moved inwards before their log-odds are taken
STEPS = 50


class Params(StepParams):
    """Which probability to judge, and how rows are put into bins."""

    target: str = Field(description="column that holds the label")
    positive: str | int | float | bool | None = Field(
        default=None, description="the positive label; of more than two classes the predicted one is judged"
    )
    binning: Literal["quantile", "uniform"] = Field(
        default="quantile", description="bins of about equally many rows, or of equal width"
    )
    bins: int = Field(default=10, ge=2, le=100, description="number of bins")
    bootstrap: int = Field(default=500, ge=100, le=10_000, description="resamples for the intervals")
    level: float = Field(default=0.95, gt=0.5, lt=1, description="confidence level of the intervals")
    thresholds: tuple[Threshold, ...] = Field(
        default=(), description="rules, such as {metric: calibration_error, max: 0.03}"
    )


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Measure. Raises StepError when the model and the table do not fit together."""
    need_rows(inputs["table"], 2)
    model = load_model(inputs["model"])
    classes = class_names(model)
    truth = known_labels(classes, labels(inputs["table"], params.target))
    with threadpool_limits(1):
        scores = probabilities(model, inputs["table"])
        positive = positive_class(classes, params.positive)
        if positive is None:
            score, hit = scores.max(axis=1), scores.argmax(axis=1) == truth
        else:
            score, hit = scores[:, classes.index(positive)], truth == classes.index(positive)
        bins = _bins(score, params)
        draws = bootstrap(
            lambda weights: _errors(weights, score, hit, bins), len(hit), params.bootstrap, context.subseed("bootstrap")
        )
    chance = _chance(score, bins, params, context)
    measurements = (*_error_measurements(score, hit, bins, draws, chance, params), *_line(score, hit, params.level))
    report = {
        "rows": len(hit),
        "judged": positive if positive is not None else "the predicted class",
        "binning": params.binning,
        "bins": len(np.unique(bins)),
        "by_chance": chance,
        "reliability": _reliability(score, hit, bins, params.level),
        "measurements": [m.model_dump(mode="json") for m in measurements],
    }
    error = measurements[0].value
    summary = f"calibration error {error:.3f} over {report['bins']} {params.binning} bins; up to {chance:.3f} is chance"
    return StepResult({"report": report}, measurements, judge(measurements, params.thresholds), summary)


def _bins(score: Array, params: Params) -> Array:
    if params.binning == "quantile":
        return quantile_bins(score, params.bins)
    return np.minimum((score * params.bins).astype(np.intp), params.bins - 1)


def _errors(weights: Array, score: Array, hit: Array, bins: Array) -> dict[str, Array]:
    """Weights (draws, rows) → expected and largest calibration error, (draws,) each (Naeini et al. 2015)."""
    member = (bins[:, None] == np.unique(bins)).astype(np.float64)
    gaps = np.abs(ratio(weights @ (member * (hit - score)[:, None]), weights @ member))
    return {
        "calibration_error": ratio(bin_gaps(weights, hit - score, bins), weights.sum(axis=1)),
        "largest_bin_error": np.fmax.reduce(gaps, axis=1),
    }


def _chance(score: Array, bins: Array, params: Params, context: StepContext) -> float:
    """The calibration error that probabilities which hold exactly would show on as many rows (Bröcker, Smith 2007)."""
    generator, found = np.random.default_rng(context.subseed("chance")), []
    ones = np.ones((1, len(score)))
    for done in range(params.bootstrap):
        drawn = generator.random(len(score)) < score
        found.append(float(bin_gaps(ones, drawn - score, bins)[0]) / len(score))
        context.progress(done + 1, params.bootstrap, "labels drawn from the probabilities")
    return float(np.quantile(found, params.level))


def _error_measurements(
    score: Array, hit: Array, bins: Array, draws: Mapping[str, Array], chance: float, params: Params
) -> list[Measurement]:
    values = {name: float(v[0]) for name, v in _errors(np.ones((1, len(hit))), score, hit, bins).items()}
    how = f"{len(np.unique(bins))} {params.binning} bins"
    notes = {"calibration_error": f"{how}; by chance alone up to {chance:.3f}", "largest_bin_error": how}
    found = [
        Measurement(name=name, value=value, direction="lower_is_better", n=len(hit),
                    interval=percentile_interval(draws[name], params.level), note=notes[name])
        for name, value in values.items()
    ]  # fmt: skip
    bias, spread = float((score - hit).mean()), float((score - hit).std(ddof=1)) / len(hit) ** 0.5
    half = float(norm.ppf((1 + params.level) / 2)) * spread
    interval = Interval(low=bias - half, high=bias + half, level=params.level, method="normal")
    return [*found, Measurement(name="calibration_bias", value=bias, n=len(hit), interval=interval,
                                note="mean probability minus share observed")]  # fmt: skip


def _line(score: Array, hit: Array, level: float) -> list[Measurement]:
    """Slope and intercept of the labels over the log-odds (Cox 1958): 1 and 0 where the probabilities hold.

    A slope below 1: too sure of itself. Fitted by Newton's method; not defined where the labels are separated.
    """
    x = np.column_stack([np.ones(len(hit)), logit(np.clip(score, CLOSE, 1 - CLOSE))])
    at, fitted = np.array([0.0, 1.0]), False
    information = np.eye(2)
    for _ in range(STEPS):
        share = expit(x @ at)
        information = (x * (share * (1 - share))[:, None]).T @ x
        if np.linalg.cond(information) > 1e12:
            break
        move = np.linalg.solve(information, x.T @ (hit - share))
        at = at + move
        if not np.isfinite(at).all() or np.abs(at).max() > 1e3:
            break
        if np.abs(move).max() < 1e-10:
            fitted = True
            break
    made = []
    for place, name in ((1, "calibration_slope"), (0, "calibration_intercept")):
        if not fitted:
            note = "not defined: one label or one probability only, or labels that the probabilities separate"
            made.append(Measurement(name=name, value=None, unit="log-odds", n=len(hit), note=note))
            continue
        half = float(norm.ppf((1 + level) / 2)) * float(np.linalg.inv(information)[place, place]) ** 0.5
        interval = Interval(low=float(at[place]) - half, high=float(at[place]) + half, level=level, method="Wald")
        made.append(Measurement(name=name, value=float(at[place]), unit="log-odds", n=len(hit), interval=interval))
    return made


def _reliability(score: Array, hit: Array, bins: Array, level: float) -> list[dict[str, Any]]:
    """Per bin: mean probability, observed share with Wilson's interval, rows."""
    points = []
    for one in np.unique(bins):
        inside = bins == one
        n, hits = int(inside.sum()), int(hit[inside].sum())
        interval = wilson(hits, n, level)
        low, high = (interval.low, interval.high) if interval else (0.0, 1.0)
        points.append(
            {"predicted": float(score[inside].mean()), "observed": hits / n, "low": low, "high": high, "n": n}
        )
    return points


STEP = Step(
    id="evaluate.calibration@1",
    title="Check that the probabilities hold",
    help="Expected and largest calibration error over stated bins with bootstrap intervals, beside the error that "
    "exact probabilities would show by chance on as many rows; calibration slope and intercept (Cox), bias, and the "
    "reliability curve with Wilson intervals.",
    params=Params,
    run=run,
    inputs={"model": Port("model", "a model of train.sklearn"), "table": Port("table", "rows not trained on")},
    outputs={"report": Port("report", "measurements and the reliability curve")},
    evidence=("calibration_report",),
    about=("model",),
)
