"""Copy the model: how well a surrogate that learned from its answers agrees with it, by the number of queries."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field
from threadpoolctl import threadpool_limits

from pipelines.steps._bootstrap import wilson
from pipelines.steps._estimators import build
from pipelines.steps._frames import need_rows
from pipelines.steps._victim import Victim
from pipelines.steps.contract import Port, Step, StepContext, StepParams, StepResult
from security.attacks.extraction import daily_limit, first_reached, made_up_rows
from security.attacks.threats import EXTRACTION, described
from security.measurement import Measurement, Threshold, Verdict, combine, judge

Array = np.ndarray[Any, Any]
Strategy = Literal["same_population", "made_up"]
Surrogate = Literal["logistic_regression", "decision_tree", "random_forest", "gradient_boosting"]
_LEAST = 20
_NEEDED = "queries_to_agreement"


class Params(StepParams):
    """How often the model may be asked, what is trained on its answers, and what is acceptable."""

    budgets: tuple[int, ...] = Field(
        default=(50, 100, 250, 500, 1000, 2000), min_length=1, description="numbers of queries tried, at least 20 each"
    )
    strategies: tuple[Strategy, ...] = Field(
        default=("same_population", "made_up"),
        min_length=1,
        description="rows of the table, or rows made up column by column",
    )
    surrogates: tuple[Surrogate, ...] = Field(
        default=("random_forest", "logistic_regression"), min_length=1, description="estimators tried; the best counts"
    )
    wanted: float = Field(default=0.95, gt=0, lt=1, description="agreement at which a surrogate counts as a copy")
    days: int = Field(default=90, ge=1, le=3650, description="for so many days no single client should get a copy")
    max_test_rows: int = Field(default=2000, ge=50, description="rows on which agreement is measured (seeded)")
    seconds: float = Field(default=300.0, gt=0, description="time for all surrogates; beyond it: inconclusive")
    level: float = Field(default=0.95, gt=0.5, lt=1, description="confidence level of the intervals")
    thresholds: tuple[Threshold, ...] = Field(
        default=(), description="rules, such as {metric: queries_to_agreement, min: 1000}"
    )


@dataclass(frozen=True)
class Curve:
    """One strategy: per budget the rows on which the best surrogate agrees, and which one it was."""

    strategy: str
    budgets: list[int]
    hits: list[int]
    names: list[str]
    cut: bool


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Attack. Raises StepError when the table does not fit the model or has too few rows."""
    deadline = time.monotonic() + min(params.seconds, 0.8 * context.seconds)
    table: pa.Table = inputs["table"]
    need_rows(table, 100)
    victim = Victim.of(inputs["model"])
    frame = victim.frame(table)
    order = np.random.default_rng(context.subseed("rows")).permutation(len(frame))
    half = min(len(frame) // 2, params.max_test_rows)
    test, seen = frame.iloc[order[:half]], frame.iloc[order[half:]].reset_index(drop=True)
    with threadpool_limits(1):
        truth = victim.proba(test).argmax(axis=1)
        curves = [_curve(victim, seen, test, truth, name, params, context, deadline) for name in params.strategies]
    majority = int(np.bincount(truth).max())
    measurements = _measured(curves, majority, len(test), params)
    verdict = _judged(measurements, curves, params)
    summary = _summary(measurements, curves, params)
    report = {
        "statement": summary,
        "test_rows": len(test),
        "curves": [_reported(curve, len(test), params) for curve in curves],
        "rate_limit": _rate_limit(measurements, params),
        "measurements": [m.model_dump(mode="json") for m in measurements],
        **described(
            EXTRACTION,
            budget={"queries": max(params.budgets), "seconds": params.seconds},
            strength=[
                "classes only, no probabilities, and no choice of the next row by the last answers: an attacker who "
                "uses either needs fewer queries",
                "agreement is measured on rows of the population, not on the made-up ones",
            ],
            verdict=verdict,
        ),
    }
    return StepResult({"report": report}, tuple(measurements), verdict, summary)


def _curve(
    victim: Victim,
    seen: pd.DataFrame,
    test: pd.DataFrame,
    truth: Array,
    strategy: Strategy,
    params: Params,
    context: StepContext,
    deadline: float,
) -> Curve:
    """Agreement by budget; smaller budgets are the first rows of larger ones, as an attacker would go on asking."""
    budgets = sorted({budget for budget in params.budgets if budget >= _LEAST})
    if strategy == "same_population":
        rows, budgets = seen, [budget for budget in budgets if budget <= len(seen)]
    else:
        rows = made_up_rows(seen, max(budgets, default=0), np.random.default_rng(context.subseed("made up")))
    answers = victim.proba(rows).argmax(axis=1) if len(rows) else np.empty(0, dtype=np.intp)
    done: list[int] = []
    hits: list[int] = []
    names: list[str] = []
    for number, budget in enumerate(budgets):
        if time.monotonic() > deadline:
            break
        context.progress(number, len(budgets), f"{strategy}: {budget:,} queries")
        found = {
            name: int((_surrogate(victim, rows[:budget], answers[:budget], test, name, context) == truth).sum())
            for name in params.surrogates
        }
        best = max(found, key=lambda name: found[name])
        done.append(budget)
        hits.append(found[best])
        names.append(best)
    return Curve(strategy, done, hits, names, cut=len(done) < len(budgets))


def _surrogate(
    victim: Victim, rows: pd.DataFrame, answers: Array, test: pd.DataFrame, name: str, context: StepContext
) -> Array:
    """Classes (test rows,) by an estimator that learned from the answers, or the only answer there was."""
    if len(np.unique(answers)) < 2:
        return np.full(len(test), answers[0])
    numeric, categorical = victim.columns
    # a column in which nothing was seen has no median
    numeric = [n for n in numeric if rows[n].notna().any()]
    categorical = [n for n in categorical if rows[n].notna().any()]
    model = build(name, {}, numeric=numeric, categorical=categorical, seed=context.subseed("surrogate"))
    return np.asarray(model.fit(rows, answers).predict(test))


def _measured(curves: list[Curve], majority: int, n: int, params: Params) -> list[Measurement]:
    found = [
        Measurement(
            name="agreement_baseline",
            value=majority / n,
            n=n,
            interval=wilson(majority, n, params.level),
            note="always the most frequent class",
        )
    ]
    for curve in curves:
        for budget, hits in zip(curve.budgets, curve.hits, strict=True):
            found.append(
                Measurement(
                    name="surrogate_agreement",
                    value=hits / n,
                    direction="lower_is_better",
                    n=n,
                    interval=wilson(hits, n, params.level),
                    slice={"queries": f"{budget}", "strategy": curve.strategy},
                )
            )
        found.append(_needed(curve, n, params))
    return found


def _needed(curve: Curve, n: int, params: Params) -> Measurement:
    """Queries until the agreement's lower bound is what is wanted; if it never was, the most that were tried."""
    reached = _reached(curve, n, params)
    most = float(curve.budgets[-1]) if curve.budgets else None
    note = f"agreement of {params.wanted:g} reached" if reached else "not reached: at least this many are needed"
    return Measurement(
        name=_NEEDED,
        value=float(reached) if reached else most,
        unit="queries",
        direction="higher_is_better",
        n=n,
        slice={"strategy": curve.strategy},
        note=note if curve.budgets else "no budget could be tried",
    )


def _reached(curve: Curve, n: int, params: Params) -> int | None:
    low = [interval.low if (interval := wilson(hits, n, params.level)) else None for hits in curve.hits]
    return first_reached(curve.budgets, low, params.wanted)


def _judged(measurements: list[Measurement], curves: list[Curve], params: Params) -> Verdict:
    """A rule that asks for more queries than were tried is not failed by a copy that was never made, but not passed."""
    most = {m.slice["strategy"]: m.value or 0.0 for m in measurements if m.name == _NEEDED and m.note.startswith("not")}
    open_rules = [
        rule
        for rule in params.thresholds
        if rule.metric == _NEEDED and rule.min is not None and any(rule.min > tried for tried in most.values())
    ]
    verdicts = []
    for rule in params.thresholds:
        known = [
            m for m in measurements if rule not in open_rules or m.name != _NEEDED or m.slice["strategy"] not in most
        ]
        verdicts.append(judge(known, [rule]))
    if open_rules or any(curve.cut for curve in curves):
        verdicts.append(Verdict.INCONCLUSIVE)
    return combine(verdicts)


def _rate_limit(measurements: list[Measurement], params: Params) -> dict[str, Any]:
    """What limit would follow: fewer queries in ``days`` days than the cheapest strategy needed for a copy."""
    needed = [m for m in measurements if m.name == _NEEDED and m.value]
    if not needed:
        return {"queries_per_day": None, "days": params.days, "reason": "no budget could be tried"}
    cheapest = min(needed, key=lambda m: m.value or 0.0)
    reached = not cheapest.note.startswith("not")
    return {
        "queries_per_day": daily_limit(int(cheapest.value or 0), params.days),
        "days": params.days,
        "reason": f"{cheapest.slice['strategy']} {'made a copy with' if reached else 'made none with'} "
        f"{int(cheapest.value or 0):,} queries",
    }


def _reported(curve: Curve, n: int, params: Params) -> dict[str, Any]:
    points = [
        {"queries": budget, "agreement": hits / n, "surrogate": name}
        for budget, hits, name in zip(curve.budgets, curve.hits, curve.names, strict=True)
    ]
    return {
        "strategy": curve.strategy,
        "points": points,
        "reached_with": _reached(curve, n, params),
        "out_of_time": curve.cut,
    }


def _summary(measurements: list[Measurement], curves: list[Curve], params: Params) -> str:
    tried = [m for m in measurements if m.name == "surrogate_agreement"]
    if not tried:
        return "no budget of queries could be tried: nothing is known"
    best = max(tried, key=lambda m: m.value or 0.0)
    text = (
        f"a surrogate agreed on {best.value or 0.0:.1%} of {best.n:,} rows after {int(best.slice['queries']):,} "
        f"queries ({best.slice['strategy']}); always the most frequent class: {measurements[0].value or 0.0:.1%}"
    )
    return f"{text}; the time was over before all budgets were tried" if any(c.cut for c in curves) else text


STEP = Step(
    id="attack.extraction@1",
    title="Copy the model by asking it",
    help="Trains surrogates on the model's answers to rows of the same population and to made-up ones, and measures "
    "how often they agree with it, by the number of queries. From the number at which a copy is made follows how many "
    "queries a day one client may have. Classes only: an attacker who sees probabilities needs fewer.",
    params=Params,
    run=run,
    inputs={
        "model": Port("model", "a model of train.sklearn"),
        "table": Port("table", "rows of its population: one part is asked for, on the other agreement is measured"),
    },
    outputs={"report": Port("report", "agreement by number of queries, and the limit that would follow")},
    evidence=("model_extraction_eval",),
    about=("model",),
)
