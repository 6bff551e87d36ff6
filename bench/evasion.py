"""HopSkipJump on all rows at once against the Adversarial Robustness Toolbox row by row, forest of 100 trees."""

from __future__ import annotations

import logging
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
from threadpoolctl import threadpool_limits

from pipelines.steps import train_sklearn
from pipelines.steps._victim import Victim
from pipelines.steps.contract import StepContext
from security.attacks.asking import Asked
from security.attacks.boundary import hop_skip_jump
from security.attacks.evasion import Norm, seeded_globally
from security.attacks.searching import nearest_starts

Array = np.ndarray[Any, Any]
ADULT = (
    Path(os.environ.get("COUNTERSIGN_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data") / "adult.csv"
)
TARGET, NUMBERS, ROWS = "income-per-year", 5, 20
LOOP = {"max_iter": 8, "max_eval": 200, "init_eval": 30}


class Field:
    """Prepared rows of adult.csv, of which the five numbers move, and a forest that was trained on others."""

    def __init__(self) -> None:
        table = pyarrow.csv.read_csv(ADULT)
        params = train_sklearn.Params(target=TARGET, exclude=("fnlwgt",), estimator="random_forest")
        context = StepContext(seed=1, scratch=Path("/nonexistent"))
        self.victim = Victim.of(train_sklearn.run({"table": table.slice(0, 8000)}, params, context).outputs["model"])
        prepared = self.victim.prepare(self.victim.frame(table.slice(8000, 2000)))
        generator = np.random.default_rng(0)
        self.base = prepared[generator.choice(len(prepared), ROWS, replace=False)]
        self.others = prepared[generator.choice(len(prepared), 500, replace=False), :NUMBERS]
        self.bounds = (prepared[:, :NUMBERS].min(axis=0), prepared[:, :NUMBERS].max(axis=0))

    def classes(self, points: Array, owner: Array) -> Array:
        rows = self.base[owner].copy()
        rows[:, :NUMBERS] = points
        return np.asarray(self.victim.estimator.predict_proba(rows).argmax(axis=1))

    def asked(self, norm: Norm) -> Asked:
        x = self.base[:, :NUMBERS].copy()
        label = self.classes(x, np.arange(ROWS))
        return Asked(x, label, np.ones(x.shape, dtype=bool), self.classes, norm, 10**9, time.monotonic() + 3600)


def measure() -> list[dict[str, Any]]:
    """Seconds, queries, success and distance of both from the same starts, in both norms."""
    field = Field()
    with threadpool_limits(1):
        return [row for norm in ("l2", "linf") for row in _both(field, norm)]


def _both(field: Field, norm: Norm) -> list[dict[str, Any]]:
    starts = nearest_starts(field.asked(norm), field.others)
    ours = field.asked(norm)
    begun = time.perf_counter()
    hop_skip_jump(ours, starts, field.bounds, seed=0, **LOOP)
    seconds = time.perf_counter() - begun
    theirs = field.asked(norm)
    began = time.perf_counter()
    _toolbox(theirs, starts, field.bounds)
    peer = time.perf_counter() - began
    return [
        {**_row(ours, norm, "Countersign, all rows at once", seconds), "ratio": round(peer / seconds, 1)},
        _row(theirs, norm, "ART, row by row", peer),
    ]


def _row(asked: Asked, norm: Norm, name: str, seconds: float) -> dict[str, Any]:
    found = asked.best_distance[np.isfinite(asked.best_distance)]
    return {
        "norm": norm,
        "attack": name,
        "rows": len(asked.x),
        "seconds": round(seconds, 2),
        "queries_per_row": round(float(asked.queries.mean())),
        "microseconds_per_query": round(1e6 * seconds / int(asked.queries.sum()), 1),
        "found": len(found),
        "median_distance": round(float(np.median(found)), 3),
        "mean_distance": round(float(found.mean()), 3),
    }


def _toolbox(asked: Asked, starts: Array, bounds: tuple[Array, Array]) -> None:
    """ART's own loop with the same settings; ``asked`` counts and keeps its nearest points."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    from art.attacks.evasion import HopSkipJump  # noqa: PLC0415 - warns when it is imported
    from art.estimators.classification import BlackBoxClassifier  # noqa: PLC0415

    for row in np.flatnonzero(np.isfinite(starts).all(axis=1)):

        def predict(points: Array, row: int = int(row)) -> Array:
            owner = np.full(len(points), row)
            flipped = asked(np.asarray(points, dtype=np.float64), owner)
            return np.eye(2, dtype=np.float32)[np.where(flipped, 1 - asked.label[row], asked.label[row])]

        low, high = (side.astype(np.float32) for side in bounds)
        box = BlackBoxClassifier(predict, (NUMBERS,), 2, clip_values=(low, high))
        attack = HopSkipJump(box, norm=2 if asked.norm == "l2" else np.inf, verbose=False, **LOOP)
        with seeded_globally(int(row)):
            attack.generate(x=asked.x[row : row + 1].astype(np.float32), x_adv_init=starts[[row]].astype(np.float32))
    logging.disable(logging.NOTSET)
