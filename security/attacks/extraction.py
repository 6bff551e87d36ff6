"""Model extraction: rows to ask for, and what agreement means for a limit on queries. Pure functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

Array = np.ndarray[Any, Any]


def made_up_rows(seen: pd.DataFrame, rows: int, generator: np.random.Generator) -> pd.DataFrame:
    """Rows nobody is: every column drawn on its own from the values seen, the oldest blind strategy (Tramèr 2016).

    Columns are independent, so a row needs no knowledge of how they hang together; missing values are drawn too.
    """
    columns = {name: seen[name].to_numpy()[generator.integers(0, len(seen), rows)] for name in seen.columns}
    return pd.DataFrame(
        {name: pd.Series(cells, dtype=seen[name].dtype) for name, cells in columns.items()}, columns=list(seen.columns)
    )


def first_reached(budgets: list[int], low: list[float | None], wanted: float) -> int | None:
    """The smallest budget from which on the lower bound of the agreement stays at ``wanted`` or above; None: never."""
    reached = None
    for budget, bound in sorted(zip(budgets, low, strict=True), reverse=True):
        if bound is None or bound < wanted:
            break
        reached = budget
    return reached


def daily_limit(queries: int, days: int) -> int:
    """Queries a day that keep one client below ``queries`` for ``days`` days; 0: not even one a day is few enough."""
    return max(queries - 1, 0) // days
