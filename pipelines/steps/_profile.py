"""A short profile of each column: how much is missing, how many values, and for numbers where they lie."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.steps._tables import type_name

_BINS = 20


def profile(table: pa.Table, *, personal: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """Column → ``{type, nulls, distinct, min, max, mean, histogram}``; numbers only have the last four.

    ``histogram`` is ``{edges, counts}`` with 20 bins of equal width. Columns in ``personal`` say type and nulls only,
    since the largest value of a column of card numbers is a card number.
    """
    return {name: _column(table.column(name), name in personal) for name in table.column_names}


def _column(values: pa.ChunkedArray, personal: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "type": type_name(values.type),
        "nulls": int(pc.sum(pc.is_null(values, nan_is_null=True)).as_py() or 0),
        "personal": personal,
    }
    if personal:
        return facts
    facts["distinct"] = int(pc.count_distinct(values).as_py())
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        facts.update(_numbers(values))
    return facts


def _numbers(values: pa.ChunkedArray) -> dict[str, Any]:
    numbers = values.drop_null().to_numpy().astype(np.float64)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return {}
    low, high = float(numbers.min()), float(numbers.max())
    facts: dict[str, Any] = {"min": low, "max": high, "mean": float(numbers.mean())}
    if np.isfinite(high - low) and np.all(np.diff(edges := np.linspace(low, high, _BINS + 1)) > 0):
        facts["histogram"] = {"edges": edges.tolist(), "counts": np.histogram(numbers, bins=edges)[0].tolist()}
    return facts
