"""Columns as few values that can be named: numbers in bins of equal rows, text as it is, missing as a value."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.steps._frames import is_number, is_text, need_column, numbers, texts
from pipelines.steps._groups import MISSING
from pipelines.steps._tables import personal_columns
from pipelines.steps.contract import StepError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Discrete:
    """``codes`` (rows,) are positions in ``names``."""

    column: str
    codes: Array
    names: list[str]


def discrete(table: pa.Table, names: Sequence[str], bins: int, *, param: str = "columns") -> list[Discrete]:
    """Each of ``names``. Raises StepError for an unknown column, one flagged as personal, or dates and the like."""
    made = []
    for name in dict.fromkeys(names):
        need_column(table, name, param)
        if name in personal_columns(table):
            raise StepError(
                f"{name!r} is flagged as personal data: its values would be shown in the report. "
                "Derive a coarser column with transform.sql",
                param=param,
            )
        column = table.column(name)
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.string())
        if is_number(column.type):
            made.append(Discrete(name, *_binned(numbers(column), bins)))
        elif is_text(column.type):
            made.append(Discrete(name, *_named(texts(column))))
        else:
            raise StepError(f"{name!r} is {column.type}; numbers, booleans and text can be looked through", param=param)
    return made


def _named(values: Array) -> tuple[Array, list[str]]:
    found, codes = np.unique([MISSING if v is None else str(v) for v in values], return_inverse=True)
    return codes, found.tolist()


def _binned(values: Array, bins: int) -> tuple[Array, list[str]]:
    """Few different numbers are named one by one; of many, each bin holds about as many rows as the next."""
    missing = np.isnan(values)
    known = values[~missing]
    different = np.unique(known)
    if len(different) <= bins:
        names = [f"{v:.6g}" for v in different]
        codes = np.searchsorted(different, values)
    else:
        edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1]))
        edges = edges[edges < different[-1]]
        codes = np.searchsorted(edges, values, side="left")
        ends = [f"{edge:.6g}" for edge in edges]
        between = [f"above {low} to {high}" for low, high in itertools.pairwise(ends)]
        names = [f"up to {ends[0]}", *between, f"above {ends[-1]}"] if ends else [f"up to {different[-1]:.6g}"]
    if missing.any():
        names = [*names, MISSING]
        codes = np.where(missing, len(names) - 1, codes)
    return codes, names
