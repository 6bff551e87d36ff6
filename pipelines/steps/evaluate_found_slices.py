"""Find the slices of the table on which a model errs most: exact, with false discoveries under control."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field
from scipy.stats import beta, hypergeom, norm, t
from threadpoolctl import threadpool_limits

from pipelines.steps._bootstrap import wilson
from pipelines.steps._discrete import Discrete, discrete
from pipelines.steps._frames import class_names, known_labels, labels, need_rows
from pipelines.steps._groups import probabilities
from pipelines.steps._metrics import surprise
from pipelines.steps._modelfile import load_model
from pipelines.steps._sliceline import Search, Slice, SliceFinder, members, merged
from pipelines.steps._tables import personal_columns
from pipelines.steps.contract import Port, Step, StepContext, StepError, StepParams, StepResult
from security.measurement import Interval, Measurement, Threshold, judge

Array = np.ndarray[Any, Any]
MAX_COLUMNS = 60
POWER = 0.8
GAP, ERROR = "worst_slice_gap", "slice_error"


class Params(StepParams):
    """Where to look, what counts as an error, and how much worse a slice may be."""

    target: str = Field(description="column that holds the label")
    columns: tuple[str, ...] = Field(
        default=(), max_length=MAX_COLUMNS, description="columns to look through; the model's features when empty"
    )
    loss: Literal["error", "log_loss"] = Field(
        default="error", description="error: predicted label is wrong (0 or 1); log_loss: in nats"
    )
    depth: int = Field(default=3, ge=1, le=4, description="most conditions of a slice")
    min_size: int = Field(default=100, ge=10, description="smallest slice, in rows")
    bins: int = Field(default=5, ge=2, le=20, description="bins of a number, of about equally many rows")
    top: int = Field(default=10, ge=1, le=50, description="how many slices to find")
    alpha: float = Field(default=0.95, gt=0, le=1, description="weight of a slice's error against its size (SliceLine)")
    false_discovery_rate: float = Field(default=0.05, gt=0, lt=0.5, description="share of false finds to accept")
    min_gap: float = Field(default=0.0, ge=0, description="a slice that is worse by less than this is no finding")
    overlap: float = Field(default=0.5, gt=0, le=1, description="share of common rows from which slices are merged")
    level: float = Field(default=0.95, gt=0.5, lt=1, description="confidence level of the intervals")
    thresholds: tuple[Threshold, ...] = Field(
        default=(), description="rules, such as {metric: worst_slice_gap, max: 0.1}"
    )


@dataclass(frozen=True)
class Finding:
    """One slice: its rows, mean error inside and outside, chance of that if it were like the rest, adjusted chance."""

    found: Slice
    where: dict[str, str]
    mask: Array
    inside: float
    outside: float
    p: float
    q: float

    @property
    def gap(self) -> float:
        return self.inside - self.outside


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Search. Raises StepError for columns that cannot be looked through and a table too small for one slice."""
    table = inputs["table"]
    need_rows(table, 2 * params.min_size)
    model = load_model(inputs["model"])
    names = params.columns or [n for n in map(str, model.feature_names_in_) if n not in personal_columns(table)]
    if len(names) > MAX_COLUMNS:
        raise StepError(f"the model has {len(names)} features; name up to {MAX_COLUMNS} columns", param="columns")
    columns = discrete(table, names, params.bins)
    with threadpool_limits(1):
        errors = _errors(model, table, params)
    codes = np.column_stack([one.codes for one in columns])
    context.progress(0, len(errors), f"slices by up to {params.depth} of {len(columns)} columns")
    finder = SliceFinder(codes, errors, k=params.top, depth=params.depth, min_size=params.min_size, alpha=params.alpha)
    search = finder.search()
    context.progress(len(errors), len(errors), f"{search.measured:,} slices measured")
    findings = _judged(search, columns, codes, errors)
    real = [f for f in findings if f.q <= params.false_discovery_rate and f.gap >= params.min_gap]
    level = 1 - (1 - params.level) * max(len(real), 1) / max(search.possible, 1)
    shown = dict(merged([f.mask for f in real], params.overlap))
    detectable = _detectable(errors, search.possible, params)
    measurements = (
        _worst(real, errors, level, detectable, params),
        Measurement(name="found_slices", value=float(len(shown)), unit="slices", direction="lower_is_better",
                    n=len(errors), note=f"after merging; {len(real)} of the {len(findings)} best are no chance finds"),
        *(_slice_error(real[head], errors, level, params) for head in shown),
    )  # fmt: skip
    report = {
        "rows": len(errors),
        "loss": params.loss,
        "mean_error": float(errors.mean()),
        "columns": [one.column for one in columns],
        "measured": search.measured,
        "possible": search.possible,
        "detectable_gap": detectable,
        "slices": [_told(f, real, errors, level, params) for f in findings],
        "merged": [{"slice": real[h].where, "with": [real[b].where for b in below]} for h, below in shown.items()],
        "measurements": [m.model_dump(mode="json") for m in measurements],
    }
    return StepResult(
        {"report": report}, measurements, judge(measurements, params.thresholds), _summary(real, search, detectable)
    )


def _errors(model: Any, table: Any, params: Params) -> Array:
    classes = class_names(model)
    truth = known_labels(classes, labels(table, params.target))
    scores = probabilities(model, table)
    if params.loss == "log_loss":
        return surprise(scores[np.arange(len(truth)), truth])
    return np.asarray(scores.argmax(axis=1) != truth, dtype=np.float64)


def _judged(search: Search, columns: Sequence[Discrete], codes: Array, errors: Array) -> list[Finding]:
    """The slices with p-values, adjusted for all that are possible, the others as 1 (Benjamini, Hochberg 1995)."""
    masks = [members(codes, one) for one in search.slices]
    chances = np.array([chance(errors, mask) for mask in masks])
    order = np.argsort(chances, kind="stable")
    adjusted = np.empty(len(chances))
    ranked = chances[order] * search.possible / np.arange(1, len(chances) + 1)
    adjusted[order] = np.minimum(np.minimum.accumulate(ranked[::-1])[::-1], 1.0)
    return [
        Finding(
            one,
            {columns[c].column: columns[c].names[v] for c, v in zip(one.columns, one.values, strict=True)},
            mask,
            float(errors[mask].mean()),
            float(errors[~mask].mean()) if not mask.all() else float(errors.mean()),
            float(p),
            float(q),
        )
        for one, mask, p, q in zip(search.slices, masks, chances, adjusted, strict=True)
    ]


def chance(errors: Array, mask: Array) -> float:
    """How likely a mean error this large is for that many rows drawn from all: Fisher's exact test, or Welch's."""
    rows, size = len(errors), int(mask.sum())
    if size in (0, rows):
        return 1.0
    if np.isin(errors, (0.0, 1.0)).all():
        return float(hypergeom.sf(errors[mask].sum() - 1, rows, int(errors.sum()), size))
    difference, error, freedom = _welch(errors, mask)
    return float(t.sf(difference / error, freedom)) if error > 0 else float(difference <= 0)


def _welch(errors: Array, mask: Array) -> tuple[float, float, float]:
    """Difference of the means inside and outside, its standard error, degrees of freedom (Welch 1947)."""
    parts = [errors[mask], errors[~mask]]
    shares = [float(part.var(ddof=1)) / len(part) if len(part) > 1 else 0.0 for part in parts]
    total = sum(shares)
    freedom = [share**2 / (len(part) - 1) for share, part in zip(shares, parts, strict=True) if len(part) > 1]
    return (
        float(parts[0].mean() - parts[1].mean()),
        math.sqrt(total),
        total**2 / sum(freedom) if sum(freedom) > 0 else float(len(errors)),
    )


def _detectable(errors: Array, possible: int, params: Params) -> float:
    """By how much the smallest slice must be worse to be found four times in five, with so many that are possible.

    Exact for errors of 0 and 1 (the count that Fisher's test asks for, the share that reaches it so often); for the
    log loss by the normal distribution and the spread over all rows.
    """
    rows, least = len(errors), params.false_discovery_rate / max(possible, 1)
    size = min(params.min_size, rows)
    if params.loss == "error":
        wrong, needed, before = int(errors.sum()), 0, -1
        while needed != before:  # what is wrong in the slice is wrong among all rows too; it only grows
            among = round(wrong * (rows - size) / rows) + needed
            before, needed = needed, min(int(hypergeom.isf(least, rows, among, size)) + 1, size + 1)
        if needed > size:
            return 1.0
        return float(beta.ppf(POWER, needed, size - needed + 1)) - wrong / rows
    spread = float(errors.std()) * math.sqrt(1 / size + 1 / max(rows - size, 1))
    return float(norm.isf(least) + norm.ppf(POWER)) * spread


def _worst(real: Sequence[Finding], errors: Array, level: float, detectable: float, params: Params) -> Measurement:
    """How much worse the worst slice is than the rest of the rows; where none was found, how much could be missed."""
    unit = "fraction" if params.loss == "error" else "nats"
    if real:
        worst = max(real, key=lambda f: f.gap)
        interval = _gap_interval(worst, errors, level, params)
        told = ", ".join(f"{column} = {value}" for column, value in worst.where.items())
        return Measurement(name=GAP, value=worst.gap, unit=unit, direction="lower_is_better",
                           n=int(worst.mask.sum()), interval=interval, note=told)  # fmt: skip
    note = f"no slice was found; one of {params.min_size} rows would have to be worse by {detectable:.3f} to be found"
    short = f"inconclusive: {note}; more rows, fewer columns or larger slices are needed"
    limits = [rule.max for rule in params.thresholds if rule.metric == GAP and rule.max is not None]
    if any(limit < detectable for limit in limits):
        return Measurement(name=GAP, value=None, unit=unit, direction="lower_is_better", n=len(errors),
                           note=short)  # fmt: skip
    interval = Interval(low=0.0, high=detectable, level=params.level, method="found in four of five cases beyond it")
    return Measurement(name=GAP, value=0.0, unit=unit, direction="lower_is_better", n=len(errors),
                       interval=interval, note=note)  # fmt: skip


def _gap_interval(one: Finding, errors: Array, level: float, params: Params) -> Interval:
    """Newcombe's (1998, method 10) or Welch's, at a level that allows for having picked the slice from so many."""
    n, m = int(one.mask.sum()), int((~one.mask).sum())
    if params.loss == "error":
        first, second = wilson(round(one.inside * n), n, level), wilson(round(one.outside * m), m, level)
        if first is None or second is None:
            raise ValueError("a slice of no rows has no interval")
        low = one.gap - math.hypot(one.inside - first.low, second.high - one.outside)
        high = one.gap + math.hypot(first.high - one.inside, one.outside - second.low)
    else:
        difference, error, freedom = _welch(errors, one.mask)
        half = float(t.isf((1 - level) / 2, freedom)) * error
        low, high = difference - half, difference + half
    return Interval(low=low, high=high, level=params.level, method=_method(params))


def _method(params: Params) -> str:
    kind = "Newcombe" if params.loss == "error" else "Welch"
    return f"{kind}, false coverage rate over all possible slices (Benjamini, Yekutieli 2005)"


def _slice_error(one: Finding, errors: Array, level: float, params: Params) -> Measurement:
    n = int(one.mask.sum())
    if params.loss == "error":
        found = wilson(round(one.inside * n), n, level)
    else:
        half = float(t.isf((1 - level) / 2, n - 1) * errors[one.mask].std(ddof=1) / math.sqrt(n))
        found = Interval(low=one.inside - half, high=one.inside + half, level=params.level)
    interval = found and found.model_copy(update={"level": params.level, "method": _method(params)})
    return Measurement(
        name=ERROR,
        value=one.inside,
        unit="fraction" if params.loss == "error" else "nats",
        direction="lower_is_better",
        n=n,
        interval=interval,
        slice=one.where,
        note=f"{one.outside:.3f} on the other rows; adjusted p = {one.q:.2g}",
    )


def _told(one: Finding, real: Sequence[Finding], errors: Array, level: float, params: Params) -> dict[str, Any]:
    interval = _gap_interval(one, errors, level, params)
    return {
        "slice": one.where,
        "score": one.found.score,
        "rows": one.found.size,
        "error": one.inside,
        "error_elsewhere": one.outside,
        "gap": one.gap,
        "interval": [interval.low, interval.high],
        "p": one.p,
        "adjusted_p": one.q,
        "finding": any(one is other for other in real),
    }


def _summary(real: Sequence[Finding], search: Search, detectable: float) -> str:
    if not real:
        return f"no slice of {search.possible:,} possible is worse than chance; a gap of {detectable:.3f} would show"
    worst = max(real, key=lambda f: f.gap)
    where = " and ".join(f"{column} = {value}" for column, value in worst.where.items())
    return f"errs on {worst.inside:.3f} of {worst.found.size:,} rows where {where}, {worst.outside:.3f} elsewhere"


STEP = Step(
    id="evaluate.found_slices@1",
    title="Find the worst slices",
    help="The slices (conjunctions of values and ranges) on which the model errs most, exactly, by SliceLine's score "
    "of error and size. A slice is a finding when it is worse than the other rows at a false-discovery rate over every "
    "slice that is large enough (Benjamini, Hochberg). Slices of mostly the same rows are shown as one. Where nothing "
    "is found, the result says how much worse a slice could be unseen; a rule below that is inconclusive.",
    params=Params,
    run=run,
    inputs={"model": Port("model", "a model of train.sklearn"), "table": Port("table", "held-out rows")},
    outputs={"report": Port("report", "the slices with sizes, errors, intervals and adjusted chances")},
    evidence=("slice_metrics",),
    about=("model",),
)
