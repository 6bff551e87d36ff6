"""Ask whether a model gives away a hidden value of the people it was trained on, beyond what could be guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field
from threadpoolctl import threadpool_limits

from pipelines.steps._bootstrap import wilson
from pipelines.steps._estimators import build
from pipelines.steps._frames import known_labels, labels, need_column, need_rows
from pipelines.steps._victim import Victim
from pipelines.steps.contract import Port, Step, StepContext, StepError, StepParams, StepResult
from security.attacks.threats import ATTRIBUTE, described
from security.measurement import Interval, Measurement, Threshold, judge
from security.privacy.attributes import paired_gain, posterior

Array = np.ndarray[Any, Any]
_MAX_VALUES = 20
_FOREST = {"n_estimators": 100, "min_samples_leaf": 5}
_LABEL = "label of the row"


class Params(StepParams):
    """Which value is hidden, of how many rows, and what is acceptable."""

    target: str = Field(description="column that holds the label")
    attribute: str = Field(description="feature of the model that the attacker wants to know; at most 20 values")
    max_rows: int = Field(default=1000, ge=50, le=50_000, description="rows attacked, drawn (seeded)")
    level: float = Field(default=0.95, gt=0.5, lt=1, description="confidence level of the intervals")
    thresholds: tuple[Threshold, ...] = Field(
        default=(),
        description="rules, such as {metric: attribute_gain, max: 0.05, on: high}; they hold for all attacks",
    )


@dataclass(frozen=True)
class Rows:
    """Rows of one table: the model's features, labels and hidden values as positions."""

    frame: pd.DataFrame
    y: Array
    hidden: Array


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Attack. Raises StepError when the attribute is no feature, has too many values, or a table does not fit."""
    victim = Victim.of(inputs["model"])
    values = _values(victim, inputs["known"], params)
    with threadpool_limits(1):
        known = _rows(victim, inputs["known"], values, params, context.subseed("known"))
        people = _rows(victim, inputs["members"], values, params, context.subseed("members"))
        context.progress(0, 3, "asking the model with each value")
        told, asked = (_answers(victim, rows, values, params.attribute) for rows in (known, people))
        context.progress(1, 3, "guessing without the model")
        prior = _guess(victim, known, people, None, len(values), params, context)
        context.progress(2, 3, "guessing with the model")
        informed = _guess(victim, known, people, (told, asked), len(values), params, context)
    baseline = prior.argmax(axis=1)
    guesses = {"bayes": posterior(prior, asked), "black_box": informed.argmax(axis=1)}
    measurements = [_accuracy("baseline_accuracy", baseline, people, {}, params)]
    for name, guess in guesses.items():
        measurements.append(_accuracy("attribute_accuracy", guess, people, {"attack": name}, params))
        measurements.append(_gain(guess, baseline, people, {"attack": name}, params))
    context.progress(3, 3, "guessed")
    verdict = judge(measurements, params.thresholds)
    summary = _summary(measurements, params)
    report = {
        "statement": summary,
        "attribute": params.attribute,
        "values": len(values),
        "attacked": len(people.y),
        "known": len(known.y),
        "measurements": [m.model_dump(mode="json") for m in measurements],
        **described(
            ATTRIBUTE,
            budget={"rows": params.max_rows, "queries_per_row": len(values)},
            strength=[
                "the attacker knows every other column, the label and the probabilities, and learns from rows of the "
                "same kind; only what the model adds to the informed guess counts as its leak",
            ],
            verdict=verdict,
        ),
    }
    return StepResult({"report": report}, tuple(measurements), verdict, summary)


def _values(victim: Victim, table: pa.Table, params: Params) -> list[Any]:
    """The values that the hidden column takes in the rows the attacker holds."""
    need_column(table, params.attribute, "attribute")
    numeric, categorical = victim.columns
    if params.attribute not in (*numeric, *categorical):
        raise StepError(f"{params.attribute!r} is no feature of the model: it cannot give it away", param="attribute")
    found = sorted(victim.frame(table)[params.attribute].dropna().unique().tolist())
    if not 2 <= len(found) <= _MAX_VALUES:
        raise StepError(
            f"{params.attribute!r} has {len(found)} different values; 2 to {_MAX_VALUES} can be guessed",
            param="attribute",
        )
    if len({*numeric, *categorical}) < 2:
        raise StepError("the model has no other feature to guess from", param="attribute")
    return found


def _rows(victim: Victim, table: pa.Table, values: list[Any], params: Params, seed: int) -> Rows:
    """Rows whose hidden value is known, at most ``max_rows`` of them."""
    need_rows(table, 50)
    truth, frame = known_labels(victim.classes, labels(table, params.target)), victim.frame(table)
    usable = np.flatnonzero(frame[params.attribute].isin(values).to_numpy())
    if len(usable) < 50:
        raise StepError(f"{len(usable)} rows have a known value of {params.attribute!r}; at least 50 are needed")
    chosen = np.sort(np.random.default_rng(seed).permutation(usable)[: params.max_rows])
    places = {value: i for i, value in enumerate(values)}
    picked = frame.iloc[chosen].reset_index(drop=True)
    hidden = np.array([places[value] for value in picked[params.attribute].tolist()], dtype=np.intp)
    return Rows(picked, truth[chosen], hidden)


def _answers(victim: Victim, rows: Rows, values: list[Any], attribute: str) -> Array:
    """The model's probability of each row's label with the attribute set to each value: (rows, values)."""
    found = []
    for value in values:
        changed = rows.frame.copy()
        changed[attribute] = pd.Series([value] * len(changed), dtype=changed[attribute].dtype)
        found.append(victim.proba(changed)[np.arange(len(rows.y)), rows.y])
    return np.stack(found, axis=1)


def _guess(
    victim: Victim,
    known: Rows,
    people: Rows,
    answers: tuple[Array, Array] | None,
    values: int,
    params: Params,
    context: StepContext,
) -> Array:
    """Probabilities of the hidden values of ``people`` (rows, values), learned from ``known``, with the model's answers
    as further columns or without."""
    numeric = [n for n in victim.columns[0] if n != params.attribute]
    categorical = [n for n in victim.columns[1] if n != params.attribute]
    extra = [f"answer {i}" for i in range(values)] if answers else []
    frames = []
    for i, rows in enumerate((known, people)):
        frame = rows.frame[[*numeric, *categorical]].copy()
        frame[_LABEL] = pd.Series([victim.classes[position] for position in rows.y], dtype=object)
        if answers:
            frame[extra] = answers[i]
        frames.append(frame)
    model = build(
        "random_forest",
        _FOREST,
        numeric=[*numeric, *extra],
        categorical=[*categorical, _LABEL],
        seed=context.subseed("guess"),
    )
    model.fit(frames[0], known.hidden)
    found = np.zeros((len(people.y), values))
    found[:, model.classes_] = model.predict_proba(frames[1])
    return found


def _accuracy(name: str, guess: Array, people: Rows, where: dict[str, str], params: Params) -> Measurement:
    n, hits = len(guess), int((guess == people.hidden).sum())
    return Measurement(
        name=name,
        value=hits / n,
        direction="none" if name == "baseline_accuracy" else "lower_is_better",
        n=n,
        interval=wilson(hits, n, params.level),
        slice=where,
        note="informed guess without the model" if name == "baseline_accuracy" else "read it beside the baseline",
    )


def _gain(guess: Array, baseline: Array, people: Rows, where: dict[str, str], params: Params) -> Measurement:
    gain, low, high = paired_gain(guess, baseline, people.hidden, params.level)
    return Measurement(
        name="attribute_gain",
        value=gain,
        direction="lower_is_better",
        n=len(guess),
        interval=Interval(low=low, high=high, level=params.level, method="paired difference, Agresti and Min"),
        slice=where,
        note="accuracy beyond the informed guess on the same rows",
    )


def _summary(measurements: list[Measurement], params: Params) -> str:
    base = next(m.value or 0.0 for m in measurements if m.name == "baseline_accuracy")
    worst = max((m for m in measurements if m.name == "attribute_gain"), key=lambda m: m.value or 0.0)
    return (
        f"{params.attribute} guessed right without the model for {base:.1%} of {worst.n:,} rows; "
        f"with it {worst.value or 0.0:+.1%} ({worst.slice['attack']})"
    )


STEP = Step(
    id="attack.attribute@1",
    title="Ask for a hidden value",
    help="Attribute inference with every other column known: prior times the model's answers (Fredrikson et al. 2014) "
    "and an attack model that sees the answers, against an informed baseline that sees everything but the model. "
    "Only the gain over the baseline, on the same rows, is the model's leak.",
    params=Params,
    run=run,
    inputs={
        "model": Port("model", "a model of train.sklearn"),
        "members": Port("table", "the rows it was trained on, whose value is hidden"),
        "known": Port("table", "rows of the same kind that the attacker holds"),
    },
    outputs={"report": Port("report", "accuracy of each attack beside the baseline")},
    evidence=("membership_inference",),
    about=("model",),
)
