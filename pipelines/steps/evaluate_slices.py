"""Measure a classifier per group and pair of groups: rates with sizes and intervals, and the gaps between groups."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field
from threadpoolctl import threadpool_limits

from pipelines.steps._bootstrap import widest_gap, wilson
from pipelines.steps._frames import class_names, known_labels, labels, model_frame, need_rows, positive_class
from pipelines.steps._groups import columns_of
from pipelines.steps._modelfile import load_model
from pipelines.steps.contract import Port, Step, StepContext, StepError, StepParams, StepResult
from security.measurement import Measurement, Threshold, judge

Array = np.ndarray[Any, Any]
Direction = Literal["higher_is_better", "lower_is_better", "none"]


@dataclass(frozen=True)
class Rate:
    """Share of rows with ``hit`` among rows ``of``; both take (truth, predicted) as boolean arrays."""

    hit: str
    of: str
    direction: Direction
    help: str


RATES = {
    "selection_rate": Rate("predicted", "all", "none", "predicted positive"),
    "tpr": Rate("predicted", "positives", "higher_is_better", "positives that are found (true-positive rate)"),
    "fpr": Rate("predicted", "negatives", "lower_is_better", "negatives taken for positive (false-positive rate)"),
    "ppv": Rate("truth", "selected", "higher_is_better", "predicted positives that are (precision)"),
    "accuracy": Rate("right", "all", "higher_is_better", "rows predicted right"),
}


class Params(StepParams):
    """Which groups to compare, from which size on, and which gaps are acceptable."""

    target: str = Field(description="column that holds the label")
    positive: str | int | float | bool | None = Field(default=None, description="the positive label")
    groups: tuple[str, ...] = Field(min_length=1, description="columns whose values are the groups")
    pairs: bool = Field(default=True, description="also every pair of group columns (intersections)")
    min_size: int = Field(default=30, ge=1, description="a rate over fewer rows is inconclusive")
    decision_threshold: float = Field(default=0.5, gt=0, lt=1, description="probability from which it is predicted")
    level: float = Field(default=0.95, gt=0.5, lt=1, description="confidence level of the intervals")
    thresholds: tuple[Threshold, ...] = Field(default=(), description="rules, such as {metric: tpr_gap, max: 0.1}")


@dataclass(frozen=True)
class Cell:
    """One group: its slice (column → value), and per rate how many of how many."""

    slice: dict[str, str]
    rows: int
    counts: dict[str, tuple[int, int]]


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Measure. Raises StepError for unknown, personal, too many-valued or unusual group columns."""
    table: pa.Table = inputs["table"]
    need_rows(table, 2)
    columns = columns_of(table, params.groups)
    model = load_model(inputs["model"])
    classes = class_names(model)
    positive = positive_class(classes, params.positive)
    if positive is None:
        raise StepError(f"name the positive label: one of {', '.join(classes)}", param="positive")
    truth = known_labels(classes, labels(table, params.target)) == classes.index(positive)
    with threadpool_limits(1):
        score = model.predict_proba(model_frame(model, table))[:, classes.index(positive)]
    masks = _masks(truth, score >= params.decision_threshold)
    sets = [(name,) for name in columns] + (list(itertools.combinations(columns, 2)) if params.pairs else [])
    measurements: list[Measurement] = []
    attributes = []
    for done, names in enumerate(sets):
        cells = list(_cells({n: columns[n] for n in names}, masks))
        measurements += [_rate(cell, rate, params) for cell in cells for rate in RATES]
        gaps = [_gap(names, cells, rate, params) for rate in RATES]
        measurements += gaps
        attributes.append({"columns": list(names), "groups": len(cells)})
        context.progress(done + 1, len(sets), f"groups by {' × '.join(names)}")
    report = {
        "positive": positive,
        "rows": table.num_rows,
        "min_size": params.min_size,
        "rates": {name: rate.help for name, rate in RATES.items()},
        "attributes": attributes,
        "measurements": [m.model_dump(mode="json") for m in measurements],
    }
    return StepResult(
        {"report": report}, tuple(measurements), judge(measurements, params.thresholds), _summary(measurements)
    )


def _masks(truth: Array, predicted: Array) -> dict[str, Array]:
    return {
        "all": np.ones_like(truth),
        "truth": truth,
        "predicted": predicted,
        "right": truth == predicted,
        "positives": truth,
        "negatives": ~truth,
        "selected": predicted,
    }


def _cells(columns: Mapping[str, Array], masks: Mapping[str, Array]) -> Iterator[Cell]:
    """Every combination of values that occurs, in order of the values."""
    names = list(columns)
    keys = list(zip(*columns.values(), strict=True))
    for key in sorted(set(keys)):
        inside = np.logical_and.reduce([columns[n] == v for n, v in zip(names, key, strict=True)])
        counts = {}
        for name, rate in RATES.items():
            of = inside & masks[rate.of]
            counts[name] = (int((of & masks[rate.hit]).sum()), int(of.sum()))
        yield Cell(dict(zip(names, key, strict=True)), int(inside.sum()), counts)


def _rate(cell: Cell, name: str, params: Params) -> Measurement:
    hits, n = cell.counts[name]
    small = n < params.min_size
    return Measurement(
        name=name,
        value=None if small else hits / n,
        direction=RATES[name].direction,
        n=n,
        interval=None if small else wilson(hits, n, params.level),
        slice=cell.slice,
        note=f"inconclusive: {n} rows of the {params.min_size} needed" if small else "",
    )


def _gap(names: tuple[str, ...], cells: list[Cell], rate: str, params: Params) -> Measurement:
    """Largest minus smallest rate over the groups that are large enough; its slice is ``{column: "*"}``."""
    usable = [c for c in cells if c.counts[rate][1] >= params.min_size]
    left_out = [_name(c) for c in cells if c not in usable]
    everywhere = dict.fromkeys(names, "*")
    notes = [f"too small to compare: {'; '.join(left_out)}"] if left_out else []
    if len(usable) < 2:
        notes.insert(0, "inconclusive: fewer than two groups are large enough")
        n = sum(c.counts[rate][1] for c in usable)
        return Measurement(
            name=f"{rate}_gap", value=None, direction="lower_is_better", n=n, slice=everywhere, note="; ".join(notes)
        )
    share = {id(c): c.counts[rate][0] / c.counts[rate][1] for c in usable}
    low, high = min(usable, key=lambda c: share[id(c)]), max(usable, key=lambda c: share[id(c)])
    if low is high:
        low = next(c for c in usable if c is not high)
    notes.insert(0, f"{_name(low)} {share[id(low)]:.3f}, {_name(high)} {share[id(high)]:.3f}")
    return Measurement(
        name=f"{rate}_gap",
        value=share[id(high)] - share[id(low)],
        direction="lower_is_better",
        n=low.counts[rate][1] + high.counts[rate][1],
        interval=widest_gap([c.counts[rate] for c in usable], params.level),
        slice=everywhere,
        note="; ".join(notes),
    )


def _name(cell: Cell) -> str:
    return ", ".join(cell.slice.values())


def _summary(measurements: list[Measurement]) -> str:
    gaps = [m for m in measurements if m.name == "tpr_gap" and m.value is not None]
    if not gaps:
        return "no group is large enough to compare true-positive rates"
    widest = max(gaps, key=lambda m: m.value or 0.0)
    return f"widest gap in true-positive rate {widest.value:.3f} by {' × '.join(widest.slice)} ({widest.note})"


STEP = Step(
    id="evaluate.slices@1",
    title="Evaluate per group",
    help="Selection rate, true- and false-positive rate, precision and accuracy per group and pair of groups with "
    "Wilson intervals, and for each column the gap between the best and the worst group with an interval that holds "
    "over all pairs (Newcombe, Bonferroni). A rate over fewer than min_size rows is inconclusive, and in no gap.",
    params=Params,
    run=run,
    inputs={"model": Port("model", "a model of train.sklearn"), "table": Port("table", "held-out rows with groups")},
    outputs={"report": Port("report", "rates and gaps per group, ready for a dot plot")},
    evidence=("slice_metrics", "fairness_metrics"),
    about=("model",),
)
