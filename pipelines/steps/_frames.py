"""From Arrow tables to what scikit-learn reads: labels as text, numbers as float64, categories as text or None."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.steps._tables import personal_columns
from pipelines.steps.contract import StepError

MAX_CLASSES = 50
Label = str | int | float | bool


def is_number(kind: pa.DataType) -> bool:
    """Integers, floats, decimals and booleans become numbers."""
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    return any(test(kind) for test in tests)


def is_text(kind: pa.DataType) -> bool:
    """Strings and dictionary-encoded strings become categories."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def need_column(table: pa.Table, name: str, param: str) -> None:
    """Raises StepError naming the columns there are when ``name`` is not one of them."""
    if name not in table.column_names:
        raise StepError(f"no column {name!r}; the table has {', '.join(table.column_names)}", param=param)


def need_rows(table: pa.Table, least: int = 1) -> None:
    """Raises StepError for a table with fewer than ``least`` rows."""
    if table.num_rows < least:
        raise StepError(f"the table has {table.num_rows} rows; at least {least} are needed")


def label_text(value: Label) -> str:
    """A label as it is written in a table cast to text: ``True`` → ``true``, ``1.0`` → ``1``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def labels(table: pa.Table, target: str) -> np.ndarray[Any, Any]:
    """The target column as an object array of text, shape (rows,). StepError for nulls or a continuous target."""
    need_column(table, target, "target")
    column = table.column(target)
    if column.null_count:
        rows = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))
        details = {"rows": rows[:20].tolist()}
        raise StepError(
            f"{column.null_count} rows have no label in {target!r}; drop them first", param="target", details=details
        )
    if not (is_number(column.type) or is_text(column.type)):
        raise StepError(f"{target!r} is {column.type}; a label is text, a number or a boolean", param="target")
    classes = pc.count_distinct(column).as_py()
    if classes > MAX_CLASSES:
        raise StepError(
            f"{target!r} has {classes} different values; a classifier takes up to {MAX_CLASSES}. "
            "Cut it into classes with transform.sql",
            param="target",
        )
    return np.array([label_text(value) for value in column.to_pylist()], dtype=object)


def feature_names(table: pa.Table, target: str, features: Sequence[str], exclude: Sequence[str]) -> list[str]:
    """Named features, or every column but the target and ``exclude``. Raises StepError for unknown or personal ones."""
    for name in (*features, *exclude):
        need_column(table, name, "features" if name in features else "exclude")
    if target in features:
        raise StepError(f"the target {target!r} cannot be a feature: it would leak the answer", param="features")
    names = list(features) or [n for n in table.column_names if n != target]
    names = [n for n in dict.fromkeys(names) if n not in exclude]
    if not names:
        raise StepError("no feature is left after exclude", param="features")
    personal = sorted(set(names) & set(personal_columns(table)))
    if personal:
        raise StepError(
            f"columns flagged as personal data cannot be features: {', '.join(personal)}. "
            "Exclude them, or derive a non-personal column with transform.sql",
            param="features",
            details={"columns": personal},
        )
    return names


def split_kinds(table: pa.Table, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """``names`` as (numeric, categorical). Raises StepError for types that are neither (dates, lists, bytes)."""
    kinds = {name: table.schema.field(name).type for name in names}
    odd = [f"{name} ({kind})" for name, kind in kinds.items() if not (is_number(kind) or is_text(kind))]
    if odd:
        raise StepError(
            f"features must be numbers, booleans or text: {', '.join(odd)}. "
            "Derive a number with transform.sql, or exclude them",
            param="features",
            details={"columns": odd},
        )
    return [n for n in names if is_number(kinds[n])], [n for n in names if is_text(kinds[n])]


def numbers(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """A numeric Arrow column as float64, shape (rows,), nulls as NaN."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.array(values, dtype=np.float64)


def texts(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """A text Arrow column as an object array, shape (rows,), nulls as None."""
    return np.array(column.cast(pa.string()).to_pylist(), dtype=object)


def frame(table: pa.Table, names: Sequence[str]) -> pd.DataFrame:
    """The columns ``names`` as a DataFrame of float64 and object columns. Raises StepError for infinite values."""
    numeric, _ = split_kinds(table, names)
    columns = {n: numbers(table.column(n)) if n in numeric else texts(table.column(n)) for n in names}
    infinite = [n for n in numeric if np.isinf(columns[n]).any()]
    if infinite:
        raise StepError(
            f"infinite values in {', '.join(infinite)}; replace them with null or a number",
            param="features",
            details={"columns": infinite},
        )
    series = {n: pd.Series(v, dtype=np.float64 if n in numeric else object) for n, v in columns.items()}
    return pd.DataFrame(series, columns=list(names))


def model_columns(model: Any) -> tuple[list[str], list[str]]:
    """The (numeric, categorical) features a model of train.sklearn was fitted on, in their order."""
    try:
        blocks = {name: list(columns) for name, _, columns in model.named_steps["prepare"].transformers}
        return blocks.get("numbers", []), blocks.get("categories", [])
    except (AttributeError, KeyError, TypeError) as error:
        raise StepError("the model is not a pipeline made by train.sklearn; its features are unknown") from error


def class_names(model: Any) -> list[str]:
    """The labels a classifier knows, in the order of its probabilities. Raises StepError for a regressor."""
    if not hasattr(model, "classes_"):
        raise StepError("the model predicts a number, not a class; evaluate it with evaluate.regression")
    return [str(c) for c in model.classes_]


def model_frame(model: Any, table: pa.Table) -> pd.DataFrame:
    """The features of ``model`` from ``table``. Raises StepError when one is missing or changed its kind."""
    numeric, categorical = model_columns(model)
    names = [str(n) for n in model.feature_names_in_]
    missing = [n for n in names if n not in table.column_names]
    if missing:
        raise StepError(f"the model needs columns that the table lacks: {', '.join(missing)}")
    wrong = [n for n in numeric if not is_number(table.schema.field(n).type)]
    wrong += [n for n in categorical if not is_text(table.schema.field(n).type)]
    if wrong:
        raise StepError(f"columns are of another kind than in training: {', '.join(wrong)}")
    return frame(table, names)


def positive_class(classes: Sequence[str], positive: Label | None) -> str | None:
    """The positive label: the one asked for, the second of two by default, None for more classes.

    Raises StepError when the label asked for is not a class of the model.
    """
    if positive is None:
        return classes[1] if len(classes) == 2 else None
    text = label_text(positive)
    if text not in classes:
        raise StepError(f"{text!r} is no class of the model; it knows {', '.join(classes)}", param="positive")
    return text


def known_labels(classes: Sequence[str], truth: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Labels as positions in ``classes``, shape (rows,). Raises StepError for a label the model never saw."""
    positions = {label: i for i, label in enumerate(classes)}
    unknown = sorted(set(truth.tolist()) - set(positions))
    if unknown:
        raise StepError(
            f"labels the model does not know: {', '.join(unknown)}; it knows {', '.join(classes)}", param="target"
        )
    return np.array([positions[label] for label in truth], dtype=np.intp)
