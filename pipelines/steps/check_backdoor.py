"""Look for a backdoor in training rows: rare combinations that fix the label, strange rows of a class, near copies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from pipelines.steps._bootstrap import wilson
from pipelines.steps._estimators import build
from pipelines.steps._frames import feature_names, frame, known_labels, labels, need_rows, split_kinds
from pipelines.steps.contract import Port, Step, StepContext, StepError, StepParams, StepResult
from security.attacks.backdoor import Trigger, candidates, examined, itemised, near_copies, spectral_scores
from security.attacks.threats import POISONING, described
from security.measurement import Measurement, Threshold, judge

Array = np.ndarray[Any, Any]
_FOREST = {"n_estimators": 50, "min_samples_leaf": 3}


class Params(StepParams):
    """Where the label is, how rare a trigger may be, and what is acceptable."""

    target: str = Field(description="column that holds the label")
    features: tuple[str, ...] = Field(default=(), description="columns to look at; all but target when empty")
    exclude: tuple[str, ...] = Field(default=(), description="columns left out")
    min_rows: int = Field(default=15, ge=5, description="a trigger is in at least so many rows")
    max_share: float = Field(default=0.1, gt=0, le=0.5, description="and in at most this share of them")
    purity: float = Field(default=0.9, gt=0.5, le=1, description="share of its rows that carry one label")
    surprise: float = Field(default=0.4, gt=0, lt=1, description="purity beyond what a model without the rows expects")
    works: float = Field(
        default=0.5, gt=0, le=1, description="share of other rows that a trigger turns around; below it is none"
    )
    candidates: int = Field(default=12, ge=1, le=100, description="combinations examined, most surprising first")
    near: float = Field(default=0.05, gt=0, le=1, description="distance of near copies, in standard deviations")
    stamped: int = Field(default=300, ge=20, le=5000, description="rows on which a trigger is tried")
    folds: int = Field(default=3, ge=2, le=10, description="folds for out-of-sample predictions")
    level: float = Field(default=0.95, gt=0.5, lt=1, description="confidence level of the intervals")
    max_rows: int = Field(default=10_000, ge=100, description="a larger table is sampled (seeded)")
    show: int = Field(default=50, ge=0, le=1000, description="how many row numbers the report lists of each kind")
    thresholds: tuple[Threshold, ...] = Field(
        default=(Threshold(metric="backdoor_triggers", max=0),), description="rules; by default no trigger is accepted"
    )


@dataclass(frozen=True)
class Subject:
    """The rows examined: their numbers in the table, features, labels as positions, and an unfitted plain and forest
    pipeline for them."""

    rows: Array
    frame: pd.DataFrame
    y: Array
    classes: list[str]
    plain: Any
    forest: Any


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Scan. Raises StepError when the table cannot be learned from."""
    subject = _subject(inputs["table"], params, context)
    with threadpool_limits(1):
        context.progress(0, params.candidates + 2, "predicting each fold from the others")
        suspects = _suspects(subject, params, context)
        context.progress(params.candidates, params.candidates + 2, "trying what was found")
        model = subject.forest.fit(subject.frame, subject.y)
        tried = [(one, _stamped(model, subject, one, params, context)) for one in suspects]
        context.progress(params.candidates + 1, params.candidates + 2, "looking at the forest's leaves")
        prepared = np.asarray(model.named_steps["prepare"].transform(subject.frame))
        leaves = model.named_steps["estimator"].apply(prepared)
        spectral = spectral_scores(leaves, subject.y, context.subseed("spectral"))
        copies = near_copies(prepared, params.near)
    context.progress(params.candidates + 2, params.candidates + 2, "scanned")
    works = [turned >= params.works * max(of, 1) for _, (turned, of) in tried]
    found = [pair for pair, good in zip(tried, works, strict=True) if good]
    measurements = _measured(subject, found, copies, params)
    verdict = judge(measurements, params.thresholds)
    summary = _summary(subject, found)
    report = {
        "statement": summary,
        "rows": inputs["table"].num_rows,
        "examined": len(subject.rows),
        "triggers": [_named(*pair, subject, params) for pair in found],
        "without_effect": [_named(*pair, subject, params) for pair, good in zip(tried, works, strict=True) if not good],
        "spectral": _ranked(subject, spectral, params.show),
        "near_copies": subject.rows[copies][: params.show].tolist(),
        "measurements": [m.model_dump(mode="json") for m in measurements],
        **described(
            POISONING,
            budget={"combinations_examined": params.candidates, "rows": params.max_rows, "items_in_a_combination": 2},
            strength=[
                "single values and pairs of values are searched; a trigger that is spread thinner, or a range of "
                "numbers, is not found",
                f"a trigger in fewer than {params.min_rows} rows is not looked for",
            ],
            verdict=verdict,
        ),
    }
    return StepResult({"report": report}, tuple(measurements), verdict, summary)


def _subject(table: pa.Table, params: Params, context: StepContext) -> Subject:
    need_rows(table, 100)
    names = feature_names(table, params.target, params.features, params.exclude)
    truth = labels(table, params.target)
    classes, counts = np.unique(truth.astype(str), return_counts=True)
    if len(classes) < 2 or counts.min() < 2 * params.folds:
        raise StepError(
            f"{params.target!r} needs two classes or more, each with at least {2 * params.folds} rows; there are "
            f"{dict(zip(classes.tolist(), counts.tolist(), strict=True))}",
            param="target",
        )
    rows = np.arange(table.num_rows)
    if len(rows) > params.max_rows:
        generator = np.random.default_rng(context.subseed("rows"))
        rows = np.sort(generator.choice(rows, size=params.max_rows, replace=False))
    numeric, categorical = split_kinds(table, names)
    plain, forest = (
        build(kind, options, numeric=numeric, categorical=categorical, seed=context.subseed(kind), rare=params.min_rows)
        for kind, options in (("logistic_regression", {"C": 0.1}), ("random_forest", _FOREST))
    )
    taken = table.take(pa.array(rows))
    y = known_labels(classes.tolist(), labels(taken, params.target))
    return Subject(rows, frame(taken, names), y, classes.tolist(), plain, forest)


def _suspects(subject: Subject, params: Params, context: StepContext) -> list[Trigger]:
    """Candidates whose label a forest that never saw their rows does not expect, most surprising first."""
    folds = StratifiedKFold(params.folds, shuffle=True, random_state=context.subseed("folds"))
    expected = cross_val_predict(subject.plain, subject.frame, subject.y, cv=folds, method="predict_proba")
    items, names = itemised(subject.frame, params.min_rows)
    chosen = candidates(
        items,
        subject.y,
        np.asarray(expected),
        least=params.min_rows,
        most=int(params.max_share * len(subject.y)),
        purity=params.purity,
        top=params.candidates,
    )

    def expect(out: Array) -> Array:
        model = subject.forest.fit(subject.frame[~out], subject.y[~out])
        found = np.zeros((int(out.sum()), len(subject.classes)))
        found[:, model.classes_] = model.predict_proba(subject.frame[out])
        return found

    found = []
    for number, candidate in enumerate(chosen):
        context.progress(number, params.candidates + 2, "combinations examined")
        found.append(examined(items, names, subject.y, candidate, expect))
    return sorted((one for one in found if one.surprise >= params.surprise), key=lambda one: -one.surprise)


def _stamped(model: Any, subject: Subject, trigger: Trigger, params: Params, context: StepContext) -> tuple[int, int]:
    """(rows turned to the trigger's label, rows tried): other rows of other labels get the trigger's values."""
    others = np.setdiff1d(np.flatnonzero(subject.y != trigger.label), trigger.rows)
    others = others[model.predict(subject.frame.iloc[others]) != trigger.label]
    if not len(others):
        return 0, 0
    generator = np.random.default_rng(context.subseed("stamped"))
    picked = subject.frame.iloc[generator.permutation(others)[: params.stamped]].copy()
    for name, value in trigger.items:
        picked[name] = pd.Series([value] * len(picked), index=picked.index, dtype=picked[name].dtype)
    return int((model.predict(picked) == trigger.label).sum()), len(picked)


def _measured(
    subject: Subject, triggers: list[tuple[Trigger, tuple[int, int]]], copies: Array, params: Params
) -> list[Measurement]:
    n = len(subject.y)
    rows = {row for one, _ in triggers for row in one.rows.tolist()}
    best = max((tried for _, tried in triggers), key=lambda one: one[0] / max(one[1], 1), default=(0, 0))
    return [
        Measurement(
            name="backdoor_triggers",
            value=float(len(triggers)),
            unit="triggers",
            direction="lower_is_better",
            n=n,
            note="combinations that fix the label unexpectedly and turn other rows around",
        ),
        _share("triggered_rows", len(rows), n, params, "rows that carry a trigger"),
        _share("trigger_success_rate", *best, params, "other rows that the strongest trigger turns around in a forest"),
        _share("near_copy_rate", int(copies.sum()), n, params, "rows almost equal to another row"),
    ]


def _share(name: str, hits: int, n: int, params: Params, note: str) -> Measurement:
    return Measurement(
        name=name,
        value=hits / n if n else None,
        direction="lower_is_better",
        n=n,
        interval=wilson(hits, n, params.level),
        note=note if n else "no trigger was found, nothing was tried",
    )


def _named(trigger: Trigger, tried: tuple[int, int], subject: Subject, params: Params) -> dict[str, Any]:
    """A trigger with its values: they are shared by ``min_rows`` rows or more, so they single nobody out."""
    return {
        "values": [{"column": name, "value": value} for name, value in trigger.items],
        "label": subject.classes[trigger.label],
        "support": trigger.support,
        "purity": trigger.purity,
        "expected_without_these_rows": trigger.expected,
        "turned_around": {"rows": tried[0], "of": tried[1]},
        "rows": subject.rows[trigger.rows][: params.show].tolist(),
    }


def _ranked(subject: Subject, scores: Array, show: int) -> list[dict[str, Any]]:
    order = np.argsort(-scores, kind="stable")[:show]
    return [{"row": int(subject.rows[i]), "score": float(scores[i])} for i in order]


def _summary(subject: Subject, triggers: list[tuple[Trigger, tuple[int, int]]]) -> str:
    if not triggers:
        return f"no trigger found in {len(subject.y):,} rows"
    first, (turned, tried) = triggers[0]
    name = " and ".join(f"{column} = {value}" for column, value in first.items)
    return (
        f"{len(triggers)} possible triggers in {len(subject.y):,} rows; {name} comes with "
        f"{subject.classes[first.label]} in {first.purity:.0%} of {first.support} rows, where {first.expected:.0%} is "
        f"expected, and turns {turned} of {tried} other rows around"
    )


STEP = Step(
    id="check.backdoor@1",
    title="Look for a backdoor in training rows",
    help="Searches values and pairs of values that fix the label although a model that never saw those rows expects "
    "another one and that turn other rows around, and names them; ranks rows by spectral signatures on a forest's "
    "leaves; counts near copies. It finds signals, it cannot prove their absence.",
    params=Params,
    run=run,
    inputs={"table": Port("table", "the training rows in question")},
    outputs={"report": Port("report", "triggers with their values, and the numbers of the strangest rows")},
    evidence=("poisoning_scan",),
    about=("table",),
)
