"""Compare groups of people: rates and calibration of each, differences and ratios between them, with intervals."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field
from threadpoolctl import threadpool_limits

from pipelines.steps._bootstrap import percentile_interval, widest_gap, wilson
from pipelines.steps._fairness import CALIBRATION, RATES, Cells, Groups, count
from pipelines.steps._frames import need_rows
from pipelines.steps._groups import columns_of, positive_scores
from pipelines.steps._metrics import ratio
from pipelines.steps._modelfile import load_model
from pipelines.steps.contract import Port, Step, StepContext, StepParams, StepResult
from security.measurement import Interval, Measurement, Threshold, Verdict, judge

Array = np.ndarray[Any, Any]
Direction = Literal["higher_is_better", "lower_is_better", "none"]
FOUR_FIFTHS = 0.8
ODDS = ("tpr", "fpr")
_DIRECTIONS: Mapping[str, Direction] = {name: rate.direction for name, rate in RATES.items()} | {
    "calibration_bias": "none",
    "calibration_error": "lower_is_better",
}


class Params(StepParams):
    """Which groups to compare, from which size on, and which differences are acceptable."""

    target: str = Field(description="column that holds the label")
    positive: str | int | float | bool | None = Field(default=None, description="the positive label")
    groups: tuple[str, ...] = Field(min_length=1, max_length=8, description="columns whose values are the groups")
    depth: int = Field(default=2, ge=1, le=4, description="up to how many columns make an intersectional group")
    min_size: int = Field(default=30, ge=1, description="a rate over fewer rows is inconclusive")
    decision_threshold: float = Field(default=0.5, gt=0, lt=1, description="probability from which it is predicted")
    bootstrap: int = Field(default=1000, ge=100, le=10_000, description="resamples for the intervals")
    level: float = Field(default=0.95, gt=0.5, lt=1, description="confidence level of the intervals")
    thresholds: tuple[Threshold, ...] = Field(
        default=(), description="rules, such as {metric: selection_rate_ratio, min: 0.8} (the four-fifths rule)"
    )


@dataclass(frozen=True)
class Compared:
    """One set of columns: its groups with sizes (groups,), values (groups,) and resampled values (draws, groups)."""

    groups: Groups
    sizes: Mapping[str, Array]
    values: Mapping[str, Array]
    draws: Mapping[str, Array]
    params: Params
    seed: int

    @property
    def everywhere(self) -> dict[str, str]:
        return dict.fromkeys(self.groups.columns, "*")

    def usable(self, name: str) -> Array:
        """Which groups have enough rows for this figure, (groups,)."""
        return np.asarray(self.sizes[name] >= self.params.min_size)

    def left_out(self, name: str) -> list[str]:
        """The groups that have not."""
        return [", ".join(label) for label, big in zip(self.groups.labels, self.usable(name), strict=True) if not big]


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Measure. Raises StepError for unknown, personal, too many-valued or unusual group columns."""
    need_rows(inputs["table"], 2)
    columns = columns_of(inputs["table"], params.groups)
    model = load_model(inputs["model"])
    with threadpool_limits(1):
        positive, truth, score = positive_scores(model, inputs["table"], params.target, params.positive)
        cells = count(columns, truth, score >= params.decision_threshold, score)
        compared = _compare(cells, params, context)
    measurements: list[Measurement] = []
    unjudged: list[Measurement] = []
    for one in compared:
        measurements += _group_measurements(one)
        between = [*_between(one), *_equalized_odds(one)]
        measurements += [m for m, _ in between]
        unjudged += [m for m, complete in between if not complete]
    report = {
        "positive": positive,
        "rows": len(truth),
        "min_size": params.min_size,
        "rates": {name: rate.help for name, rate in RATES.items()} | CALIBRATION,
        "attributes": [{"columns": list(c.groups.columns), "groups": len(c.groups.labels)} for c in compared],
        "four_fifths": [_four_fifths(m) for m in measurements if m.name == "selection_rate_ratio"],
        "measurements": [m.model_dump(mode="json") for m in measurements],
    }
    verdict = _verdict(measurements, unjudged, params.thresholds)
    return StepResult({"report": report}, tuple(measurements), verdict, _summary(measurements, unjudged))


def _compare(cells: Cells, params: Params, context: StepContext) -> list[Compared]:
    """Every column and intersection up to ``depth``, all of them over the same resamples."""
    depth = min(params.depth, len(cells.columns))
    sets = [names for size in range(1, depth + 1) for names in itertools.combinations(cells.columns, size)]
    groups = [cells.grouped(names) for names in sets]
    parts: list[list[dict[str, Array]]] = [[] for _ in groups]
    done = 0
    for block in cells.resamples(params.bootstrap, context.subseed("bootstrap")):
        for one, part in zip(groups, parts, strict=True):
            part.append(one.rates(block))
        done += len(block)
        context.progress(done, params.bootstrap, "bootstrap resamples")
    now = cells.counts[None].astype(np.float64)
    return [
        Compared(
            one,
            one.sizes(),
            {name: value[0] for name, value in one.rates(now).items()},
            {name: np.concatenate([block[name] for block in part]) for name in part[0]},
            params,
            context.subseed(f"chance {one.columns}"),
        )
        for one, part in zip(groups, parts, strict=True)
    ]


def _group_measurements(one: Compared) -> list[Measurement]:
    made = []
    for place, label in enumerate(one.groups.labels):
        where = dict(zip(one.groups.columns, label, strict=True))
        for name, direction in _DIRECTIONS.items():
            n, value = int(one.sizes[name][place]), float(one.values[name][place])
            if n < one.params.min_size:
                note = f"inconclusive: {n} rows of the {one.params.min_size} needed"
                made.append(Measurement(name=name, value=None, direction=direction, n=n, slice=where, note=note))
                continue
            interval = percentile_interval(one.draws[name][:, place], one.params.level)
            if name in RATES and value in (0.0, 1.0):  # where all resamples are alike
                interval = wilson(value * n, n, one.params.level)
            made.append(Measurement(name=name, value=value, direction=direction, n=n, interval=interval, slice=where))
    return made


def _between(one: Compared) -> list[tuple[Measurement, bool]]:
    """The difference for each figure and the ratio for each rate, and whether every group is in it."""
    made = []
    for name in _DIRECTIONS:
        usable, complete = one.usable(name), not one.left_out(name)
        values, draws = one.values[name][usable][None], one.draws[name][:, usable]
        n = int(one.sizes[name][usable].sum())
        made.append((_compared(one, f"{name}_gap", name, n, _gap(values), _gap(draws)), complete))
        if name in RATES:
            made.append((_compared(one, f"{name}_ratio", name, n, _ratio(values), _ratio(draws)), complete))
    return made


def _equalized_odds(one: Compared) -> list[tuple[Measurement, bool]]:
    """The worse of the true- and the false-positive rate, by difference and by ratio (Hardt et al. 2016)."""
    made = []
    complete = not any(one.left_out(name) for name in ODDS)
    n = sum(int(one.sizes[name][one.usable(name)].sum()) for name in ODDS)
    for kind, spread, worst in (("gap", _gap, np.maximum), ("ratio", _ratio, np.minimum)):
        value = worst.reduce([spread(one.values[name][one.usable(name)][None]) for name in ODDS])
        draws = worst.reduce([spread(one.draws[name][:, one.usable(name)]) for name in ODDS])
        made.append((_compared(one, f"equalized_odds_{kind}", "", n, value, draws), complete))
    return made


def _compared(one: Compared, name: str, rate: str, n: int, value: Array, draws: Array) -> Measurement:
    """A gap or ratio with its note: who is lowest and highest, what chance alone would do, who was too small."""
    direction: Direction = "higher_is_better" if name.endswith("_ratio") else "lower_is_better"
    left_out = list(dict.fromkeys(itertools.chain(*(one.left_out(r) for r in ([rate] if rate else ODDS)))))
    notes = [f"too small to compare: {'; '.join(left_out)}"] if left_out else []
    if not np.isfinite(value[0]):
        few = any(one.usable(r).sum() < 2 for r in ([rate] if rate else ODDS))
        reason = "fewer than two groups are large enough" if few else "no group has such a row"
        notes.insert(0, f"inconclusive: {reason}")
        return Measurement(name=name, value=None, direction=direction, n=n, slice=one.everywhere, note="; ".join(notes))
    if rate:
        notes.insert(0, _ends(one, rate))
        if rate in RATES:
            notes.insert(1, _chance(one, rate, name))
    return Measurement(
        name=name,
        value=float(value[0]),
        direction=direction,
        n=n,
        interval=_interval(one, name, rate, draws),
        slice=one.everywhere,
        note="; ".join(notes),
    )


def _ends(one: Compared, rate: str) -> str:
    places = np.flatnonzero(one.usable(rate))
    values = one.values[rate][places]
    low, high = places[values.argmin()], places[len(values) - 1 - values[::-1].argmax()]
    told = (f"{', '.join(one.groups.labels[i])} {one.values[rate][i]:.3f}" for i in (low, high))
    return ", ".join(told)


def _chance(one: Compared, rate: str, name: str) -> str:
    """How far groups of these sizes drift apart when all have one rate: what a gap must exceed to mean anything."""
    usable = one.usable(rate)
    n = one.sizes[rate][usable].astype(np.int64)
    same = float((one.values[rate][usable] * n).sum() / n.sum())
    shares = np.random.default_rng(one.seed).binomial(n, min(same, 1.0), size=(2000, len(n))) / n
    level = one.params.level
    if name.endswith("_ratio"):
        return f"by chance alone down to {np.nanquantile(np.nan_to_num(_ratio(shares)), 1 - level):.3f}"
    return f"by chance alone up to {np.quantile(_gap(shares), level):.3f}"


def _gap(values: Array) -> Array:
    """Largest minus smallest of (draws, groups), groups without a value left out; NaN for fewer than two groups."""
    if values.shape[1] < 2:
        return np.full(len(values), np.nan)
    return np.asarray(np.fmax.reduce(values, axis=1) - np.fmin.reduce(values, axis=1))


def _ratio(values: Array) -> Array:
    """Smallest over largest, NaN for fewer than two groups or where the largest is 0."""
    if values.shape[1] < 2:
        return np.full(len(values), np.nan)
    return ratio(np.fmin.reduce(values, axis=1), np.fmax.reduce(values, axis=1))


def _interval(one: Compared, name: str, rate: str, draws: Array) -> Interval | None:
    """The bootstrap's; Newcombe's where every rate is 0 or 1, so that resamples are all alike and say nothing."""
    rates = [rate] if rate else list(ODDS)
    if any(r in CALIBRATION or not np.isin(one.values[r][one.usable(r)], (0.0, 1.0)).all() for r in rates):
        return percentile_interval(draws, one.params.level)
    if name.endswith("_ratio") or not rate:
        return None
    usable = one.usable(rate)
    n = one.sizes[rate][usable].astype(int)
    hits = (one.values[rate][usable] * n).round().astype(int)
    found = widest_gap(list(zip(hits.tolist(), n.tolist(), strict=True)), one.params.level)
    return found.model_copy(update={"low": max(found.low, 0.0)})


def _four_fifths(one: Measurement) -> dict[str, Any]:
    """Whether the smallest selection rate is at least four fifths of the largest (29 CFR 1607.4 D)."""
    verdict = Threshold(metric=one.name, min=FOUR_FIFTHS).judge(one)
    if "too small" in one.note and verdict is Verdict.PASS:
        verdict = Verdict.INCONCLUSIVE
    return {"columns": list(one.slice), "ratio": one.value, "verdict": str(verdict)}


def _verdict(found: Sequence[Measurement], unjudged: Sequence[Measurement], rules: Sequence[Threshold]) -> Verdict:
    """A rule that the large groups keep is not kept by all while a small one is unjudged: INCONCLUSIVE, never PASS."""
    verdict = judge(found, rules)
    spoken = any(rule.metric == m.name and rule.slice in (None, m.slice) for rule in rules for m in unjudged)
    return Verdict.INCONCLUSIVE if spoken and verdict is Verdict.PASS else verdict


def _summary(measurements: Sequence[Measurement], unjudged: Sequence[Measurement]) -> str:
    ratios = [m for m in measurements if m.name == "selection_rate_ratio" and m.value is not None]
    small = "; some groups are too small to be judged" if unjudged else ""
    if not ratios:
        return "no two groups are large enough to compare" + small
    worst = min(ratios, key=lambda m: m.value or 0.0)
    kept = "keeps" if (worst.value or 0.0) >= FOUR_FIFTHS else "breaks"
    return f"selection rates by {' × '.join(worst.slice)} are {worst.value:.3f} to 1, which {kept} four fifths{small}"


STEP = Step(
    id="evaluate.fairness@1",
    title="Compare groups of people",
    help="Selection rate, true- and false-positive rate, precision and calibration of every group and intersection, "
    "the largest difference and smallest ratio between groups (demographic parity, four-fifths rule, equalized odds), "
    "with percentile bootstrap intervals over all rows. A gap is never below 0, so its note says how large it gets by "
    "chance alone. A group with fewer than min_size rows is in no gap, and a rule on that gap cannot pass.",
    params=Params,
    run=run,
    inputs={"model": Port("model", "a model of train.sklearn"), "table": Port("table", "held-out rows with groups")},
    outputs={"report": Port("report", "rates, differences and ratios per group, ready for a dot plot")},
    evidence=("fairness_metrics",),
    about=("model",),
)
