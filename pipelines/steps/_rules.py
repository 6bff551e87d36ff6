"""The rules of validate.schema, one function each, in a table; a rule gives the mask of the rows that break it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.steps._tables import ARROW_TYPES, as_mask, require_columns, row_numbers, type_name
from pipelines.steps.contract import StepError
from security.privacy.anonymity import group_codes

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Outcome:
    """One rule's result; ``mask`` holds where a row breaks it, None when the rule is not about rows."""

    column: str
    rule: str
    passed: bool
    expected: Any = None
    failing: int = 0
    mask: Mask | None = None
    note: str = ""

    def as_report(self) -> dict[str, Any]:
        """JSON: row numbers count from 1 (the first data row) and are the first 20; there are no cell values."""
        return {
            "column": self.column,
            "rule": self.rule,
            "expected": self.expected,
            "passed": self.passed,
            "failing": self.failing,
            "rows": row_numbers(self.mask) if self.mask is not None else [],
            "note": self.note,
        }


def _nulls(column: pa.ChunkedArray, nullable: bool) -> Mask:
    return as_mask(pc.is_null(column, nan_is_null=True))


def _finite(column: pa.ChunkedArray, wanted: bool) -> Mask:
    return as_mask(pc.is_inf(column))


def _below(column: pa.ChunkedArray, bound: Any) -> Mask:
    return as_mask(pc.less(column, _scalar(bound, column.type)))


def _above(column: pa.ChunkedArray, bound: Any) -> Mask:
    return as_mask(pc.greater(column, _scalar(bound, column.type)))


def _not_allowed(column: pa.ChunkedArray, allowed: Sequence[Any]) -> Mask:
    values = [_scalar(value, column.type).as_py() for value in allowed]
    return as_mask(pc.and_(pc.invert(pc.is_in(column, pa.array(values, column.type))), pc.is_valid(column)))


def _unlike(column: pa.ChunkedArray, pattern: str) -> Mask:
    return as_mask(pc.invert(pc.match_substring_regex(column, rf"\A(?:{pattern})\z")))


def _too_long(column: pa.ChunkedArray, length: int) -> Mask:
    return as_mask(pc.greater(pc.utf8_length(column), length))


def _repeated(column: pa.ChunkedArray, unique: bool) -> Mask:
    codes = group_codes(pa.table({"value": column}), ["value"])
    return np.asarray((np.bincount(codes)[codes] > 1) & as_mask(pc.is_valid(column))) if len(codes) else codes > 0


# rule name, parameter, the types it can be asked of, and what marks the rows that break it
Rule = tuple[str, str, Callable[[pa.DataType], bool], Callable[[pa.ChunkedArray, Any], Mask]]


def _ordered(kind: pa.DataType) -> bool:
    return not pa.types.is_boolean(kind)


def _text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _any(kind: pa.DataType) -> bool:
    return True


_RULES: tuple[Rule, ...] = (
    ("min", "min", _ordered, _below),
    ("max", "max", _ordered, _above),
    ("allowed", "allowed", _any, _not_allowed),
    ("pattern", "pattern", _text, _unlike),
    ("max_length", "max_length", _text, _too_long),
)


def check_column(name: str, column: pa.ChunkedArray, rule: Any) -> list[Outcome]:
    """The outcomes of all rules that ``rule`` (a ColumnRule) states on one column; a wrong type ends the list.

    Raises StepError naming column and parameter for a bound, set or pattern that cannot be used on this column.
    """
    rows = len(column)
    if rule.type is not None:
        right = column.type == ARROW_TYPES[rule.type]
        everywhere = np.full(rows, not right)
        found = "" if right else f"the column is {type_name(column.type)}; its other rules were not checked"
        outcomes = [Outcome(name, "type", right, rule.type, 0 if right else rows, everywhere, found)]
        if not right:
            return outcomes
    else:
        outcomes = []
    if not rule.nullable:
        outcomes.append(_outcome(name, "nullable", False, _nulls(column, False)))
    if pa.types.is_floating(column.type):
        outcomes.append(_outcome(name, "finite", True, _finite(column, True)))
    outcomes += [_checked(name, column, rule, entry) for entry in _RULES if getattr(rule, entry[1]) is not None]
    if rule.unique:
        outcomes.append(_outcome(name, "unique", True, _repeated(column, True)))
    return outcomes


def check_keys(table: pa.Table, key: Sequence[str]) -> Outcome:
    """Rows whose values in all ``key`` columns occur more than once. Raises StepError for an unknown column."""
    require_columns(table, key, param="unique_keys")
    codes = group_codes(table, key)
    mask = np.bincount(codes)[codes] > 1 if len(codes) else codes > 0
    return _outcome(" + ".join(key), "unique_key", list(key), mask)


def _outcome(column: str, rule: str, expected: Any, mask: Mask) -> Outcome:
    failing = int(mask.sum())
    return Outcome(column, rule, failing == 0, expected, failing, mask)


def _checked(name: str, column: pa.ChunkedArray, rule: Any, entry: Rule) -> Outcome:
    title, param, fits, broken = entry
    wanted = getattr(rule, param)
    where = f"columns.{name}.{param}"
    if not fits(column.type):
        raise StepError(
            f"{where}: {title} cannot be asked of a column of type {type_name(column.type)}", param="columns"
        )
    try:
        mask = broken(column, wanted)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        right = "an RE2 regular expression" if param == "pattern" else f"of the column's type {type_name(column.type)}"
        raise StepError(f"{where}: the value must be {right}", param="columns", details={"column": name}) from None
    return _outcome(name, title, list(wanted) if isinstance(wanted, tuple) else wanted, mask)


def _scalar(value: Any, kind: pa.DataType) -> pa.Scalar:
    """A parameter as a scalar comparable with a column: text to dates and times, numbers to numbers only."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        if not isinstance(value, str):
            raise TypeError
        return pa.scalar(value).cast(kind)
    if pa.types.is_boolean(kind) != isinstance(value, bool) or _text(kind) != isinstance(value, str):
        raise TypeError
    if pa.types.is_integer(kind) and number and not float(value).is_integer():
        return pa.scalar(float(value))
    return pa.scalar(value, kind)
