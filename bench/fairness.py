"""Group metrics with bootstrap intervals on adult.csv, beside fairlearn's MetricFrame with the same number of draws."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from fairlearn import metrics
from sklearn.metrics import precision_score

from bench.adult import POSITIVE, TARGET, Adult, adult
from pipelines.steps._fairness import RATES, count
from pipelines.steps._groups import columns_of, positive_scores
from pipelines.steps._modelfile import load_model

DRAWS = 50
SETS = (("sex",), ("race",), ("sex", "race"))
THEIRS = {
    "selection_rate": metrics.selection_rate,
    "tpr": metrics.true_positive_rate,
    "fpr": metrics.false_positive_rate,
    "ppv": lambda truth, called: precision_score(truth, called, zero_division=0),
}


def measure() -> list[dict[str, Any]]:
    """One row per set of group columns: seconds of both, the ratio, and how far their figures are apart."""
    data = adult()
    if data is None:
        return [{"case": "adult.csv", "error": "not here; set COUNTERSIGN_DATA to the folder that holds it"}]
    table = data.halves[1]
    _, truth, score = positive_scores(load_model(data.model), table, TARGET, POSITIVE)
    return [_row(data, names, truth, score) for names in SETS]


def _row(data: Adult, names: tuple[str, ...], truth: Any, score: Any) -> dict[str, Any]:
    table = data.halves[1]
    ours, (rates, intervals, groups) = _timed(lambda: _ours(table, names, truth, score))
    theirs, frame = _timed(lambda: _frame(table, names, truth, score))
    low, high = frame.by_group_ci
    apart, ends = 0.0, []
    for place, label in enumerate(groups):
        key = label if len(names) > 1 else label[0]
        for name in RATES:
            apart = max(apart, abs(rates[name][place] - frame.by_group.loc[key, name]))
            width = high.loc[key, name] - low.loc[key, name]
            if width > 0:
                mine = intervals[name][:, place]
                ends += [abs(mine[0] - low.loc[key, name]) / width, abs(mine[1] - high.loc[key, name]) / width]
    return {
        "groups by": " × ".join(names),
        "groups": len(groups),
        "rows": len(truth),
        "draws": DRAWS,
        "seconds": round(ours, 4),
        "MetricFrame_seconds": round(theirs, 2),
        "ratio": round(theirs / ours, 1),
        "largest_difference_of_a_rate": float(f"{apart:.1e}"),
        "ends_of_intervals_apart": f"{np.median(ends):.1%} of their width (median)",
    }


def _ours(table: Any, names: tuple[str, ...], truth: Any, score: Any) -> Any:
    cells = count(columns_of(table, names), truth, score >= 0.5, score)
    groups = cells.grouped(names)
    draws = [groups.rates(block) for block in cells.resamples(DRAWS, 1)]
    intervals = {
        name: np.nanquantile(np.concatenate([d[name] for d in draws]), [0.025, 0.975], axis=0) for name in RATES
    }
    rates = groups.rates(cells.counts[None].astype(float))
    return {name: value[0] for name, value in rates.items()}, intervals, groups.labels


def _frame(table: Any, names: tuple[str, ...], truth: Any, score: Any) -> metrics.MetricFrame:
    groups = pd.DataFrame({name: table[name].to_pylist() for name in names})
    return metrics.MetricFrame(
        metrics=THEIRS,
        y_true=truth,
        y_pred=score >= 0.5,
        sensitive_features=groups,
        n_boot=DRAWS,
        ci_quantiles=[0.025, 0.975],
        random_state=1,
    )


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    made = call()
    return time.perf_counter() - started, made
