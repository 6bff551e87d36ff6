"""Targets that are quantities, and what a regressor answers: finite numbers, or an error that says why not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.steps._frames import is_number, model_frame, need_column, numbers
from pipelines.steps.contract import StepError

Array = np.ndarray[Any, Any]


def quantities(table: pa.Table, target: str) -> Array:
    """The target column as float64, (rows,). Raises StepError for text, missing and infinite values."""
    need_column(table, target, "target")
    column = table.column(target)
    if not is_number(column.type) or pa.types.is_boolean(column.type):
        raise StepError(f"{target!r} is {column.type}; a quantity is a number", param="target")
    values = numbers(column)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise StepError(
            f"{len(bad)} rows have no finite number in {target!r}; drop them first",
            param="target",
            details={"rows": bad[:20].tolist()},
        )
    return values


def is_classifier(model: Any) -> bool:
    """Whether the model has classes."""
    return hasattr(model, "classes_")


def predictions(model: Any, table: pa.Table) -> Array:
    """What a regressor answers, (rows,). Raises StepError for a classifier and for answers that are not finite."""
    if is_classifier(model):
        raise StepError("the model is a classifier; evaluate it with evaluate.classification")
    values = np.asarray(model.predict(model_frame(model, table)), dtype=np.float64)
    if values.shape != (table.num_rows,) or not np.isfinite(values).all():
        raise StepError("the model answers with what is no finite number for each row")
    return values
