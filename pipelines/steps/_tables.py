"""Small helpers on Arrow tables that several data steps share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.steps.contract import StepError

ColumnType = Literal["string", "int64", "float64", "bool", "date", "timestamp"]

ARROW_TYPES: dict[ColumnType, pa.DataType] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}


def type_name(kind: pa.DataType) -> str:
    """The step language's name of an Arrow type (``date`` for date32), or Arrow's own where there is none."""
    return next((name for name, arrow in ARROW_TYPES.items() if arrow == kind), str(kind))


def require_columns(table: pa.Table, names: Iterable[str], *, param: str) -> None:
    """Raise StepError naming the columns that ``table`` lacks and those it has."""
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise StepError(
            f"the table has no column {', '.join(map(repr, missing))}; it has {', '.join(table.column_names)}",
            param=param,
            details={"missing": missing, "columns": table.column_names},
        )


def require_rows(table: pa.Table) -> None:
    """Raise StepError when ``table`` has no rows."""
    if table.num_rows == 0:
        raise StepError("the table has no rows; this step needs at least one")


def row_numbers(mask: npt.NDArray[np.bool_], limit: int = 20) -> list[int]:
    """1-based numbers of the first ``limit`` data rows where ``mask`` holds."""
    return [int(index) + 1 for index in np.flatnonzero(mask)[:limit]]


def as_mask(values: Any) -> npt.NDArray[np.bool_]:
    """An Arrow boolean (chunked) array as a NumPy mask; null counts as false."""
    return np.asarray(values.fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)


def plain(table: pa.Table) -> pa.Table:
    """``table`` without schema metadata (writer's notes such as pandas' would change the digest) and in one chunk."""
    return table.replace_schema_metadata(None).combine_chunks()


def duplicates(names: Sequence[str]) -> list[str]:
    """Names that occur more than once, in order of first occurrence."""
    return [name for name in dict.fromkeys(names) if names.count(name) > 1]


def check_header(names: Sequence[str], *, where: str) -> None:
    """Raise StepError for blank or repeated column names; ``where`` begins the message."""
    blank = [index + 1 for index, name in enumerate(names) if not name.strip()]
    if blank:
        raise StepError(
            f"{where}: the name of column {', '.join(map(str, blank))} is blank; every column needs a name",
            details={"columns": blank},
        )
    repeated = duplicates(names)
    if repeated:
        raise StepError(
            f"{where}: the column name {', '.join(map(repr, repeated))} occurs more than once; names must differ",
            details={"columns": repeated},
        )


def personal_columns(table: pa.Table) -> list[str]:
    """Columns whose field metadata carries ``personal: true``."""
    return [field.name for field in table.schema if (field.metadata or {}).get(b"personal") == b"true"]


def mark_personal(table: pa.Table, names: Iterable[str]) -> pa.Table:
    """``table`` with the mark ``personal: true`` on the columns named (those it has), other marks kept."""
    marked = set(names)
    fields = [
        field.with_metadata({**(field.metadata or {}), b"personal": b"true"}) if field.name in marked else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields, table.schema.metadata)) if marked & set(table.column_names) else table
