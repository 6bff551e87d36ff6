"""Stress a model with what goes wrong in practice: noise, gaps, wrong units, extremes, categories never seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field
from threadpoolctl import threadpool_limits

from pipelines.steps._answers import Asked, asked
from pipelines.steps._bootstrap import bootstrap, percentile_interval, wilson
from pipelines.steps._frames import model_columns, need_rows
from pipelines.steps.contract import Port, Step, StepContext, StepError, StepParams, StepResult
from security.measurement import Measurement, Threshold, judge

Array = np.ndarray[Any, Any]
UNSEEN = "(never seen)"
GRID = 9


class Expectation(BaseModel):
    """What must hold when one number changes and everything else stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str = Field(description="a numeric feature")
    direction: Literal["increasing", "decreasing"] = Field(description="how the answer must move when it rises")


class Params(StepParams):
    """How hard to stress, and what must hold."""

    target: str = Field(description="column that holds the label or the number to predict")
    positive: str | int | float | bool | None = Field(
        default=None, description="the label whose probability expectations speak of"
    )
    noise: tuple[float, ...] = Field(default=(0.1, 0.5), description="noise on all numbers, in standard deviations")
    missing: tuple[float, ...] = Field(default=(0.1, 0.3), description="shares of the values of all features to lose")
    unit_factors: tuple[float, ...] = Field(default=(1000.0,), description="one number at a time, in another unit")
    beyond: float = Field(
        default=1.0, gt=0, le=1e6, description="one number at a time, so many ranges above its largest"
    )
    expectations: tuple[Expectation, ...] = Field(
        default=(), description="such as {column: income, direction: increasing}"
    )
    tolerance: float = Field(
        default=0.01, ge=0, le=1, description="a step against an expectation by less than this is none"
    )
    max_rows: int = Field(default=2000, ge=10, le=100_000, description="rows that are stressed, drawn by the seed")
    bootstrap: int = Field(default=500, ge=100, le=10_000, description="resamples for the intervals")
    level: float = Field(default=0.95, gt=0.5, lt=1, description="confidence level of the intervals")
    thresholds: tuple[Threshold, ...] = Field(
        default=(), description="rules, such as {metric: error_rise, slice: {stress: noise 0.1}, max: 0.02, on: high}"
    )


@dataclass(frozen=True)
class Stress:
    """One kind of harm: its name, the column it is done to (empty for all), and how."""

    name: str
    column: str
    harm: Callable[[pd.DataFrame], pd.DataFrame]

    @property
    def slice(self) -> dict[str, str]:
        return {"stress": self.name} | ({"column": self.column} if self.column else {})


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Measure. Raises StepError when model and table do not fit together or an expectation names no number."""
    need_rows(inputs["table"], 2)
    if bad := [s for s in params.missing if not 0 < s < 1]:
        raise StepError(f"missing: {bad[0]:g} is no share between 0 and 1", param="missing")
    if bad := [s for s in params.noise if not 0 < s < 1e6]:
        raise StepError(f"noise: {bad[0]:g} is no positive number of standard deviations", param="noise")
    with threadpool_limits(1):
        subject = asked(inputs["model"], inputs["table"], params.target, params.max_rows, context)
        numeric, categorical = model_columns(subject.model)
        _check(params, numeric)
        stresses = list(_stresses(subject.frame, numeric, categorical, params, context))
        before = subject.answers(subject.frame)
        after = []
        for done, one in enumerate(stresses):
            after.append(subject.answers(one.harm(subject.frame)))
            context.progress(done + 1, len(stresses), f"{one.name} {one.column}".strip())
        measurements = (
            *_harm(subject, stresses, before, after, params, context),
            *(_expected(subject, one, params) for one in params.expectations),
        )
    error = subject.error(before)
    report = {
        "rows": len(subject.truth),
        "error": None if np.isnan(error).any() else float(error.mean()),
        "error_is": "share of wrong labels" if subject.classes else "mean absolute error",
        "measurements": [m.model_dump(mode="json") for m in measurements],
    }
    verdict = judge(measurements, params.thresholds)
    return StepResult({"report": report}, measurements, verdict, _summary(measurements))


def _check(params: Params, numeric: Sequence[str]) -> None:
    odd = [one.column for one in params.expectations if one.column not in numeric]
    if odd:
        raise StepError(
            f"an expectation names {odd[0]!r}, which is no numeric feature of the model; it has {', '.join(numeric)}",
            param="expectations",
        )


def _stresses(
    frame: pd.DataFrame, numeric: Sequence[str], categorical: Sequence[str], params: Params, context: StepContext
) -> Iterator[Stress]:
    for size in params.noise:
        yield Stress(f"noise {size:g}", "", _noisy(numeric, size, context.subseed(f"noise {size}")))
    for share in params.missing:
        yield Stress(f"missing {share:g}", "", _missing(share, context.subseed(f"missing {share}")))
    for name in numeric:
        for factor in params.unit_factors:
            yield Stress(f"unit ×{factor:g}", name, _changed(name, frame[name] * factor))
        known = frame[name].dropna()
        if len(known):
            top = float(known.max()) + params.beyond * max(float(known.max() - known.min()), 1.0)
            yield Stress("out of range", name, _changed(name, pd.Series(top, index=frame.index)))
    for name in categorical:
        yield Stress("unseen category", name, _changed(name, pd.Series(UNSEEN, index=frame.index, dtype=object)))


def _changed(name: str, values: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.assign(**{name: values})


def _noisy(numeric: Sequence[str], size: float, seed: int) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Normal noise in the column's own spread; whole numbers stay whole."""

    def harm(frame: pd.DataFrame) -> pd.DataFrame:
        generator, made = np.random.default_rng(seed), frame.copy()
        for name in numeric:
            values = frame[name].to_numpy(dtype=np.float64)
            known = values[np.isfinite(values)]
            moved = values + generator.normal(size=len(values)) * size * (known.std() if len(known) else 0.0)
            made[name] = np.round(moved) if np.all(known == np.round(known)) else moved
        return made

    return harm


def _missing(share: float, seed: int) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def harm(frame: pd.DataFrame) -> pd.DataFrame:
        lost = np.random.default_rng(seed).random(frame.shape) < share
        columns = {}
        for place, name in enumerate(frame.columns):
            values = frame[name].to_numpy(copy=True)
            values[lost[:, place]] = None if values.dtype == object else np.nan
            columns[name] = pd.Series(values, index=frame.index, dtype=values.dtype)
        return pd.DataFrame(columns)

    return harm


def _harm(
    subject: Asked,
    stresses: Sequence[Stress],
    before: Array,
    after: Sequence[Array],
    params: Params,
    context: StepContext,
) -> Iterator[Measurement]:
    """For each stress: how much more the model errs, the labels that changed, the rows without an answer."""
    rows, clean = len(subject.truth), subject.error(before)
    rises = np.column_stack([subject.error(answers) - clean for answers in after]) if after else np.zeros((rows, 0))
    defined: Array = np.asarray(np.isfinite(rises).all(axis=0))
    draws = bootstrap(
        lambda weights: {str(i): weights @ rises[:, i] / rows for i in np.flatnonzero(defined)},
        rows,
        params.bootstrap,
        context.subseed("bootstrap"),
    )
    unit = "fraction" if subject.classes else "target"
    for place, (one, answers) in enumerate(zip(stresses, after, strict=True)):
        silent: Array = np.asarray(np.isnan(answers).any(axis=1))
        known = bool(defined[place])
        yield Measurement(
            name="error_rise",
            value=float(rises[:, place].mean()) if known else None,
            unit=unit,
            direction="lower_is_better",
            n=rows,
            interval=percentile_interval(draws[str(place)], params.level) if known else None,
            slice=one.slice,
            note="" if known else "not defined: some rows got no answer",
        )
        shares: dict[str, Array] = {"unanswered": silent}
        if subject.classes:
            shares["changed_labels"] = np.logical_or(silent, answers.argmax(axis=1) != before.argmax(axis=1))
        for name, mask in shares.items():
            yield _share(name, mask, one.slice, params.level)


def _share(name: str, mask: Array, where: dict[str, str], level: float) -> Measurement:
    hits = int(mask.sum())
    return Measurement(name=name, value=hits / len(mask), direction="lower_is_better", n=len(mask),
                       interval=wilson(hits, len(mask), level), slice=where)  # fmt: skip


def _expected(subject: Asked, one: Expectation, params: Params) -> Measurement:
    """The share of rows for which the answer moves the wrong way somewhere as the column runs through its values."""
    known = subject.frame[one.column].dropna().to_numpy(dtype=np.float64)
    grid = np.unique(np.quantile(known, np.linspace(0, 1, GRID), method="nearest")) if len(known) else known
    where = {"column": one.column, "direction": one.direction}
    if len(grid) < 2:
        note = "inconclusive: the column has one value only, so nothing can move"
        return Measurement(name="expectation_broken", value=None, direction="lower_is_better", n=len(subject.truth),
                           slice=where, note=note)  # fmt: skip
    path = []
    for at in grid:
        moved = subject.frame.assign(**{one.column: at})
        values, step = subject.judged(subject.answers(moved), params.positive)
        path.append(values)
    moves = np.diff(np.column_stack(path), axis=1) * (1 if one.direction == "increasing" else -1)
    broken: Array = np.logical_or(np.isnan(moves), moves < -params.tolerance * step).any(axis=1)
    return _share("expectation_broken", broken, where, params.level)


def _summary(measurements: Sequence[Measurement]) -> str:
    rises = [m for m in measurements if m.name == "error_rise" and m.value is not None]
    silent = [m for m in measurements if m.name == "unanswered" and m.value]
    broken = [m for m in measurements if m.name == "expectation_broken" and m.value]
    parts = []
    if rises:
        worst = max(rises, key=lambda m: m.value or 0.0)
        parts.append(f"worst stress: {' '.join(worst.slice.values())}, error {worst.value:+.3f}")
    if silent:
        parts.append(f"no answer to {len(silent)} kinds of stress")
    if broken:
        parts.append(f"{len(broken)} expectations are broken")
    return "; ".join(parts) or "nothing was stressed"


STEP = Step(
    id="evaluate.stress@1",
    title="Stress the model",
    help="How much more the model errs, how many labels change and how many rows get no answer under noise, missing "
    "values, wrong units, values out of range and categories never seen; and whether the answer moves the way it must "
    "when one number rises (monotonicity). Bootstrap and Wilson intervals over rows.",
    params=Params,
    run=run,
    inputs={"model": Port("model", "a trained model"), "table": Port("table", "rows not trained on")},
    outputs={"report": Port("report", "what each stress did")},
    evidence=("robustness_report", "ood_report"),
    about=("model",),
)
