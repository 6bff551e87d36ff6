"""Look for poisoned training rows: contradicted labels, outliers, duplicates that disagree, and what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field
from scipy.stats import norm
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from pipelines.steps._bootstrap import percentile_interval, wilson
from pipelines.steps._estimators import build
from pipelines.steps._frames import feature_names, frame, known_labels, labels, need_column, need_rows, split_kinds
from pipelines.steps.contract import Port, Step, StepContext, StepError, StepParams, StepResult
from security.attacks.poisoning import (
    conflicting_duplicates,
    flip_excess,
    label_noise_rate,
    neighbour_disagreement,
    outlier_scores,
    self_doubt,
    suspicion,
)
from security.measurement import Interval, Measurement, Threshold, judge

Array = np.ndarray[Any, Any]
_FOREST = {"n_estimators": 100, "min_samples_leaf": 5}


class Params(StepParams):
    """Where the label is, what to look at, and how much suspicion is acceptable."""

    target: str = Field(description="column that holds the label")
    features: tuple[str, ...] = Field(default=(), description="columns to look at; all but target when empty")
    exclude: tuple[str, ...] = Field(default=(), description="columns left out")
    neighbours: int = Field(default=10, ge=3, le=100, description="nearest rows whose labels are compared")
    folds: int = Field(default=5, ge=2, le=20, description="folds for out-of-sample predictions")
    draws: int = Field(default=200, ge=100, le=5000, description="resamples for intervals")
    level: float = Field(default=0.95, gt=0.5, lt=1, description="confidence level of the intervals")
    max_rows: int = Field(default=20_000, ge=100, description="a larger table is sampled (seeded)")
    show: int = Field(default=50, ge=0, le=1000, description="how many suspicious row numbers the report lists")
    thresholds: tuple[Threshold, ...] = Field(default=(), description="rules on the measurements")


@dataclass(frozen=True)
class Batch:
    """A table prepared: row numbers in the source table, features, labels as positions, feature tuples."""

    rows: Array
    frame: pd.DataFrame
    y: Array

    @property
    def keys(self) -> list[tuple[Any, ...]]:
        """Feature tuples, missing values as None so that they compare equal."""
        return list(self.frame.astype(object).where(self.frame.notna(), None).itertuples(index=False, name=None))


@dataclass(frozen=True)
class Signals:
    """What was found per row of a batch; see ``security.attacks.poisoning``."""

    proba: Array
    disagreement: Array
    outlier: Array
    limit: float
    conflict: Array


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Scan. Raises StepError when the tables cannot be learned from or do not fit together."""
    table: pa.Table = inputs["table"]
    reference: pa.Table | None = inputs.get("reference")
    classes, names = _subject(table, reference, params)
    batch = _batch(table, names, classes, params, context.subseed("rows"))
    old = None if reference is None else _batch(reference, names, classes, params, context.subseed("reference rows"))
    with threadpool_limits(1):
        numeric, categorical = split_kinds(table, names)
        model = build("random_forest", _FOREST, numeric=numeric, categorical=categorical, seed=context.subseed("model"))
        prepare = model.named_steps["prepare"].fit((old or batch).frame)
        context.progress(0, 4, "predicting each fold from the others")
        signals = _signals(batch, old, prepare=prepare, model=model, params=params, context=context)
        measurements = _alone(batch, signals, params, context)
        context.progress(3, 4, "comparing with the reference")
        if old is not None:
            measurements += _against(batch, old, signals, model=model, params=params, context=context)
    report = _report(batch, signals, measurements, names=names, rows=table.num_rows, params=params)
    context.progress(4, 4, "scanned")
    verdict = judge(measurements, params.thresholds)
    return StepResult({"report": report}, tuple(measurements), verdict, _summary(measurements, batch))


def _subject(table: pa.Table, reference: pa.Table | None, params: Params) -> tuple[list[str], list[str]]:
    """(classes, features) common to both tables."""
    need_column(table, params.target, "target")
    names = feature_names(table, params.target, params.features, params.exclude)
    for part, what in ((table, "table"), (reference, "reference")):
        if part is None:
            continue
        need_rows(part, max(50, 2 * params.neighbours))
        missing = [n for n in (*names, params.target) if n not in part.column_names]
        if missing:
            raise StepError(f"the {what} lacks columns of the other table: {', '.join(missing)}", param="features")
        values, counts = np.unique(labels(part, params.target).astype(str), return_counts=True)
        if len(values) < 2 or counts.min() < params.folds:
            raise StepError(
                f"{params.target!r} of the {what} needs two classes or more, each with at least {params.folds} rows "
                f"(one per fold); there are {dict(zip(values.tolist(), counts.tolist(), strict=True))}",
                param="target",
            )
    if reference is not None and split_kinds(table, names) != split_kinds(reference, names):
        raise StepError("columns are numbers in one table and text in the other", param="features")
    classes = np.unique(labels(table if reference is None else reference, params.target).astype(str))
    return classes.tolist(), names


def _batch(table: pa.Table, names: list[str], classes: list[str], params: Params, seed: int) -> Batch:
    rows = np.arange(table.num_rows)
    if len(rows) > params.max_rows:
        rows = np.sort(np.random.default_rng(seed).choice(rows, size=params.max_rows, replace=False))
        table = table.take(pa.array(rows))
    return Batch(rows, frame(table, names), known_labels(classes, labels(table, params.target)))


def _out_of_sample(model: Any, batch: Batch, params: Params, seed: int) -> Array:
    folds = StratifiedKFold(params.folds, shuffle=True, random_state=seed)
    return np.asarray(cross_val_predict(model, batch.frame, batch.y, cv=folds, method="predict_proba"))


def _signals(
    batch: Batch, old: Batch | None, *, prepare: Any, model: Any, params: Params, context: StepContext
) -> Signals:
    x = prepare.transform(batch.frame)
    proba = _out_of_sample(model, batch, params, context.subseed("folds"))
    context.progress(1, 4, "comparing labels with neighbours")
    disagreement = neighbour_disagreement(x, batch.y, params.neighbours)
    context.progress(2, 4, "looking for outliers")
    trusted = None if old is None else prepare.transform(old.frame)
    outlier, limit = outlier_scores(x, trusted, context.subseed("outliers"))
    return Signals(proba, disagreement, outlier, limit, conflicting_duplicates(batch.keys, batch.y))


def _noise_draws(y: Array, proba: Array, params: Params, seed: int) -> Array:
    generator = np.random.default_rng(seed)
    picks = (generator.integers(0, len(y), size=len(y)) for _ in range(params.draws))
    return np.array([label_noise_rate(y[pick], proba[pick]) for pick in picks])


def _share(name: str, hits: Array, level: float, note: str) -> Measurement:
    n, count = len(hits), int(hits.sum())
    interval = wilson(count, n, level)
    return Measurement(name=name, value=count / n, direction="lower_is_better", n=n, interval=interval, note=note)


def _alone(batch: Batch, signals: Signals, params: Params, context: StepContext) -> list[Measurement]:
    """What the batch says of itself. Overlapping classes look like noise: the reference tells them apart."""
    draws = _noise_draws(batch.y, signals.proba, params, context.subseed("noise"))
    contradicted = (signals.disagreement > 0.5) & (self_doubt(batch.y, signals.proba) > 0)
    return [
        Measurement(
            name="label_noise_estimate",
            value=label_noise_rate(batch.y, signals.proba),
            direction="lower_is_better",
            n=len(batch.y),
            interval=percentile_interval(draws, params.level),
            note="confident learning; includes rows where the classes overlap",
        ),
        _share("suspicious_label_rate", contradicted, params.level, "neighbours and an out-of-sample model disagree"),
        _share("outlier_rate", signals.outlier > signals.limit, params.level, "isolation forest score above its limit"),
        _share("conflicting_duplicate_rate", signals.conflict, params.level, "same features, another label"),
    ]


def _against(
    batch: Batch, old: Batch, signals: Signals, *, model: Any, params: Params, context: StepContext
) -> list[Measurement]:
    """What changed since the reference: the noise estimate, and labels its model did not expect."""
    old_proba = _out_of_sample(model, old, params, context.subseed("reference folds"))
    new = _noise_draws(batch.y, signals.proba, params, context.subseed("noise"))
    before = _noise_draws(old.y, old_proba, params, context.subseed("reference noise"))
    increase = label_noise_rate(batch.y, signals.proba) - label_noise_rate(old.y, old_proba)
    transferred = model.fit(old.frame, old.y).predict_proba(batch.frame)
    here, there = flip_excess(batch.y, transferred), flip_excess(old.y, old_proba)
    return [
        Measurement(
            name="label_noise_increase",
            value=increase,
            direction="lower_is_better",
            n=len(batch.y),
            interval=percentile_interval(new - before, params.level),
            note="the estimate of this table minus the reference's",
        ),
        Measurement(
            name="unexpected_label_rate",
            value=float(here.mean() - there.mean()),
            direction="lower_is_better",
            n=len(batch.y),
            interval=_difference_of_means(here, there, params.level),
            note="labels against the reference's model beyond what it expects; a shift of meaning counts too",
        ),
    ]


def _difference_of_means(a: Array, b: Array, level: float) -> Interval:
    half = float(norm.ppf((1 + level) / 2) * np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)))
    middle = float(a.mean() - b.mean())
    return Interval(low=middle - half, high=middle + half, level=level, method="normal, difference of means")


def _report(
    batch: Batch, signals: Signals, measurements: list[Measurement], *, names: list[str], rows: int, params: Params
) -> dict[str, Any]:
    """Row numbers (from 0, in the table that came in) with their scores, never a value of theirs."""
    score = suspicion(batch.y, signals.proba, signals.disagreement)
    top = np.argsort(-score, kind="stable")[: params.show]
    strange = np.argsort(-signals.outlier, kind="stable")[: params.show]
    return {
        "rows": rows,
        "examined": len(batch.rows),
        "features": names,
        "measurements": [m.model_dump(mode="json") for m in measurements],
        "suspicious_labels": [
            {
                "row": int(batch.rows[i]),
                "suspicion": float(score[i]),
                "neighbours_that_disagree": float(signals.disagreement[i]),
                "doubt": float(self_doubt(batch.y[i : i + 1], signals.proba[i : i + 1])[0]),
            }
            for i in top
        ],
        "outliers": [
            {"row": int(batch.rows[i]), "score": float(signals.outlier[i])}
            for i in strange
            if signals.outlier[i] > signals.limit
        ],
        "conflicting_duplicates": batch.rows[signals.conflict][: params.show].tolist(),
        "histogram": np.histogram(score, bins=20, range=(0, 1))[0].tolist(),
    }


def _summary(measurements: list[Measurement], batch: Batch) -> str:
    found = {m.name: m.value or 0.0 for m in measurements}
    text = f"{found['suspicious_label_rate']:.1%} of {len(batch.y):,} labels contradicted by neighbours and model"
    if "unexpected_label_rate" in found:
        text += f"; {found['unexpected_label_rate']:+.1%} against the reference's model beyond what it expects"
    return text


STEP = Step(
    id="check.poisoning@1",
    title="Scan for poisoned rows",
    help="Label noise by confident learning (Northcutt et al. 2021), labels that nearest neighbours and an "
    "out-of-sample model contradict, isolation-forest outliers, duplicates that disagree. With a trusted reference "
    "also what changed: a rise of the noise estimate and labels the reference's model does not expect. It finds "
    "signals, it cannot prove their absence.",
    params=Params,
    run=run,
    inputs={
        "table": Port("table", "the training rows in question"),
        "reference": Port("table", "an earlier table that is trusted", required=False),
    },
    outputs={"report": Port("report", "measurements and the numbers of the most suspicious rows")},
    evidence=("poisoning_scan",),
    about=("table",),
)
