"""Which SQL a transform may run: one SELECT over its own input tables, of functions that always answer the same.

Two walls. The engine's own switches (no external access, no extensions, locked configuration) are set in
``transform_sql``; this module reads the parsed statement and refuses what is not on its lists, so that a refusal comes
before anything runs and says what was refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from functools import cache
from typing import Any

import duckdb

from pipelines.steps.contract import StepError

TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest"})
# Consistent by DuckDB's own marks, yet they tell of the server, depend on the moment or run text as SQL.
REFUSED_FUNCTIONS = frozenset(
    {"getenv", "query", "query_table", "version", "current_user", "user", "session_user", "current_role",
     "current_catalog", "age", "ago", "current_localtime", "current_localtimestamp", "current_time",
     "current_timestamp", "json_execute_serialized_sql", "sql_auto_complete", "pg_sleep"}
)  # fmt: skip
CLOCK_WORDS = frozenset(
    {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "current_user", "user",
     "session_user", "current_role", "current_catalog", "current_schema", "rowid"}
)  # fmt: skip
PURE_MACROS = frozenset(
    {"nullif", "ifnull", "if", "unnest", "fdiv", "fmod", "geomean", "split_part", "date_add", "days_in_month",
     "array_to_string", "wavg", "weighted_avg"}
)  # fmt: skip
_MAX_QUERY = 20_000
_CTE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


@cache
def changing_functions() -> frozenset[str]:
    """Names that DuckDB never marks as consistent: random(), uuid(), now(), nextval(), current_setting() ...

    A name of several forms of which some are consistent is one that can depend on the session's time zone (``+`` on
    TIMESTAMP WITH TIME ZONE, marked so since DuckDB 2): ``transform_sql`` sets that to UTC and locks it.
    """
    with duckdb.connect(":memory:") as connection:
        rows = connection.execute(
            "SELECT lower(function_name) FROM duckdb_functions() WHERE stability IS NOT NULL "
            "GROUP BY ALL HAVING NOT bool_or(stability = 'CONSISTENT')"
        ).fetchall()
    return frozenset(name for (name,) in rows) | REFUSED_FUNCTIONS


@cache
def known_functions() -> frozenset[str]:
    """Names of built-in scalar functions, aggregates and window functions ; macros stay out unless listed as pure."""
    with duckdb.connect(":memory:") as connection:
        rows = connection.execute(
            "SELECT DISTINCT lower(function_name) FROM duckdb_functions() "
            "WHERE function_type IN ('scalar', 'aggregate')"
        ).fetchall()
    return frozenset(name for (name,) in rows) | PURE_MACROS


@cache
def system_views() -> frozenset[str]:
    """Views of an empty database that need no schema before their name: a WITH may not borrow one of these names, or
    the view itself could be read elsewhere in the query."""
    with duckdb.connect(":memory:") as connection:
        rows = connection.execute(
            "SELECT DISTINCT lower(view_name) FROM duckdb_views() WHERE schema_name <> 'information_schema'"
        ).fetchall()
    return frozenset(name for (name,) in rows)


def check(connection: Any, query: str, tables: Collection[str]) -> None:
    """Raise StepError unless ``query`` is one SELECT over ``tables`` with repeatable functions; runs nothing of it."""
    if len(query) > _MAX_QUERY:
        raise StepError(f"the query is longer than {_MAX_QUERY} characters", param="query")
    try:
        statements = duckdb.extract_statements(query)
    except duckdb.Error as error:
        raise StepError(f"the query cannot be parsed: {first_line(error)}", param="query") from None
    kinds = [statement.type for statement in statements]
    if kinds != [duckdb.StatementType.SELECT]:
        found = ", ".join(kind.name for kind in kinds) or "nothing"
        raise StepError(f"the query must be one SELECT statement; found {found}", param="query")
    tree = json.loads(connection.execute("SELECT json_serialize_sql(?)", [query]).fetchall()[0][0])
    if tree.get("error"):
        raise StepError("the query must be a plain SELECT; this form of statement is not allowed", param="query")
    nodes = list(_nodes(tree))
    allowed = {name.lower() for name in tables} | _cte_names(nodes)
    for node in nodes:
        _check_node(node, allowed)


def first_line(error: Exception) -> str:
    """DuckDB's reason without the excerpt of the query below it."""
    return str(error).partition("\n")[0].strip()


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of the parsed statement; a loop, since a hostile query may nest deeply."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _cte_names(nodes: list[dict[str, Any]]) -> set[str]:
    names = {str(node["cte_name"]).lower() for node in nodes if node.get("cte_name")}
    for node in nodes:
        entries = node["cte_map"].get("map", []) if isinstance(node.get("cte_map"), dict) else []
        names.update(str(entry["key"]).lower() for entry in entries)
    for name in sorted(names):
        if not _CTE_NAME.fullmatch(name) or name in system_views():
            raise StepError(f"WITH {name!r}: choose another name, of letters, digits and _", param="query")
    return names


def _check_node(node: dict[str, Any], tables: set[str]) -> None:
    kind = str(node.get("type", ""))
    if node.get("sample"):
        raise StepError("SAMPLE draws other rows each time; use split.holdout, which is seeded", param="query")
    if kind == "BASE_TABLE":
        _check_table(node, tables)
    elif kind == "TABLE_FUNCTION":
        _check_function(node.get("function") or {}, TABLE_FUNCTIONS)
    elif kind in {"SHOW_REF", "PIVOT", "COLUMN_DATA", "DELIM_GET", "BOUND_TABLE_REF"}:
        raise StepError(f"{kind.removesuffix('_REF')} is not allowed; write a SELECT over the inputs", param="query")
    elif node.get("class") == "FUNCTION":
        _check_scalar(node)
    elif node.get("class") == "COLUMN_REF":
        names = node.get("column_names") or []
        if len(names) == 1 and str(names[0]).lower() in CLOCK_WORDS:
            raise _refused(str(names[0]).lower())


def _check_table(node: dict[str, Any], tables: set[str]) -> None:
    path = (node.get("qualified_name") or {}).get("path") or [node.get("table_name", "")]
    qualified = len(path) > 1 or node.get("schema_name") or node.get("catalog_name")
    if qualified or str(path[-1]).lower() not in tables:
        raise StepError(
            f"the query reads {'.'.join(map(str, path))!r}; it can read its inputs only: {', '.join(sorted(tables))}",
            param="query",
        )


def _name(node: dict[str, Any]) -> str:
    path = (node.get("qualified_name") or {}).get("path") or [node.get("function_name", "")]
    return str(path[-1]).lower()


def _check_scalar(node: dict[str, Any]) -> None:
    name = _name(node)
    if name in changing_functions():
        raise _refused(name)
    if name not in known_functions() and not node.get("is_operator"):
        _refuse_unknown(name)


def _refuse_unknown(name: str) -> None:
    raise StepError(f"the function {name}() is not among those a transform may call", param="query")


def _check_function(node: dict[str, Any], allowed: Collection[str]) -> None:
    name = _name(node)
    if name not in allowed:
        raise StepError(
            f"the table function {name}() is not allowed; a query reads its inputs, never files or system tables",
            param="query",
        )


def _refused(name: str) -> StepError:
    return StepError(
        f"{name} is not allowed: it answers differently each time, or tells of the server; "
        "a transform must give the same output for the same input",
        param="query",
    )
