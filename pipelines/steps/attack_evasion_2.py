"""Attack a classifier with every attack that fits it: how small a valid change of a row turns its class around."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from pipelines.steps._evasion_report import AttackOutcome, Outcome, measured, reported, statement
from pipelines.steps._frames import known_labels, labels, need_rows
from pipelines.steps._victim import Freedom, Ground, Victim, all_coordinates, ground, need_columns
from pipelines.steps.contract import Port, Step, StepContext, StepParams, StepResult
from security.attacks.asking import Asked
from security.attacks.boundary import hop_skip_jump
from security.attacks.evasion import BudgetSpentError, Norm
from security.attacks.searching import nearest_starts, random_search, taken_back
from security.attacks.whitebox import gradient_attack, tree_attack
from security.measurement import Threshold, Verdict, combine, judge

Array = np.ndarray[Any, Any]
AttackName = Literal[
    "hop_skip_jump", "random_search", "fast_gradient", "projected_gradient", "deep_fool", "decision_tree"
]
_GRADIENTS = ("fast_gradient", "projected_gradient", "deep_fool")
_ALL: tuple[AttackName, ...] = (
    "fast_gradient",
    "projected_gradient",
    "deep_fool",
    "decision_tree",
    "random_search",
    "hop_skip_jump",
)
_DRAWS = 50
_CHUNK = 20_000


class Params(StepParams):
    """The attacks, their budget, what they may touch, and what is acceptable."""

    target: str = Field(description="column that holds the label")
    attacks: tuple[AttackName, ...] = Field(
        default=_ALL, min_length=1, description="attacks to try; those that do not fit the model are listed with why"
    )
    samples: int = Field(default=50, ge=1, le=2000, description="rows drawn; those predicted right are attacked")
    immutable: tuple[str, ...] = Field(default=(), description="columns that cannot be changed")
    categories: bool = Field(default=True, description="whether text columns may change to another value seen")
    one_of: tuple[tuple[str, ...], ...] = Field(
        default=(), description="groups of 0/1 columns of which exactly one is 1; they change together"
    )
    costs: dict[str, float] = Field(
        default_factory=dict,
        description="what a change costs: factor on a number's distance, price of another category; 1 when not named",
    )
    norm: Norm = Field(default="l2", description="how a change is measured, in training standard deviations times cost")
    radii: tuple[float, ...] = Field(default=(0.25, 0.5, 1.0), min_length=1, description="distances reported")
    max_iter: int = Field(default=8, ge=1, le=200, description="iterations of each attack")
    max_eval: int = Field(default=200, ge=10, le=100_000, description="queries for one estimate of the slope")
    max_queries: int = Field(default=5000, ge=100, le=1_000_000, description="queries for one row in one attack")
    starts: int = Field(default=500, ge=1, le=5000, description="other rows that are tried as a start")
    noise_draws: int = Field(default=100, ge=1, le=10_000, description="random changes tried per row and radius")
    seconds: float = Field(default=120.0, gt=0, description="time for all attacks; beyond it: inconclusive")
    level: float = Field(default=0.95, gt=0.5, lt=1, description="confidence level of the intervals")
    thresholds: tuple[Threshold, ...] = Field(
        default=(), description="rules, such as {metric: attack_success_rate, slice: {radius: '0.5'}, max: 0.5}"
    )


@dataclass
class Arena:
    """What the attacks share: the rows and where they stand, places to start from, the budget."""

    place: Ground
    label: Array
    starts: Array
    params: Params
    context: StepContext
    deadline: float
    outcomes: list[AttackOutcome] = field(default_factory=list)

    def asked(self) -> Asked:
        place, params = self.place, self.params
        return Asked(
            place.x,
            self.label,
            place.movable,
            place.classes,
            params.norm,
            params.max_queries,
            self.deadline,
            place.settle,
        )


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Attack. Raises StepError when nothing may change, or the model does not fit the table or answers nonsense."""
    deadline = time.monotonic() + min(params.seconds, 0.8 * context.seconds)
    table: pa.Table = inputs["table"]
    need_rows(table, 2)
    need_columns(table, params.immutable, "immutable")
    victim = Victim.of(inputs["model"])
    truth = known_labels(victim.classes, labels(table, params.target))
    frame = victim.frame(table)
    with threadpool_limits(1):
        drawn, right = _drawn(victim, frame, truth, params, context)
        freedom = Freedom(params.immutable, params.categories, params.one_of, params.costs, params.norm)
        place = ground(victim, frame, right, freedom)
        arena = Arena(place, truth[right], _starts(place, frame, params, context), params, context, deadline)
        for done, name in enumerate(params.attacks):
            context.progress(done, len(params.attacks) + 1, f"attack {name} on {len(right)} rows")
            arena.outcomes.append(_outcome(arena, name))
        context.progress(len(params.attacks), len(params.attacks) + 1, "random changes as a control")
        noise = _noise(arena)
    outcome = Outcome(rows=right, sampled=len(drawn), attacks=tuple(arena.outcomes), noise=noise)
    measurements = measured(outcome, params, context.subseed("median"))
    verdict = judge(measurements, params.thresholds)
    if outcome.unfinished or noise is None:
        verdict = combine([verdict, Verdict.INCONCLUSIVE])
    report = reported(outcome, place, measurements, params=params, verdict=verdict)
    return StepResult({"report": report}, tuple(measurements), verdict, statement(outcome, params))


def _drawn(
    victim: Victim, frame: pd.DataFrame, truth: Array, params: Params, context: StepContext
) -> tuple[Array, Array]:
    """Row numbers that were drawn, and those of them that the model gets right: only those can be attacked."""
    generator = np.random.default_rng(context.subseed("rows"))
    drawn = np.sort(generator.choice(len(frame), size=min(params.samples, len(frame)), replace=False))
    return drawn, drawn[victim.proba(frame.iloc[drawn]).argmax(axis=1) == truth[drawn]]


def _starts(place: Ground, frame: pd.DataFrame, params: Params, context: StepContext) -> Array:
    """Coordinates of other rows (n, d)."""
    generator = np.random.default_rng(context.subseed("starts"))
    chosen = np.sort(generator.choice(len(frame), size=min(params.starts, len(frame)), replace=False))
    return all_coordinates(place, frame.iloc[chosen])


def _unfit(arena: Arena, name: AttackName) -> str:
    """Why an attack cannot run on this model, or nothing."""
    estimator, numbers = arena.place.victim.estimator, arena.place.space.numbers
    kind = type(estimator).__name__
    if not len(arena.place.x):
        return "no row was predicted right: there is nothing to attack"
    if name in _GRADIENTS and not isinstance(estimator, LogisticRegression):
        return f"needs gradients, which a {kind} does not have; only logistic regression does here"
    if name in _GRADIENTS and not numbers.columns:
        return "moves numbers only, and no number may change"
    if name == "decision_tree" and not isinstance(estimator, DecisionTreeClassifier):
        return f"needs a single decision tree; this is a {kind}"
    if name == "decision_tree" and len(set(estimator.tree_.value[:, 0].argmax(axis=1).tolist())) < 2:
        return "the tree knows one class only"
    return ""


def _outcome(arena: Arena, name: AttackName) -> AttackOutcome:
    """Run one attack on all rows and confirm what it found with the whole model on whole rows."""
    if reason := _unfit(arena, name):
        return AttackOutcome(name, not_run=reason)
    asked, late = arena.asked(), False
    try:
        _attack(arena, asked, name)
        taken_back(asked, arena.place.space.groups)
    except BudgetSpentError:
        late = True
    distances, confirmed = asked.best_distance.copy(), _confirmed(arena, asked)
    unconfirmed = int((np.isfinite(distances) & ~confirmed).sum())
    distances[~confirmed] = np.inf
    return AttackOutcome(
        name,
        distances=distances,
        queries=asked.queries,
        spent=asked.spent,
        late=late,
        unconfirmed=unconfirmed,
        changed=arena.place.space.changed(asked.best, arena.place.x) & confirmed[:, None],
        trace=tuple(asked.trace),
    )


def _attack(arena: Arena, asked: Asked, name: AttackName) -> None:
    params, place, seed = arena.params, arena.place, arena.context.subseed(f"attack {name}")
    if name == "decision_tree":
        tree_attack(asked, place.victim.estimator, place.base, place.space.points_of)
    elif name == "random_search":
        generator = np.random.default_rng(seed)

        def draw(owner: Array, radius: Array) -> Array:
            return place.space.noise(place.x[owner], place.movable[owner], radius, generator)

        random_search(asked, draw, max(params.radii), rounds=2 * params.max_iter, draws=_DRAWS)
    elif name == "hop_skip_jump":
        starts = nearest_starts(asked, arena.starts)
        evals = min(params.max_eval, 20 + 2 * len(place.space.groups))
        hop_skip_jump(
            asked,
            starts,
            place.space.bounds,
            max_iter=params.max_iter,
            max_eval=params.max_eval,
            init_eval=evals,
            seed=seed,
        )
    else:
        numbers = place.space.numbers
        gradient_attack(
            asked,
            place.victim.estimator,
            place.base,
            attack=name,
            position=numbers.position,
            cost=numbers.cost,
            bounds=place.space.bounds,
            radii=params.radii,
            max_iter=params.max_iter,
            seed=seed,
        )


def _confirmed(arena: Arena, asked: Asked) -> Array:
    """Which rows' nearest change the whole model, asked for the whole row, also puts into another class."""
    found = np.flatnonzero(np.isfinite(asked.best_distance))
    confirmed = np.zeros(len(asked.x), dtype=bool)
    if len(found):
        rows = arena.place.raw(asked.best[found], found)
        confirmed[found] = arena.place.victim.proba(rows).argmax(axis=1) != arena.label[found]
    return confirmed


def _noise(arena: Arena) -> dict[float, int] | None:
    """For each radius how many rows any of the random valid changes within it turned around; None: out of time."""
    place, params = arena.place, arena.params
    generator = np.random.default_rng(arena.context.subseed("noise"))
    rows, hits = np.arange(len(place.x)), dict.fromkeys(params.radii, 0)
    for radius in params.radii:
        flipped = np.zeros(len(rows), dtype=bool)
        owners = np.repeat(rows, params.noise_draws)
        for start in range(0, len(owners), _CHUNK):
            if time.monotonic() > arena.deadline:
                return None
            owner = owners[start : start + _CHUNK]
            points = place.space.noise(place.x[owner], place.movable[owner], np.full(len(owner), radius), generator)
            away = arena.asked().distances(points, owner)
            inside = (away > 0) & (away <= radius * (1 + 1e-9))
            points, owner = points[inside], owner[inside]
            if len(owner):
                flipped[owner[place.classes(points, owner) != arena.label[owner]]] = True
        hits[radius] = int(flipped.sum())
    return hits


STEP = Step(
    id="attack.evasion@2",
    title="Attack with changed inputs, every attack that fits",
    help="Looks for the smallest valid change of a row that turns its class around: HopSkipJump and random search on "
    "any model, fast gradient, projected gradient and DeepFool on a logistic regression, DecisionTreeAttack on a "
    "single tree; what could not run is listed with its reason. Immutable columns and missing values stay, whole "
    "numbers stay whole, categories and one-of groups take values that exist, nothing leaves the range seen. Random "
    "changes of the same size stand beside it. An attack that finds nothing proves nothing.",
    params=Params,
    run=run,
    inputs={"model": Port("model", "a model of train.sklearn"), "table": Port("table", "held-out rows")},
    outputs={"report": Port("report", "distances per attacked row, rates per radius, success against queries")},
    evidence=("adversarial_eval",),
    about=("model",),
)
