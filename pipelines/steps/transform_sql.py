"""``transform.sql@1``: one SELECT over the inputs, in a DuckDB that can reach nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa
from pydantic import Field

from pipelines.steps import _sqlguard
from pipelines.steps._tables import check_header, mark_personal, personal_columns, plain
from pipelines.steps.contract import Port, Step, StepContext, StepError, StepParams, StepResult
from security.measurement import Measurement

_BATCH = 50_000
_PORTS = ("table", "other", "third")
_DESCRIPTIONS: dict[type[Exception], str] = {
    duckdb.ConversionException: "a value cannot be converted to the type that the query asks for; try TRY_CAST",
    duckdb.OutOfRangeException: "a number is out of the range of its type; cast to DOUBLE or DECIMAL",
    duckdb.InvalidInputException: "a function was given a value that it cannot work with",
    duckdb.OutOfMemoryException: "the query needs more memory than the step has; aggregate earlier or raise the limit",
}


class Params(StepParams):
    query: str = Field(
        min_length=1,
        max_length=20_000,
        description='one SELECT over input (also "table"), other and third; without ORDER BY the input order is kept',
    )
    max_rows: int = Field(default=10_000_000, ge=1, description="a result with more rows is refused")


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Run ``query`` and return its rows.

    One thread and insertion order kept: the same inputs give the same rows in the same order, sums included. TABLE is
    a reserved word in SQL, so the first input is also called ``input``.
    Raises StepError for anything but one SELECT over the inputs, for functions that are not repeatable, on the time,
    memory and row limits, and for data that the query cannot work with (without quoting the data).
    """
    tables = {name: inputs[name] for name in _PORTS if inputs.get(name) is not None}
    tables["input"] = tables["table"]
    with _connect(context) as connection:
        _sqlguard.check(connection, params.query, tables)
        for name, table in tables.items():
            connection.register(name, table)
        _lock(connection)
        result = _guarded(connection, params, context)
    rows_in = Measurement(name="rows_in", value=inputs["table"].num_rows, unit="rows", n=inputs["table"].num_rows)
    rows_out = Measurement(name="rows_out", value=result.num_rows, unit="rows", n=result.num_rows)
    return StepResult(
        outputs={"table": mark_personal(result, _personal(tables.values()))},
        measurements=(rows_in, rows_out),
        summary=f"{result.num_rows} rows, {result.num_columns} columns",
    )


def _personal(tables: Iterable[pa.Table]) -> set[str]:
    """Names of columns marked personal in any input; a result column of that name is taken for the same."""
    return {name for table in tables for name in personal_columns(table)}


@contextmanager
def _connect(context: StepContext) -> Iterator[Any]:
    """A database in memory with every door shut that has a switch."""
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": 1,
            "memory_limit": f"{max(context.memory_bytes // 2, 64 * 2**20)}B",
            "temp_directory": "",
            "preserve_insertion_order": True,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "allow_unsigned_extensions": False,
            "allow_persistent_secrets": False,
            "python_enable_replacements": False,
        },
    )
    try:
        yield connection
    finally:
        connection.close()


def _lock(connection: Any) -> None:
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _guarded(connection: Any, params: Params, context: StepContext) -> pa.Table:
    """Run the query under a timer that interrupts it, and turn DuckDB's errors into ours (theirs quote data)."""
    deadline = time.monotonic() + context.seconds * 0.9
    timer = threading.Timer(context.seconds * 0.9, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        return _fetch(connection, params, context, deadline)
    except duckdb.InterruptException:
        raise _too_slow(context) from None
    except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException) as error:
        raise StepError(f"the query does not fit its inputs: {_sqlguard.first_line(error)}", param="query") from None
    except (duckdb.Error, pa.ArrowException, RuntimeError, OSError) as error:
        if time.monotonic() >= deadline:
            raise _too_slow(context) from None
        text = next((text for kind, text in _DESCRIPTIONS.items() if isinstance(error, kind)), "")
        reason = text or f"the query failed on the data ({type(error).__name__})"
        raise StepError(reason, param="query") from None
    finally:
        timer.cancel()


def _too_slow(context: StepContext) -> StepError:
    return StepError(
        f"the query did not end within {context.seconds * 0.9:g} seconds and was stopped; a recursive WITH may have "
        "no end, or a join no condition",
        param="query",
    )


def _fetch(connection: Any, params: Params, context: StepContext, deadline: float) -> pa.Table:
    reader = connection.sql(params.query).to_arrow_reader(_BATCH)
    check_header(reader.schema.names, where="result")
    batches: list[pa.RecordBatch] = []
    rows = 0
    for batch in reader:
        rows += batch.num_rows
        if rows > params.max_rows:
            raise StepError(f"the result has more than {params.max_rows} rows", param="max_rows")
        if time.monotonic() > deadline:
            raise _too_slow(context)
        batches.append(batch)
        context.progress(rows, None, "rows out")
    table = pa.Table.from_batches(batches, schema=reader.schema)
    return plain(pa.table([_simple(name, table.column(name)) for name in table.column_names], names=table.column_names))


def _simple(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column in the types that steps speak: sums of integers as int64, text as text; StepError for nested ones."""
    kind = column.type
    if pa.types.is_dictionary(kind) or pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        return column.cast(pa.string())
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_null(kind):
        raise StepError(
            f"the result column {name!r} is of type {kind}; cast it to a number, text, date or time", param="query"
        )
    if pa.types.is_decimal(kind) and kind.scale == 0:
        return column.cast(pa.int64())
    return column


STEP = Step(
    id="transform.sql@1",
    title="Transform with SQL",
    help="Runs one SELECT over its inputs in DuckDB, with no access to files, network, settings or clock.",
    params=Params,
    run=run,
    inputs={
        "table": Port("table", 'visible as input and as "table"'),
        "other": Port("table", "visible as other", required=False),
        "third": Port("table", "visible as third", required=False),
    },
    outputs={"table": Port("table", "the rows that the query gives")},
)
