"""What the training steps share: features that can be learned from, and a fit that gives the same bits each time."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from pipelines.steps.contract import StepError


def check_columns(table: pa.Table, names: list[str], categorical: list[str], most: int) -> None:
    """Raises StepError for features without any value and text features of more than ``most`` different values."""
    empty = [n for n in names if table.column(n).null_count == table.num_rows]
    if empty:
        raise StepError(f"no value at all in {', '.join(empty)}; exclude them", param="exclude")
    counts = {n: pc.count_distinct(table.column(n)).as_py() for n in categorical}
    wide = [f"{n} ({count:,})" for n, count in counts.items() if count > most]
    if wide:
        raise StepError(
            f"text columns with more than {most} different values: {', '.join(wide)}. They may be names or free text: "
            "exclude them, group them with transform.sql, or raise max_categories",
            param="max_categories",
            details={"columns": wide},
        )


def fit(model: Any, rows: Any, truth: np.ndarray[Any, Any]) -> list[str]:
    """Fit on one thread (sums in one order, so the same bits); what the solver complained of is a note."""
    with warnings.catch_warnings(record=True) as caught, threadpool_limits(1):
        warnings.simplefilter("always", ConvergenceWarning)
        try:
            model.fit(rows, truth)
        except ValueError as error:
            raise StepError(f"the estimator refused the data: {str(error).splitlines()[0]}") from error
    return sorted({str(w.message).splitlines()[0] for w in caught if issubclass(w.category, ConvergenceWarning)})
