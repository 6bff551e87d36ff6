"""The declared input schema of a model, and rows made from it: what an unknown model is asked with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from pipelines.steps.contract import StepParams

PROBES = 64
MAX_COLUMNS = 2000
_SPREAD = (0.0, 1.0)  # of a number without declared limits


class Column(StepParams):
    """One input of a model: a number, maybe between limits, or a text out of a list."""

    name: str = Field(min_length=1, max_length=200, description="name of the column")
    kind: Literal["number", "text"] = Field(default="number", description="what its values are")
    minimum: float | None = Field(default=None, allow_inf_nan=False, description="smallest number that makes sense")
    maximum: float | None = Field(default=None, allow_inf_nan=False, description="largest number that makes sense")
    values: tuple[str, ...] = Field(default=(), max_length=1000, description="the texts that it may hold")

    @model_validator(mode="after")
    def _consistent(self) -> Column:
        if self.kind == "text":
            if not self.values:
                raise ValueError(f"column {self.name!r} holds text: list its values")
            if (self.minimum, self.maximum) != (None, None):
                raise ValueError(f"column {self.name!r} holds text, which has no minimum or maximum")
        elif self.values:
            raise ValueError(f"column {self.name!r} holds numbers, which are not listed: give minimum and maximum")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"column {self.name!r} has a minimum above its maximum")
        return self

    @property
    def limits(self) -> tuple[float, float]:
        """Between which numbers it is asked."""
        low, high = self.minimum, self.maximum
        if low is None:
            low = _SPREAD[0] if high is None else min(_SPREAD[0], high)
        return low, max(_SPREAD[1], low) if high is None else high


def probe(columns: Sequence[Column], seed: int, rows: int = PROBES) -> pd.DataFrame:
    """``rows`` rows within the schema: the first two at the limits, the others drawn. float64 and object columns."""
    random = np.random.default_rng(seed)
    return pd.DataFrame({column.name: _drawn(column, random, rows) for column in columns})


def json_schema(columns: Sequence[Column]) -> dict[str, Any]:
    """One row of the input as JSON Schema (2020-12)."""
    properties = {column.name: _property(column) for column in columns}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _drawn(column: Column, random: np.random.Generator, rows: int) -> Any:
    if column.kind == "text":
        places = np.concatenate([np.arange(len(column.values)), random.integers(len(column.values), size=rows)])
        return np.array(column.values, dtype=object)[places[:rows]]
    low, high = column.limits
    return np.concatenate([[low, high], low + (high - low) * random.random(rows)])[:rows]


def _property(column: Column) -> dict[str, Any]:
    if column.kind == "text":
        return {"enum": [*column.values, None]}
    limits = {"minimum": column.minimum, "maximum": column.maximum}
    return {"type": ["number", "null"], **{name: value for name, value in limits.items() if value is not None}}


def read_lines(text: str) -> list[dict[str, Any]]:
    """Columns as people write them, one a line: ``age: 17..90``, ``amount``, ``sex: female | male``.

    Raises ValueError that names the line.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    return [_read(number, line) for number, line in lines if line]


def _read(number: int, line: str) -> dict[str, Any]:
    name, colon, rest = (part.strip() for part in line.partition(":"))
    if not name or (colon and not rest):
        raise ValueError(f"line {number}: write a name, or a name, a colon and its limits or values")
    if "|" in rest:
        return {"name": name, "kind": "text", "values": [part.strip() for part in rest.split("|")]}
    if not rest:
        return {"name": name, "kind": "number"}
    low, dots, high = (part.strip() for part in rest.partition(".."))
    try:
        limits = {"minimum": float(low), "maximum": float(high)} if dots else {}
    except ValueError:
        limits = {}
    if not limits:
        raise ValueError(f"line {number}: {rest[:40]!r} is neither limits (17..90) nor values (female | male)")
    return {"name": name, "kind": "number", **limits}
