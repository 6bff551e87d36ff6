"""Tables, contexts and trained models that the tests of the machine-learning steps share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from pipelines.steps import train_regression, train_sklearn
from pipelines.steps.contract import StepContext, StepResult

INCOME = "income-per-year"


def context(seed: int = 1, **changes: Any) -> StepContext:
    """A context with nothing but a seed."""
    return StepContext(seed=seed, scratch=Path("/nonexistent"), **changes)


def breast_cancer() -> pa.Table:
    """569 rows, 30 numbers, label ``diagnosis`` (the Wisconsin data inside scikit-learn), in a seeded order."""
    data = load_breast_cancer()
    columns = {name.replace(" ", "_"): data.data[:, i] for i, name in enumerate(data.feature_names)}
    columns["diagnosis"] = [str(data.target_names[t]) for t in data.target]
    return pa.table(columns).take(pa.array(np.random.default_rng(0).permutation(len(data.target))))


def wine() -> pa.Table:
    """178 rows, 13 numbers, label ``cultivar`` with three classes."""
    data = load_wine()
    columns = {name: data.data[:, i] for i, name in enumerate(data.feature_names)}
    columns["cultivar"] = [str(data.target_names[t]) for t in data.target]
    return pa.table(columns).take(pa.array(np.random.default_rng(0).permutation(len(data.target))))


def diabetes() -> pa.Table:
    """442 rows, 10 numbers, the number ``progression`` to predict, in a seeded order."""
    data = load_diabetes(scaled=False)
    columns = {name: data.data[:, i] for i, name in enumerate(data.feature_names)}
    table = pa.table({**columns, "progression": data.target})
    return table.take(pa.array(np.random.default_rng(0).permutation(len(data.target))))


def adult(folder: Path, start: int = 0, rows: int | None = None) -> pa.Table:
    """Rows of the census data."""
    return pc.read_csv(folder / "adult.csv").slice(start, rows)


def train(table: pa.Table, target: str, estimator: str = "logistic_regression", **more: Any) -> StepResult:
    """A training step's result."""
    params = train_sklearn.Params(target=target, estimator=estimator, **more)
    return train_sklearn.run({"table": table}, params, context())


def regress(table: pa.Table, target: str, estimator: str = "ridge", **more: Any) -> StepResult:
    """A regression training step's result."""
    params = train_regression.Params(target=target, estimator=estimator, **more)
    return train_regression.run({"table": table}, params, context())


def flip_labels(table: pa.Table, target: str, rate: float, seed: int = 0) -> tuple[pa.Table, np.ndarray[Any, Any]]:
    """The table with a share of its two labels exchanged, and which rows those are (boolean, (rows,))."""
    values = np.array(table.column(target).to_pylist(), dtype=object)
    first, second = sorted(set(values.tolist()))
    chosen = np.random.default_rng(seed).choice(len(values), size=round(rate * len(values)), replace=False)
    flipped = np.zeros(len(values), dtype=bool)
    flipped[chosen] = True
    values[flipped] = np.where(values[flipped] == first, second, first)
    return table.set_column(table.column_names.index(target), target, pa.array(values.tolist())), flipped


def value(result: StepResult, name: str, **where: str) -> float:
    """The value of the one measurement of that name and slice."""
    (found,) = [m.value for m in result.measurements if m.name == name and m.slice == where]
    assert found is not None
    return found
