"""Ask whether a model gives away who was in its training data: four attacks, from a rule to shadow models."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field
from scipy.stats import norm
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from pipelines.steps._bootstrap import difference, percentile_interval, wilson
from pipelines.steps._frames import known_labels, labels, need_rows
from pipelines.steps._victim import Victim
from pipelines.steps.contract import Port, Step, StepContext, StepError, StepParams, StepResult
from security.attacks.threats import MEMBERSHIP, described
from security.measurement import Interval, Measurement, Threshold, Verdict, combine, judge
from security.privacy.membership import (
    Separation,
    black_box,
    caught,
    confidence,
    halves,
    likelihood_ratio,
    rule_based,
    separation,
)

Array = np.ndarray[Any, Any]
_RATES = (0.001, 0.01)
_FALSE_ALARMS = 5  # fewer than this many allowed false positives say nothing about a rate
_DRAWS = 200


class Params(StepParams):
    """Whose rows, how many, how many shadow models, and what is acceptable."""

    target: str = Field(description="column that holds the label")
    max_rows: int = Field(default=1000, ge=20, le=50_000, description="members, and as many others, drawn (seeded)")
    shadows: int = Field(default=16, ge=4, le=256, multiple_of=2, description="shadow models, each on half of the rows")
    seconds: float = Field(default=300.0, gt=0, description="time for the shadow models; beyond it: inconclusive")
    level: float = Field(default=0.95, gt=0.5, lt=1, description="confidence level of the intervals")
    thresholds: tuple[Threshold, ...] = Field(
        default=(), description="rules, such as {metric: membership_auc, max: 0.6, on: high}; they hold for all attacks"
    )


@dataclass(frozen=True)
class Pool:
    """Members first, then others: rows, labels as positions, who is a member, the model's answers."""

    frame: pd.DataFrame
    y: Array
    member: Array
    proba: Array


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Attack. Raises StepError when tables and model do not fit or the model answers nonsense."""
    deadline = time.monotonic() + min(params.seconds, 0.8 * context.seconds)
    victim = Victim.of(inputs["model"])
    with threadpool_limits(1):
        pool = _pool(victim, inputs["members"], inputs["others"], params, context)
        scores = {
            "rule_based": rule_based(pool.proba, pool.y),
            "confidence": confidence(pool.proba, pool.y),
            "black_box": black_box(pool.proba, pool.y, pool.member, context.subseed("black box")),
        }
        ratio, trained = _shadowed(victim, pool, params, context, deadline)
    if ratio is not None:
        scores["likelihood_ratio"] = ratio
    measurements = [one for name, score in scores.items() for one in _measured(name, score, pool, params, context)]
    verdict = judge(measurements, params.thresholds)
    if trained < params.shadows:
        verdict = combine([verdict, Verdict.INCONCLUSIVE])
    summary = _summary(measurements, pool, trained, params)
    report = {
        "statement": summary,
        "members": int(pool.member.sum()),
        "others": int((~pool.member).sum()),
        "shadow_models": trained,
        "roc": {name: _roc(score, pool.member) for name, score in scores.items()},
        "measurements": [m.model_dump(mode="json") for m in measurements],
        **described(
            MEMBERSHIP,
            budget={"shadow_models": params.shadows, "rows": params.max_rows, "seconds": params.seconds},
            strength=_strength(pool, trained, inputs["members"], params),
            verdict=verdict,
        ),
    }
    return StepResult({"report": report}, tuple(measurements), verdict, summary)


def _pool(victim: Victim, members: pa.Table, others: pa.Table, params: Params, context: StepContext) -> Pool:
    """As many members as others, so that an attack that guesses scores one half."""
    frames, truths = [], []
    size = min(params.max_rows, members.num_rows, others.num_rows)
    for name, table in (("members", members), ("others", others)):
        need_rows(table, 20)
        truth = known_labels(victim.classes, labels(table, params.target))
        generator = np.random.default_rng(context.subseed(name))
        chosen = np.sort(generator.choice(table.num_rows, size=size, replace=False))
        frames.append(victim.frame(table).iloc[chosen])
        truths.append(truth[chosen])
    frame, y = pd.concat(frames, ignore_index=True), np.concatenate(truths)
    counts = np.bincount(y, minlength=len(victim.classes))
    if (counts < 4).any():
        raise StepError(
            "each class of the model needs four rows or more among those drawn, or no shadow model can be trained; "
            f"there are {dict(zip(victim.classes, counts.tolist(), strict=True))}",
            param="max_rows",
        )
    return Pool(frame, y, np.arange(2 * size) < size, victim.proba(frame))


def _shadowed(
    victim: Victim, pool: Pool, params: Params, context: StepContext, deadline: float
) -> tuple[Array | None, int]:
    """LiRA's scores and how many shadow models they rest on; None when the time allowed fewer than four."""
    names, seen, inside = np.array(victim.classes, dtype=object), [], []
    for number, chosen in enumerate(halves(len(pool.y), params.shadows, context.subseed("shadows"))):
        if time.monotonic() > deadline:
            break
        context.progress(number, params.shadows, "shadow models trained")
        model = clone(victim.model)
        _seed(model, context.subseed(f"shadow {number}"))
        try:
            model.fit(pool.frame[chosen], names[pool.y[chosen]])
        except ValueError as error:
            message = f"a shadow model could not be trained: {str(error).splitlines()[0]}; raise max_rows"
            raise StepError(message, param="max_rows") from error
        seen.append(confidence(_aligned(model, pool.frame, victim.classes), pool.y))
        inside.append(chosen)
    context.progress(len(seen), params.shadows, "shadow models trained")
    pairs = len(seen) // 2 * 2
    if pairs < 4:
        return None, len(seen)
    observed = confidence(pool.proba, pool.y)
    return likelihood_ratio(observed, np.stack(seen[:pairs]), np.stack(inside[:pairs])), len(seen)


def _seed(model: Any, seed: int) -> None:
    """Its own seed for every estimator in the pipeline that takes one."""
    own = {name: seed for name in model.get_params() if name.endswith("random_state")}
    model.set_params(**own)


def _aligned(model: Any, frame: pd.DataFrame, classes: list[str]) -> Array:
    """Probabilities in the order of ``classes``; 0 for one that a shadow never saw."""
    found = np.zeros((len(frame), len(classes)))
    found[:, [classes.index(str(one)) for one in model.classes_]] = model.predict_proba(frame)
    return found


def _measured(name: str, score: Array, pool: Pool, params: Params, context: StepContext) -> list[Measurement]:
    found, where = separation(score, pool.member, context.subseed("halves")), {"attack": name}
    rows = [
        Measurement(
            name="membership_auc",
            value=found.auc,
            direction="lower_is_better",
            n=len(score),
            interval=_delong(found, params.level),
            slice=where,
            note="0.5 is guessing",
        ),
        Measurement(
            name="membership_advantage",
            value=found.advantage,
            direction="lower_is_better",
            n=len(score),
            interval=difference((found.raised[0], found.members), (found.raised[1], found.others), params.level),
            slice=where,
            note="true- minus false-positive rate; the threshold was chosen on other rows",
        ),
    ]
    if name != "rule_based":  # two values have no low false-positive rate
        rows += [_caught(score, pool.member, rate, where, params, context) for rate in _RATES]
    return rows


def _delong(found: Separation, level: float) -> Interval:
    half = float(norm.ppf((1 + level) / 2)) * found.error
    low, high = max(0.0, found.auc - half), min(1.0, found.auc + half)
    return Interval(low=low, high=high, level=level, method="DeLong")


def _caught(
    score: Array, member: Array, rate: float, where: dict[str, str], params: Params, context: StepContext
) -> Measurement:
    """The true-positive rate at a low false-positive rate, or that the sample cannot carry it."""
    others, members = int((~member).sum()), int(member.sum())
    where, enough = {**where, "fpr": f"{rate:g}"}, others * rate >= _FALSE_ALARMS
    if not enough:
        note = f"{others:,} others cannot carry it: {round(_FALSE_ALARMS / rate):,} are needed"
        return Measurement(name="tpr_at_fpr", value=None, direction="lower_is_better", n=others, slice=where, note=note)
    value = caught(score, member, rate)
    generator = np.random.default_rng(context.subseed(f"caught {rate}"))
    ins, outs = score[member], score[~member]
    truth = np.arange(len(score)) < members
    draws = np.array(
        [
            caught(np.concatenate([generator.choice(ins, members), generator.choice(outs, others)]), truth, rate)
            for _ in range(_DRAWS)
        ]
    )
    interval, exact = percentile_interval(draws, params.level), wilson(value * members, members, params.level)
    if interval and exact:
        low, high = min(interval.low, exact.low), max(interval.high, exact.high)
        interval = Interval(low=low, high=high, level=params.level, method="bootstrap and Wilson, the wider")
    return Measurement(
        name="tpr_at_fpr", value=value, direction="lower_is_better", n=others, interval=interval, slice=where
    )


def _roc(score: Array, member: Array, points: int = 41) -> list[dict[str, float]]:
    """The ROC curve at evenly spaced false-positive rates."""
    return [{"fpr": float(rate), "tpr": caught(score, member, float(rate))} for rate in np.linspace(0, 1, points)]


def _strength(pool: Pool, trained: int, members: pa.Table, params: Params) -> list[str]:
    said = [
        "the attacker knows the training method, has rows of the same population, and asks for probabilities: a "
        "strong attacker; who knows less finds less"
    ]
    if trained < params.shadows:
        said.append(f"the time was over after {trained} of {params.shadows} shadow models: inconclusive")
    if pool.member.sum() < members.num_rows:
        said.append(
            f"{int(pool.member.sum()):,} of {members.num_rows:,} members were drawn: shadow models learn from fewer "
            "rows than the model did and so look more certain of membership than they are"
        )
    return said


def _summary(measurements: list[Measurement], pool: Pool, trained: int, params: Params) -> str:
    worst = max((m for m in measurements if m.name == "membership_auc"), key=lambda m: m.value or 0.0)
    attacks = sum(m.name == worst.name for m in measurements)
    text = (
        f"{worst.slice['attack']} told {int(pool.member.sum()):,} members from as many others with an area under the "
        f"curve of {worst.value:.3f} (0.5 is guessing), the most of {attacks} attacks"
    )
    return text if trained >= params.shadows else f"{text}; the time was over after {trained} shadow models"


STEP = Step(
    id="attack.membership@1",
    title="Ask who was in the training data",
    help="Membership inference by the rule 'predicted right', by confidence, by a black-box attack model and by a "
    "likelihood ratio over shadow models (LiRA, Carlini et al. 2022). Area under the curve, advantage, true-positive "
    "rate at 0.1 and 1 % false positives, each with an interval, or without a value where too few rows could carry it.",
    params=Params,
    run=run,
    inputs={
        "model": Port("model", "a model of train.sklearn"),
        "members": Port("table", "the rows it was trained on"),
        "others": Port("table", "rows of the same kind that it never saw"),
    },
    outputs={"report": Port("report", "figures and ROC curve of each attack")},
    evidence=("membership_inference",),
    about=("model",),
)
