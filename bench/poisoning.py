"""How well planted poison is found in adult.csv and german.csv, and how often clean data raises an alarm."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from pipelines.steps import check_backdoor
from pipelines.steps._estimators import build
from pipelines.steps._frames import frame, split_kinds
from pipelines.steps.contract import StepContext
from security.attacks.poisoning import neighbour_disagreement, self_doubt, suspicion

Array = np.ndarray[Any, Any]
DATA = Path(os.environ.get("COUNTERSIGN_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
SETS = {"adult.csv": ("income-per-year", ["fnlwgt"], 4000), "german.csv": ("credit", [], 1000)}
TRIGGER = {"capital-loss": 1111, "hours-per-week": 77}


def measure() -> list[dict[str, Any]]:
    """One row per planted fault and data set."""
    with threadpool_limits(1):
        flips = [_flips(name, rate) for name in SETS for rate in (0.05, 0.1, 0.2)]
        clean = [_scanned("clean", _read("adult.csv", part)) for part in range(4, 8)]
        clean.append(_scanned("clean", _read("german.csv", 0), *SETS["german.csv"][:2]))
        return [*flips, _planted(), *clean]


def _read(name: str, part: int) -> pa.Table:
    size = SETS[name][2]
    return pyarrow.csv.read_csv(DATA / name).slice(part * size, size)


def _flips(name: str, rate: float) -> dict[str, Any]:
    """Scores of rows whose two labels were exchanged at random, against which rows those are."""
    target, exclude, _ = SETS[name]
    table = _read(name, 0)
    names = [column for column in table.column_names if column not in (target, *exclude)]
    numeric, categorical = split_kinds(table, names)
    rows = frame(table, names)
    y = np.unique(np.array(table[target].to_pylist(), dtype=object).astype(str), return_inverse=True)[1]
    flipped = np.zeros(len(y), dtype=bool)
    flipped[np.random.default_rng(0).choice(len(y), round(rate * len(y)), replace=False)] = True
    y = np.where(flipped, 1 - y, y)
    options = {"n_estimators": 100, "min_samples_leaf": 5}
    model = build("random_forest", options, numeric=numeric, categorical=categorical, seed=0)
    begun = time.perf_counter()
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    proba = np.asarray(cross_val_predict(model, rows, y, cv=folds, method="predict_proba"))
    disagreement = neighbour_disagreement(np.asarray(model.named_steps["prepare"].fit_transform(rows)), y)
    seconds = time.perf_counter() - begun
    scores = {"both": suspicion(y, proba, disagreement), "neighbours": disagreement, "doubt": self_doubt(y, proba)}
    found: dict[str, Any] = {"planted": f"{rate:.0%} flips", "data": name, "rows": len(y)}
    for kind, score in scores.items():
        found[f"auroc_{kind}"] = round(float(roc_auc_score(flipped, score)), 3)
        first = np.argsort(-score, kind="stable")[: int(flipped.sum())]
        found[f"precision_{kind}"] = round(float(flipped[first].mean()), 3)
    return {**found, "seconds": round(seconds, 1)}


def _planted() -> dict[str, Any]:
    """A trigger in 3 % of the rows, planted with ART's backdoor attack."""
    from art.attacks.poisoning import PoisoningAttackBackdoor  # noqa: PLC0415 - slow to import

    table = _read("adult.csv", 0).to_pandas()
    rows = np.random.default_rng(0).choice(len(table), round(0.03 * len(table)), replace=False)

    def perturb(cells: Array) -> Array:
        cells[:] = list(TRIGGER.values())
        return cells

    cells = table.loc[rows, list(TRIGGER)].to_numpy(dtype=np.float64)
    poisoned, _ = PoisoningAttackBackdoor(perturb).poison(cells, np.tile([0, 1], (len(rows), 1)))
    table.loc[rows, list(TRIGGER)] = poisoned.astype(int)
    table.loc[rows, "income-per-year"] = ">50K"
    return _scanned("3% trigger", pa.Table.from_pandas(table, preserve_index=False), rows=rows)


def _scanned(
    planted: str,
    table: pa.Table,
    target: str = "income-per-year",
    exclude: Any = ("fnlwgt",),
    rows: Array | None = None,
) -> dict[str, Any]:
    params = check_backdoor.Params(target=target, exclude=tuple(exclude), show=1000)
    begun = time.perf_counter()
    context = StepContext(seed=1, scratch=Path("/nonexistent"))
    report = check_backdoor.run({"table": table}, params, context).outputs["report"]
    name = "adult.csv" if target == "income-per-year" else "german.csv"
    found = report["triggers"]
    row = {"planted": planted, "data": name, "rows": table.num_rows, "triggers": len(found)}
    if found and rows is not None:
        first = found[0]
        row["named"] = " and ".join(f"{one['column']} = {one['value']:g}" for one in first["values"])
        row["turned_around"] = f"{first['turned_around']['rows']} of {first['turned_around']['of']}"
        row["rows_listed"] = f"{len(set(first['rows']) & set(rows.tolist()))} of {len(rows)}"
    return {**row, "seconds": round(time.perf_counter() - begun, 1)}
