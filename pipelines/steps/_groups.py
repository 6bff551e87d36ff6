"""The groups of a table: one text per row and column, refused where it would show a person or be no group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.steps._frames import (
    Label,
    class_names,
    is_number,
    is_text,
    known_labels,
    label_text,
    labels,
    model_frame,
    need_column,
    positive_class,
)
from pipelines.steps._tables import personal_columns
from pipelines.steps.contract import StepError

Array = np.ndarray[Any, Any]
MAX_VALUES = 30
MISSING = "(missing)"


def group_values(table: pa.Table, name: str) -> Array:
    """The group of each row by column ``name``: text, shape (rows,), nulls as ``(missing)``.

    Raises StepError for an unknown column, one flagged as personal, dates and the like, or more than ``MAX_VALUES``
    different values.
    """
    need_column(table, name, "groups")
    if name in personal_columns(table):
        raise StepError(
            f"{name!r} is flagged as personal data: its values would be shown in the report. "
            "Derive a coarser column with transform.sql",
            param="groups",
        )
    column = table.column(name)
    if not (is_number(column.type) or is_text(column.type)):
        raise StepError(f"{name!r} is {column.type}; a group is text, a number or a boolean", param="groups")
    values = np.array([MISSING if v is None else label_text(v) for v in column.to_pylist()], dtype=object)
    different = len(set(values.tolist()))
    if different > MAX_VALUES:
        raise StepError(
            f"{name!r} has {different} different values; up to {MAX_VALUES} make groups. Cut it with transform.sql",
            param="groups",
        )
    return values


def columns_of(table: pa.Table, names: Sequence[str]) -> Mapping[str, Array]:
    """``group_values`` of each of ``names`` once, in order."""
    return {name: group_values(table, name) for name in dict.fromkeys(names)}


def positive_scores(model: Any, table: pa.Table, target: str, positive: Label | None) -> tuple[str, Array, Array]:
    """The positive label, which rows have it (boolean, (rows,)), and the model's probability for it (rows,).

    Raises StepError where the positive label must be named, the table does not fit the model, or the model answers
    with what is no probability.
    """
    classes = class_names(model)
    named = positive_class(classes, positive)
    if named is None:
        raise StepError(f"name the positive label: one of {', '.join(classes)}", param="positive")
    truth = known_labels(classes, labels(table, target)) == classes.index(named)
    score = probabilities(model, table)[:, classes.index(named)]
    return named, truth, score


def probabilities(model: Any, table: pa.Table) -> Array:
    """What the model answers for each row and class, (rows, classes). Raises StepError for what is no probability."""
    scores = np.asarray(model.predict_proba(model_frame(model, table)), dtype=np.float64)
    if not (np.isfinite(scores).all() and (scores >= 0).all() and (scores <= 1).all()):
        raise StepError("the model answers with numbers that are no probabilities (missing, or outside of 0 and 1)")
    return scores
