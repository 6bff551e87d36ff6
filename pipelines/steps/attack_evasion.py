"""Attack a classifier: how small a change of a row's numbers flips its class, and how often noise would as well."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from pipelines.steps._bootstrap import percentile_interval, wilson
from pipelines.steps._frames import known_labels, labels, model_columns, model_frame, need_column, need_rows
from pipelines.steps._modelfile import load_model
from pipelines.steps.contract import Port, Step, StepContext, StepError, StepParams, StepResult
from security.attacks.evasion import (
    BudgetSpentError,
    Norm,
    Oracle,
    distance,
    hop_skip_jump,
    overshoots,
    projected_gradient,
    random_noise,
)
from security.measurement import Measurement, Threshold, Verdict, combine, judge

Array = np.ndarray[Any, Any]
Rounding = Callable[[Array], Array]
Direction = Literal["higher_is_better", "lower_is_better", "none"]
_TINY = 1e-6
_RATES: dict[str, tuple[Direction, str]] = {
    "attack_success_rate": ("lower_is_better", "rows whose class a valid change within the radius flipped"),
    "noise_success_rate": ("none", "control: rows that any of the random changes within the radius flipped"),
    "accuracy_under_attack": ("higher_is_better", "upper bound: another attack may find more"),
}


class Params(StepParams):
    """The attack, its budget, what it may touch, and what is acceptable."""

    target: str = Field(description="column that holds the label")
    attack: Literal["hop_skip_jump", "projected_gradient"] = Field(
        default="hop_skip_jump", description="label-only attack on any model, or gradients of a logistic regression"
    )
    samples: int = Field(default=20, ge=1, le=1000, description="rows drawn; those predicted right are attacked")
    immutable: tuple[str, ...] = Field(default=(), description="numeric columns that cannot be changed")
    norm: Norm = Field(default="l2", description="how a change is measured, in training standard deviations")
    radii: tuple[float, ...] = Field(default=(0.25, 0.5, 1.0), min_length=1, description="distances reported")
    max_iter: int = Field(default=8, ge=1, le=200, description="iterations of the attack")
    max_eval: int = Field(default=200, ge=10, le=100_000, description="queries in one iteration")
    max_queries: int = Field(default=3000, ge=100, le=1_000_000, description="queries for one row")
    starts: int = Field(default=500, ge=1, le=5000, description="other rows whose numbers are tried as a start")
    noise_draws: int = Field(default=100, ge=1, le=10_000, description="random changes tried per row and radius")
    seconds: float = Field(default=120.0, gt=0, description="time for all attacks; beyond it: inconclusive")
    level: float = Field(default=0.95, gt=0.5, lt=1, description="confidence level of the intervals")
    thresholds: tuple[Threshold, ...] = Field(
        default=(), description="rules, such as {metric: attack_success_rate, slice: {radius: '0.5'}, max: 0.5}"
    )


@dataclass(frozen=True)
class Space:
    """The numeric block of the model: scale, observed bounds and integer columns of those that may change."""

    mean: Array
    scale: Array
    low: Array
    high: Array
    whole: Array
    movable: Array

    def project(self, points: Array, active: Array, rounding: Rounding) -> Array:
        """Scaled points (n, d) to valid ones: integer columns whole, all inside the observed range, scaled again."""
        values = points * self.scale[active] + self.mean[active]
        values = np.where(self.whole[active], rounding(values), values)
        values = np.clip(values, self.low[active], self.high[active])
        return np.asarray((values - self.mean[active]) / self.scale[active])

    def roundings(self, x: Array, active: Array) -> tuple[Rounding, Rounding, Rounding]:
        """Three ways to make numbers whole: to the nearest, away from the row ``x`` (d,), towards it."""
        own = x * self.scale[active] + self.mean[active]
        return (
            np.round,
            lambda values: np.where(values >= own, np.ceil(values - _TINY), np.floor(values + _TINY)),
            lambda values: np.where(values >= own, np.floor(values + _TINY), np.ceil(values - _TINY)),
        )


@dataclass(frozen=True)
class Victim:
    """The model under attack, the rows it is attacked on, and other rows prepared as places to start from."""

    model: Any
    rows: pd.DataFrame
    numeric: list[str]
    space: Space
    starts: Array

    def point(self, row: int) -> tuple[Array, Array]:
        """The prepared row (m,) and the positions of the numbers in it that may move."""
        prepared = np.asarray(self.model.named_steps["prepare"].transform(self.rows.iloc[[row]])[0])
        known = self.rows[self.numeric].iloc[row].notna().to_numpy()
        return prepared, np.flatnonzero(self.space.movable & known)

    def classes_of(self, prepared: Array) -> Array:
        """Positions of the most probable classes of prepared rows (n, m)."""
        return np.asarray(self.model.named_steps["estimator"].predict_proba(prepared).argmax(axis=1))


@dataclass
class Attacked:
    """What happened to one row: the distance of the surviving change (None: nothing found) and noise per radius."""

    row: int
    distance: float | None = None
    queries: int = 0
    spent: bool = False
    noise: dict[float, bool] = field(default_factory=dict)


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Attack. Raises StepError when the model has no number that may change, or does not fit the table or attack."""
    deadline = time.monotonic() + min(params.seconds, 0.8 * context.seconds)
    table: pa.Table = inputs["table"]
    need_rows(table, 2)
    model = load_model(inputs["model"])
    if params.attack == "projected_gradient" and not isinstance(model.named_steps["estimator"], LogisticRegression):
        raise StepError("projected_gradient needs a logistic_regression model; use hop_skip_jump", param="attack")
    truth = known_labels([str(c) for c in model.classes_], labels(table, params.target))
    with threadpool_limits(1):
        victim = _victim(model, table, params, context)
        chosen, right = _chosen(victim, truth, params, context)
        results: list[Attacked] = []
        for done, row in enumerate(right):
            if time.monotonic() > deadline:
                break
            context.progress(done, len(right), "rows attacked")
            results.append(_attack(victim, row, params=params, context=context, deadline=deadline))
    context.progress(len(results), len(right), "rows attacked")
    late = time.monotonic() > deadline
    unfinished = len(right) - len(results) + (late and bool(results) and results[-1].spent)
    measurements = _measurements(results, chosen - len(right), params, context)
    verdict = judge(measurements, params.thresholds)
    if unfinished:
        verdict = combine([verdict, Verdict.INCONCLUSIVE])
    statement = _statement(results, unfinished, params)
    report = {
        "statement": statement,
        "attack": params.attack,
        "norm": params.norm,
        "sampled": chosen,
        "predicted_right": len(right),
        "attacked": len(results),
        "unfinished": unfinished,
        "columns_that_may_change": [n for n, free in zip(victim.numeric, victim.space.movable, strict=True) if free],
        "rows": [
            {"row": r.row, "distance": r.distance, "queries": r.queries, "budget_spent": r.spent} for r in results
        ],
        "measurements": [m.model_dump(mode="json") for m in measurements],
    }
    return StepResult({"report": report}, tuple(measurements), verdict, statement)


def _victim(model: Any, table: pa.Table, params: Params, context: StepContext) -> Victim:
    for name in params.immutable:
        need_column(table, name, "immutable")
    rows = model_frame(model, table)
    numeric, _ = model_columns(model)
    movable = np.array([n not in params.immutable for n in numeric], dtype=bool)
    if not movable.any():
        raise StepError("no numeric feature may be changed: nothing to attack", param="immutable")
    generator = np.random.default_rng(context.subseed("starts"))
    starts = generator.choice(len(rows), size=min(params.starts, len(rows)), replace=False)
    prepared = np.asarray(model.named_steps["prepare"].transform(rows.iloc[starts]))
    return Victim(model, rows, numeric, _space(model, rows[numeric].to_numpy(dtype=np.float64), movable), prepared)


def _chosen(victim: Victim, truth: Array, params: Params, context: StepContext) -> tuple[int, list[int]]:
    """How many rows were drawn, and which of them the model gets right: only those can be attacked."""
    generator = np.random.default_rng(context.subseed("rows"))
    drawn = generator.choice(len(truth), size=min(params.samples, len(truth)), replace=False)
    predicted = victim.model.predict_proba(victim.rows.iloc[drawn]).argmax(axis=1)
    return len(drawn), [int(row) for row, label in zip(drawn, predicted, strict=True) if truth[row] == label]


def _space(model: Any, values: Array, movable: Array) -> Space:
    scaler = model.named_steps["prepare"].named_transformers_["numbers"].named_steps["scale"]
    known = np.isfinite(values)
    low, high = np.where(known, values, np.inf).min(axis=0), np.where(known, values, -np.inf).max(axis=0)
    whole = np.asarray(np.where(known, values == np.round(values), True).all(axis=0))
    return Space(scaler.mean_, scaler.scale_, low, high, whole, movable & (high > low))


def _attack(victim: Victim, row: int, *, params: Params, context: StepContext, deadline: float) -> Attacked:
    """Attack one row in the space of its own numbers; its categories and missing numbers stay as they are."""
    space, result = victim.space, Attacked(row)
    base, active = victim.point(row)
    if len(active) == 0:
        return result

    def predict(points: Array) -> Array:
        full = np.repeat(base[None], len(points), axis=0)
        full[:, active] = points
        return victim.classes_of(full)

    x = base[active]
    label = int(predict(x[None])[0])
    oracle = Oracle(predict, x, label, params.norm, params.max_queries, deadline)
    try:
        _search(victim, oracle, base=base, active=active, params=params, seed=context.subseed(f"attack {row}"))
    except BudgetSpentError:
        result.spent = True
    result.queries = oracle.queries
    if oracle.best is not None:
        result.distance = _survivor(victim, row, active, x=x, found=oracle.best, norm=params.norm)
    generator = np.random.default_rng(context.subseed(f"noise {row}"))
    _, _, towards = space.roundings(x, active)
    for radius in params.radii:
        result.noise[radius] = random_noise(
            predict,
            x,
            label,
            radius=radius,
            project=lambda points: space.project(points, active, towards),
            norm=params.norm,
            draws=params.noise_draws,
            generator=generator,
        )
    return result


def _search(victim: Victim, oracle: Oracle, *, base: Array, active: Array, params: Params, seed: int) -> None:
    space = victim.space
    bounds = ((space.low - space.mean) / space.scale)[active], ((space.high - space.mean) / space.scale)[active]
    if params.attack == "projected_gradient":
        projected_gradient(
            oracle,
            victim.model.named_steps["estimator"],
            base=base,
            active=active,
            bounds=bounds,
            radii=params.radii,
            max_iter=params.max_iter,
            seed=seed,
        )
    else:
        hop_skip_jump(
            oracle,
            victim.starts[:, active],
            bounds,
            classes=len(victim.model.classes_),
            max_iter=params.max_iter,
            max_eval=params.max_eval,
            seed=seed,
        )


def _survivor(victim: Victim, row: int, active: Array, *, x: Array, found: Array, norm: Norm) -> float | None:
    """The distance of the nearest valid row near ``found`` that the whole model gives another class, or None."""
    space = victim.space
    outwards = overshoots(x, found)
    points = np.vstack([space.project(outwards, active, rounding) for rounding in space.roundings(x, active)])
    values = points * space.scale[active] + space.mean[active]
    tried = pd.concat([victim.rows.iloc[[row]]] * len(points), ignore_index=True)
    tried[[victim.numeric[i] for i in active]] = np.where(space.whole[active], np.round(values), values)
    before = victim.model.predict_proba(victim.rows.iloc[[row]]).argmax()
    flipped = victim.model.predict_proba(tried).argmax(axis=1) != before
    return float(distance(points[flipped], x, norm).min()) if flipped.any() else None


def _measurements(results: list[Attacked], wrong: int, params: Params, context: StepContext) -> list[Measurement]:
    """Shares per radius over the rows that were attacked; accuracy also over those that were wrong from the start."""
    n = len(results)
    found = np.array([r.distance for r in results if r.distance is not None])
    measurements = []
    for radius in params.radii:
        hits = int((found <= radius).sum())
        noise = sum(r.noise.get(radius, False) for r in results)
        measurements += [
            _rate("attack_success_rate", hits, n, radius=radius, params=params),
            _rate("noise_success_rate", noise, n, radius=radius, params=params),
            _rate("accuracy_under_attack", n - hits, n + wrong, radius=radius, params=params),
        ]
    return [*measurements, _median(found, params, context), _queries(results)]


def _rate(name: str, hits: int, n: int, *, radius: float, params: Params) -> Measurement:
    direction, note = _RATES[name]
    return Measurement(
        name=name,
        value=hits / n if n else None,
        n=n,
        direction=direction,
        interval=wilson(hits, n, params.level),
        slice={"radius": f"{radius:g}"},
        note=note if n else "no row was attacked",
    )


def _median(found: Array, params: Params, context: StepContext) -> Measurement:
    interval = None
    if len(found):
        generator = np.random.default_rng(context.subseed("median"))
        draws = np.median(generator.choice(found, size=(500, len(found))), axis=1)
        interval = percentile_interval(draws, params.level)
    return Measurement(
        name="median_distance",
        value=float(np.median(found)) if len(found) else None,
        unit="standard deviations",
        direction="higher_is_better",
        n=len(found),
        interval=interval,
        note="over the rows where a change was found" if len(found) else "nothing was found",
    )


def _queries(results: list[Attacked]) -> Measurement:
    value = float(np.mean([r.queries for r in results])) if results else None
    note = "" if results else "no row was attacked"
    return Measurement(name="queries_per_row", value=value, unit="queries", n=len(results), note=note)


def _statement(results: list[Attacked], unfinished: int, params: Params) -> str:
    """What was tried and what came of it: never more than that."""
    widest = max(params.radii)
    hits = sum(r.distance is not None and r.distance <= widest for r in results)
    text = (
        f"attack {params.attack} at budget {params.max_iter} iterations and at most {params.max_queries:,} queries "
        f"a row succeeded for {hits} of {len(results)} rows within {widest:g} standard deviations"
    )
    return f"{text}; time ran out with {unfinished} rows unfinished" if unfinished else text


STEP = Step(
    id="attack.evasion@1",
    title="Attack with changed inputs",
    help="Looks for the smallest change of numeric columns that flips the predicted class. Categories, immutable "
    "columns and missing values stay; whole numbers stay whole; nothing leaves the observed range; a change counts "
    "only if the whole model confirms it. Random changes of the same size stand beside it as a control. An attack "
    "that finds nothing proves nothing: it says what this attack at this budget found.",
    params=Params,
    run=run,
    inputs={"model": Port("model", "a model of train.sklearn"), "table": Port("table", "held-out rows")},
    outputs={"report": Port("report", "distances per attacked row, and rates per radius")},
    evidence=("adversarial_eval",),
    about=("model",),
)
