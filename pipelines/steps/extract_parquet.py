"""``extract.parquet@1``: a Parquet file to a table; limits hold in its metadata and again while reading."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from pipelines.steps._tables import check_header, plain
from pipelines.steps.contract import Port, Source, Step, StepContext, StepError, StepParams, StepResult
from security.measurement import Measurement

_BATCH = 16_384
_THRIFT_BYTES = 64 * 2**20
_THRIFT_ITEMS = 1_000_000


class Params(StepParams):
    path: str = Field(min_length=1, max_length=1000, description="file, relative to an allowed root")
    columns: tuple[str, ...] | None = Field(default=None, description="only these columns, in this order")
    max_rows: int = Field(default=10_000_000, ge=1, description="a file with more rows is refused")
    max_bytes: int = Field(
        default=2 * 2**30, ge=1, description="a file that is larger than this once decompressed is refused, in bytes"
    )


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Read the file into one Arrow table of flat columns.

    Raises StepError for a file that is not Parquet or is damaged, nested columns, repeated names, no rows, more than
    ``max_rows`` rows or more than ``max_bytes`` (or half the memory budget) of decompressed data.
    """
    path: Path = inputs["file"]
    limit = min(params.max_bytes, context.memory_bytes // 2)
    if path.stat().st_size == 0:
        raise StepError("the file is empty; a Parquet file with at least one row is needed", param="path")
    try:
        with _open(path) as file:
            names = _checked(file, params, limit)
        with _open(path, dictionaries=names) as file:
            table = _read(file, names, params, limit, context)
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError):
        raise StepError(
            "the file is not Parquet, or it is damaged: it could not be read to its end; write it again", param="path"
        ) from None
    rows = Measurement(name="rows", value=table.num_rows, unit="rows", n=table.num_rows)
    columns = Measurement(name="columns", value=table.num_columns, unit="columns", n=table.num_rows)
    return StepResult(
        outputs={"table": table},
        measurements=(rows, columns),
        summary=f"{table.num_rows} rows, {table.num_columns} columns",
    )


def _open(path: Path, dictionaries: list[str] | None = None) -> pq.ParquetFile:
    return pq.ParquetFile(
        path,
        memory_map=False,
        read_dictionary=dictionaries,
        thrift_string_size_limit=_THRIFT_BYTES,
        thrift_container_size_limit=_THRIFT_ITEMS,
        page_checksum_verification=True,
        arrow_extensions_enabled=False,
    )


def _checked(file: pq.ParquetFile, params: Params, limit: int) -> list[str]:
    """Check everything that the metadata tells; returns the columns to read."""
    schema, metadata = file.schema_arrow, file.metadata
    check_header(schema.names, where="schema")
    if metadata.num_rows == 0:
        raise StepError("the file has columns but no rows", param="path")
    if metadata.num_rows > params.max_rows:
        raise StepError(f"the file has {metadata.num_rows} rows, more than {params.max_rows}", param="max_rows")
    names = list(params.columns or schema.names)
    missing = [name for name in names if name not in schema.names]
    if missing:
        raise StepError(
            f"the file has no column {', '.join(map(repr, missing))}; it has {', '.join(schema.names)}",
            param="columns",
            details={"missing": missing, "columns": schema.names},
        )
    nested = [name for name in names if not _flat(schema.field(name).type)]
    if nested:
        raise StepError(
            f"column {', '.join(map(repr, nested))} is nested or binary; flatten it before, or leave it out of columns",
            param="columns",
            details={"columns": nested},
        )
    size = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
    if size > limit:
        raise _too_large(limit)
    return names


def _flat(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _flat(kind.value_type)
    return not (pa.types.is_nested(kind) or _is_bytes(kind) or isinstance(kind, pa.BaseExtensionType))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _too_large(limit: int) -> StepError:
    return StepError(
        f"the file holds more than {limit} bytes once decompressed; raise max_bytes and the step's memory, or split it",
        param="max_bytes",
    )


def _read(file: pq.ParquetFile, names: list[str], params: Params, limit: int, context: StepContext) -> pa.Table:
    """Batches decoded one by one. The metadata may lie, and a dictionary may repeat one long text a million times:
    text stays dictionary-encoded until its full size is known to fit."""
    batches: list[pa.RecordBatch] = []
    rows, used, total = 0, 0, file.metadata.num_rows
    for batch in file.iter_batches(batch_size=_BATCH, columns=names, use_threads=False):
        rows += batch.num_rows
        used += sum(_decoded_bytes(column) for column in batch.columns)
        if rows > params.max_rows:
            raise StepError(f"the file has more than {params.max_rows} rows", param="max_rows")
        if used > limit:
            raise _too_large(limit)
        batches.append(pa.record_batch([_decoded(column) for column in batch.columns], names=batch.schema.names))
        context.progress(rows, total, "reading rows")
    return plain(pa.Table.from_batches(batches)).select(names)


def _decoded_bytes(column: pa.Array) -> int:
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    if not _is_text(column.dictionary.type):
        return int(column.nbytes) + 8 * len(column)
    lengths = pc.binary_length(column.dictionary)
    return int(pc.sum(lengths.take(column.indices)).as_py() or 0) + 4 * len(column)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _decoded(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string()) if _is_text(column.type) else column


STEP = Step(
    id="extract.parquet@1",
    title="Read a Parquet file",
    help="Reads a Parquet file of flat columns from an allowed folder; size limits hold before and while reading.",
    params=Params,
    run=run,
    inputs={"file": Port("file", "verified private copy of the file that path names")},
    outputs={"table": Port("table", "the rows, in file order")},
    sources=(Source(name="file", param="path"),),
)
