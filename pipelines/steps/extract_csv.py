"""``extract.csv@1``: a delimited text file to a table, streaming, with the line number in every complaint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipelines.steps._csvlines import Lines, open_lines, records
from pipelines.steps._tables import ARROW_TYPES, ColumnType, as_mask, check_header, plain
from pipelines.steps.contract import Port, Source, Step, StepContext, StepError, StepParams, StepResult
from security.measurement import Measurement

Encoding = Literal["utf-8", "utf-8-sig", "ascii", "latin-1", "iso-8859-15", "cp1252"]

_BATCH = 20_000
_INFERRED: tuple[tuple[ColumnType, str], ...] = (
    ("int64", r"\A[+-]?(0|[1-9][0-9]{0,17})\z"),
    ("float64", r"\A[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?\z"),
    ("bool", r"\A(true|false|True|False|TRUE|FALSE)\z"),
    ("date", r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\z"),
    ("timestamp", r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?\z"),
)
_SHAPES: dict[ColumnType, str] = {
    "int64": "a whole number",
    "float64": "a finite number with a decimal point",
    "bool": "true or false",
    "date": "a date such as 2026-01-31",
    "timestamp": "a time such as 2026-01-31T23:59:59",
}


class Params(StepParams):
    path: str = Field(min_length=1, max_length=1000, description="file, relative to an allowed root")
    delimiter: str = Field(default=",", min_length=1, max_length=1, description="character between fields")
    encoding: Encoding = Field(default="utf-8", description="text encoding; a UTF-8 byte order mark is passed over")
    types: dict[str, ColumnType] = Field(
        default_factory=dict,
        description="type of each column; a column not named here gets the type all its values fit",
    )
    null_values: tuple[str, ...] = Field(default=("",), description="texts that mean a missing value")
    max_line_bytes: int = Field(default=2**20, ge=16, le=2**26, description="longest record accepted, in bytes")
    max_rows: int = Field(default=10_000_000, ge=1, description="a file with more rows is refused")


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Parse the file into one Arrow table; dates and times are ISO 8601, blank lines are passed over.

    Raises StepError for an empty file, no rows, a bad header, ragged rows, a wrong encoding, NUL bytes, a record over
    ``max_line_bytes`` (read no further than that), a value that is not of its declared type, and too many rows.
    """
    path = inputs["file"]
    with open_lines(path, params.encoding, params.max_line_bytes) as lines:
        table = _read(lines, params, context, path.stat().st_size)
    rows = Measurement(name="rows", value=table.num_rows, unit="rows", n=table.num_rows)
    columns = Measurement(name="columns", value=table.num_columns, unit="columns", n=table.num_rows)
    return StepResult(
        outputs={"table": table},
        measurements=(rows, columns),
        summary=f"{table.num_rows} rows, {table.num_columns} columns",
    )


def _read(lines: Lines, params: Params, context: StepContext, size: int) -> pa.Table:
    stream = records(lines, params.delimiter)
    header = _header(next(stream, None), params)
    chunks: dict[str, list[pa.Array]] = {name: [] for name in header}
    rows = 0
    while batch := list(islice(_checked(stream, len(header)), _BATCH)):
        rows += len(batch)
        if rows > params.max_rows:
            raise StepError(f"the file has more than {params.max_rows} rows", param="max_rows")
        numbers = [number for number, _ in batch]
        for name, values in zip(header, zip(*(fields for _, fields in batch), strict=True), strict=True):
            chunks[name].append(_typed(name, values, numbers, params))
        context.progress(rows, max(rows, rows * size // max(lines.offset, 1)), "reading rows")
    if not rows:
        raise StepError("the file has a header but no rows", param="path")
    columns = [_inferred(name, pa.chunked_array(chunks[name]), params) for name in header]
    context.progress(rows, rows, "read")
    return plain(pa.table(columns, names=header))


def _header(first: tuple[int, list[str]] | None, params: Params) -> list[str]:
    if first is None:
        raise StepError("the file holds blank lines only; a header line and at least one row are needed", param="path")
    line, header = first
    check_header(header, where=f"line {line}")
    unknown = [name for name in params.types if name not in header]
    if unknown:
        raise StepError(
            f"types names {', '.join(map(repr, unknown))}, but the header has {', '.join(header)}",
            param="types",
            details={"missing": unknown, "columns": header},
        )
    return header


def _checked(stream: Iterator[tuple[int, list[str]]], width: int) -> Iterator[tuple[int, list[str]]]:
    for line, fields in stream:
        if len(fields) != width:
            raise StepError(
                f"line {line}: {len(fields)} fields where the header has {width}; check the delimiter and the quoting",
                param="delimiter",
                details={"line": line, "fields": len(fields), "expected": width},
            )
        yield line, fields


def _typed(name: str, values: tuple[str, ...], numbers: list[int], params: Params) -> pa.Array:
    """One column of one batch: nulls taken out and, if its type is declared, cast with the line of a bad value."""
    texts = pa.array(values, pa.string())
    texts = pc.if_else(pc.is_in(texts, value_set=pa.array(params.null_values, pa.string())), None, texts)
    kind = params.types.get(name)
    if kind is None or kind == "string":
        return texts
    bad = _first_bad(texts, kind)
    if bad is None:
        return _cast(texts, kind)
    raise StepError(
        f"line {numbers[bad]}, column {name!r}: the value is not {_SHAPES[kind]}; mend the value, or add it to "
        "null_values, or declare another type",
        param="types",
        details={"line": numbers[bad], "column": name, "type": kind},
    )


def _cast(texts: pa.Array, kind: ColumnType) -> pa.Array:
    return pc.cast(pc.utf8_trim_whitespace(texts), ARROW_TYPES[kind])


def _first_bad(texts: pa.Array, kind: ColumnType) -> int | None:
    """Index of the first value that cannot be cast (or is not finite), or None; halves until one is left."""
    if _castable(texts, kind):
        return None
    low, high = 0, len(texts)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if not _castable(texts.slice(low, middle - low), kind) else (middle, high)
    return low


def _castable(texts: pa.Array, kind: ColumnType) -> bool:
    try:
        numbers = _cast(texts, kind)
    except pa.ArrowInvalid:
        return False
    return kind != "float64" or bool(np.all(as_mask(pc.is_finite(numbers)) | as_mask(pc.is_null(numbers))))


def _inferred(name: str, column: pa.ChunkedArray, params: Params) -> pa.ChunkedArray:
    """The first type that all values of an undeclared column fit; text where none does or all are missing."""
    if name in params.types or column.null_count == len(column):
        return column
    for kind, shape in _INFERRED:
        if pc.all(pc.match_substring_regex(column, shape)).as_py():
            try:
                return pc.cast(column, ARROW_TYPES[kind])
            except pa.ArrowInvalid:
                continue
    return column


STEP = Step(
    id="extract.csv@1",
    title="Read a CSV file",
    help="Reads a delimited text file from an allowed folder into a table; every complaint names the line.",
    params=Params,
    run=run,
    inputs={"file": Port("file", "verified private copy of the file that path names")},
    outputs={"table": Port("table", "the rows, in file order")},
    sources=(Source(name="file", param="path"),),
)
