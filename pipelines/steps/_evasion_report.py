"""What evasion attacks found, as measurements and as a report: rates per radius, curves, what could not run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from pipelines.steps._bootstrap import percentile_interval, wilson
from pipelines.steps._victim import Ground
from security.attacks.threats import EVASION, described
from security.measurement import Measurement, Verdict

Array = np.ndarray[Any, Any]
Direction = Literal["higher_is_better", "lower_is_better", "none"]
_POINTS = 40
_RATES: dict[str, tuple[Direction, str]] = {
    "attack_success_rate": ("lower_is_better", "rows whose class a valid change within the radius turned around"),
    "noise_success_rate": ("none", "control: rows that any of the random changes within the radius turned around"),
    "accuracy_under_attack": ("higher_is_better", "upper bound: another attack may find more"),
    "success_rate_by_attack": ("lower_is_better", "the same by one attack alone"),
}


@dataclass(frozen=True)
class AttackOutcome:
    """One attack: distance per row (inf: nothing found), queries, whose budget was spent; or why it did not run."""

    name: str
    not_run: str = ""
    distances: Array = field(default_factory=lambda: np.empty(0))
    queries: Array = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    spent: Array = field(default_factory=lambda: np.empty(0, dtype=bool))
    late: bool = False
    unconfirmed: int = 0
    changed: Array = field(default_factory=lambda: np.empty((0, 0), dtype=bool))
    trace: tuple[tuple[int, int, float], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """All attacks on ``rows`` (those predicted right among ``sampled``); ``noise``: hits per radius, None: no time."""

    rows: Array
    sampled: int
    attacks: tuple[AttackOutcome, ...]
    noise: dict[float, int] | None

    @property
    def ran(self) -> list[AttackOutcome]:
        return [one for one in self.attacks if not one.not_run]

    @property
    def nearest(self) -> Array:
        """The smallest distance that any attack found, per row."""
        return np.min([one.distances for one in self.ran], axis=0) if self.ran else np.full(len(self.rows), np.inf)

    @property
    def unfinished(self) -> bool:
        """Whether a budget ended an attack before it was through, or none could run."""
        return not self.ran or any(one.late or bool(one.spent.any()) for one in self.ran)


def measured(outcome: Outcome, params: Any, seed: int) -> list[Measurement]:
    """Shares per radius over the rows that were attacked; accuracy also over those that were wrong from the start."""
    n, found = len(outcome.rows) if outcome.ran else 0, outcome.nearest
    rates = []
    for radius in params.radii:
        hits, where = int((found <= radius).sum()), {"radius": f"{radius:g}"}
        rates.append(_rate("attack_success_rate", hits, n, where, params.level))
        noise = (outcome.noise or {}).get(radius, 0)
        rates.append(_rate("noise_success_rate", noise, n if outcome.noise is not None else 0, where, params.level))
        under = outcome.sampled if outcome.ran else 0
        rates.append(_rate("accuracy_under_attack", n - hits, under, where, params.level))
        for one in outcome.ran:
            own = int((one.distances <= radius).sum())
            rates.append(_rate("success_rate_by_attack", own, n, {**where, "attack": one.name}, params.level))
    return [*rates, _median(found[np.isfinite(found)], params, seed), *_effort(outcome)]


def _rate(name: str, hits: int, n: int, where: dict[str, str], level: float) -> Measurement:
    direction, note = _RATES[name]
    return Measurement(
        name=name,
        value=hits / n if n else None,
        n=n,
        direction=direction,
        interval=wilson(hits, n, level),
        slice=where,
        note=note if n else "not measured: no row was attacked, no attack fitted, or the time was over",
    )


def _median(found: Array, params: Any, seed: int) -> Measurement:
    interval = None
    if len(found):
        draws = np.median(np.random.default_rng(seed).choice(found, size=(500, len(found))), axis=1)
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


def _effort(outcome: Outcome) -> list[Measurement]:
    n = len(outcome.rows) if outcome.ran else 0
    queries = float(np.sum([one.queries.sum() for one in outcome.ran])) / n if n else None
    not_run = sum(bool(one.not_run) for one in outcome.attacks)
    return [
        Measurement(name="queries_per_row", value=queries, unit="queries", n=n, note="" if n else "no row attacked"),
        Measurement(name="attacks_not_run", value=float(not_run), unit="attacks", n=len(outcome.attacks)),
    ]


def reported(
    outcome: Outcome, place: Ground, measurements: list[Measurement], *, params: Any, verdict: Verdict | None
) -> dict[str, Any]:
    """The report: per row, per attack, the two curves, which features the changes used; never a cell of the table."""
    nearest = outcome.nearest
    budget = {
        "queries_per_row_and_attack": params.max_queries,
        "seconds": params.seconds,
        "iterations": params.max_iter,
    }
    return {
        "statement": statement(outcome, params),
        "norm": params.norm,
        "sampled": outcome.sampled,
        "predicted_right": len(outcome.rows),
        "features_that_may_change": place.space.features,
        "attacks": [_one(one) for one in outcome.ran],
        "not_run": [{"attack": one.name, "reason": one.not_run} for one in outcome.attacks if one.not_run],
        "rows": [
            {"row": int(row), "distance": float(away) if np.isfinite(away) else None}
            for row, away in zip(outcome.rows, nearest, strict=True)
        ],
        "success_by_distance": _by_distance(nearest),
        "success_by_queries": {one.name: _by_queries(one, max(params.radii)) for one in outcome.ran},
        "features_changed": _features(outcome, place),
        "measurements": [m.model_dump(mode="json") for m in measurements],
        **described(EVASION, budget=budget, strength=_strength(outcome, params), verdict=verdict),
    }


def _one(one: AttackOutcome) -> dict[str, Any]:
    return {
        "attack": one.name,
        "found": int(np.isfinite(one.distances).sum()),
        "queries": int(one.queries.sum()),
        "rows_with_spent_budget": int(one.spent.sum()),
        "out_of_time": one.late,
        "not_confirmed_by_the_whole_model": one.unconfirmed,
    }


def _by_distance(nearest: Array) -> list[dict[str, float]]:
    """Share of rows turned around within each distance, at most ``_POINTS`` points."""
    found = np.sort(nearest[np.isfinite(nearest)])
    return [{"distance": float(found[i]), "share": (i + 1) / len(nearest)} for i in _spread(len(found))]


def _spread(n: int) -> list[int]:
    """At most ``_POINTS`` positions from 0 to n − 1, both ends among them."""
    return sorted({round(i * (n - 1) / max(_POINTS - 1, 1)) for i in range(_POINTS)}) if n else []


def _by_queries(one: AttackOutcome, radius: float) -> list[dict[str, float]]:
    """Share of rows turned around within ``radius`` after so many queries for each of them."""
    first: dict[int, int] = {}
    for row, queries, away in one.trace:
        if away <= radius and np.isfinite(one.distances[row]):
            first.setdefault(row, queries)
    needed = np.sort(np.fromiter(first.values(), dtype=np.int64, count=len(first)))
    return [{"queries": int(needed[i]), "share": (i + 1) / len(one.distances)} for i in _spread(len(needed))]


def _features(outcome: Outcome, place: Ground) -> dict[str, int]:
    """In how many rows the nearest change of any attack used each feature, most used first."""
    if not outcome.ran:
        return {}
    best = np.argmin([one.distances for one in outcome.ran], axis=0)
    used = np.stack([one.changed for one in outcome.ran])[best, np.arange(len(best))].sum(axis=0)
    order: Sequence[int] = np.argsort(-used, kind="stable").tolist()
    return {place.space.features[i]: int(used[i]) for i in order if used[i]}


def _strength(outcome: Outcome, params: Any) -> list[str]:
    said = [f"{len(outcome.rows)} rows attacked: success is a lower bound of what an attacker reaches"]
    names = {one.name for one in outcome.ran}
    if names & {"fast_gradient", "projected_gradient", "deep_fool", "decision_tree"}:
        said.append("the attacker was given the model itself")
    elif names:
        said.append("label-only attack: someone who knows the model may need smaller changes")
    if any(one.late or bool(one.spent.any()) for one in outcome.ran):
        said.append("a budget ran out before an attack was through: inconclusive unless it failed already")
    if not names:
        said.append("no attack could run: nothing is known")
    return said


def statement(outcome: Outcome, params: Any) -> str:
    """What was tried and what came of it: never more than that."""
    if not outcome.ran:
        return "no attack could run: " + "; ".join(f"{one.name}: {one.not_run}" for one in outcome.attacks)
    widest, names = max(params.radii), ", ".join(one.name for one in outcome.ran)
    hits = int((outcome.nearest <= widest).sum())
    text = (
        f"{names} at budget {params.max_iter} iterations and at most {params.max_queries:,} queries a row "
        f"succeeded for {hits} of {len(outcome.rows)} rows within {widest:g} standard deviations"
    )
    return f"{text}; a budget ran out before they were through" if outcome.unfinished else text
