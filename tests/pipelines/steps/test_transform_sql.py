"""transform.sql: what a query may do, and each way out that is shut."""

from __future__ import annotations

import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from pipelines.steps import transform_sql
from pipelines.steps.contract import StepContext, StepError
from pipelines.steps.transform_sql import STEP, Params

SECRET = "Jane Doe"
TABLE = pa.table({"a": [3, 1, 2], "g": ["x", "y", "x"], "s": [SECRET, "2", "3"]})


def run(query: str, *, seconds: float = 30.0, memory_bytes: int = 2**30, **tables: pa.Table) -> pa.Table:
    context = StepContext(seed=1, scratch=Path(), seconds=seconds, memory_bytes=memory_bytes)
    return STEP.run({"table": TABLE, **tables}, Params(query=query), context).outputs["table"]


def test_select_over_three_inputs() -> None:
    other = pa.table({"a": [1, 2, 3], "b": ["one", "two", "three"]})
    third = pa.table({"b": ["one"], "c": [1.5]})
    table = run('SELECT a, b, c FROM "table" JOIN other USING (a) JOIN third USING (b)', other=other, third=third)
    assert table.to_pylist() == [{"a": 1, "b": "one", "c": 1.5}]


def test_without_order_by_rows_keep_their_order() -> None:
    assert run("SELECT a FROM input WHERE a > 1").column("a").to_pylist() == [3, 2]


def test_sums_of_integers_stay_integers() -> None:
    table = run("SELECT g, sum(a) AS total, avg(a) AS mean FROM input GROUP BY g ORDER BY g")
    assert table.schema.types == [pa.string(), pa.int64(), pa.float64()]
    assert table.to_pylist() == [{"g": "x", "total": 5, "mean": 2.5}, {"g": "y", "total": 1, "mean": 1.0}]


def test_float_sums_are_the_same_bits_each_time() -> None:
    big = pa.table({"v": [1e16 / (index + 1) * (-1) ** index for index in range(200_000)]})
    context = StepContext(seed=1, scratch=Path())
    sums = {
        STEP.run({"table": big}, Params(query="SELECT sum(v) AS s FROM input"), context)
        .outputs["table"].column("s")[0].as_py()
        for _ in range(3)
    }  # fmt: skip
    assert len(sums) == 1


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A file that a query must not see."""
    path = tmp_path / "planted" / "planted.csv"
    path.parent.mkdir()
    path.write_text(f"name\n{SECRET}\n")
    return path


READS = [
    "SELECT * FROM read_csv('{path}')",
    "SELECT * FROM read_csv_auto('{path}')",
    "SELECT * FROM '{path}'",
    "FROM '{path}'",
    "SELECT * FROM read_text('{path}')",
    "SELECT * FROM read_blob('{path}')",
    "SELECT * FROM sniff_csv('{path}')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM parquet_scan('{path}')",
    "SELECT (SELECT content FROM read_text('{path}')) AS x FROM input",
    "WITH t AS (SELECT * FROM read_csv('{path}')) SELECT * FROM t",
    'SELECT * FROM (WITH "{path}" AS (SELECT 1) SELECT 1) AS q, "{path}"',
    "SELECT * FROM query('SELECT * FROM read_text(''{path}'')')",
    "SELECT * FROM query_table('{path}')",
]


@pytest.mark.parametrize("query", READS)
def test_file_reads_are_refused(planted: Path, query: str) -> None:
    with pytest.raises(StepError) as caught:
        run(query.format(path=planted, folder=planted.parent))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("query", READS)
def test_file_reads_fail_behind_the_first_wall_too(planted: Path, query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transform_sql._sqlguard, "check", lambda connection, query, tables: None)
    with pytest.raises(StepError):
        run(query.format(path=planted, folder=planted.parent))


def test_the_planted_file_could_be_read_without_the_walls(planted: Path) -> None:
    with duckdb.connect(":memory:") as connection:
        assert connection.execute(f"FROM read_csv('{planted}')").fetchall() == [(SECRET,)]


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("COPY input TO '{path}.out'", "COPY"),
        ("COPY (SELECT 1) TO '{path}.out'", "COPY"),
        ("ATTACH '{path}.db'", "ATTACH"),
        ("INSTALL httpfs", "LOAD"),
        ("LOAD httpfs", "LOAD"),
        ("PRAGMA version", "PRAGMA"),
        ("SET enable_external_access = true", "SET"),
        ("CREATE TABLE t AS SELECT 1", "CREATE"),
        ("INSERT INTO input VALUES (1)", "INSERT"),
        ("CALL pragma_version()", "CALL"),
        ("EXPLAIN ANALYZE SELECT 1", "EXPLAIN"),
        ("SELECT 1; SELECT 2", "SELECT, SELECT"),
        ("SELECT 1; COPY (SELECT 1) TO '{path}.out'", "SELECT, COPY"),
        ("PIVOT input ON g USING sum(a)", "MULTI"),
        (";", "nothing"),
    ],
)
def test_only_one_select_is_a_query(planted: Path, query: str, kind: str) -> None:
    with pytest.raises(StepError, match=f"must be one SELECT statement; found {kind}$"):
        run(query.format(path=planted))
    assert [path.name for path in planted.parent.iterdir()] == ["planted.csv"]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM duckdb_tables",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM pg_catalog.pg_tables",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM pragma_database_size()",
        "SELECT * FROM (WITH duckdb_tables AS (SELECT 1) SELECT 1) AS q, duckdb_tables",
        "DESCRIBE input",
        "SUMMARIZE input",
        "SHOW TABLES",
        "SELECT current_setting('temp_directory') AS x",
        "SELECT getenv('HOME') AS x",
        "SELECT getvariable('x') AS x",
        "SELECT current_user",
        "SELECT version() AS v",
    ],
)
def test_system_tables_settings_and_environment_are_out_of_reach(query: str) -> None:
    with pytest.raises(StepError, match=r"not allowed|can read its inputs only|choose another name"):
        run(query)


@pytest.mark.parametrize(
    "expression",
    ["random()", "uuid()", "gen_random_uuid()", "now()", "today()", "current_date", "current_timestamp", "localtime",
     "age(DATE '2020-01-01')", "nextval('s')", "list_transform([1], x -> random())[1]", "main.random()",
     "system.main.random()"],
)  # fmt: skip
def test_functions_that_answer_differently_are_refused(expression: str) -> None:
    with pytest.raises(StepError, match=r"answers differently each time|not among those"):
        run(f"SELECT {expression} AS x FROM input")  # the attack itself


@pytest.mark.parametrize("query", ["SELECT * FROM input USING SAMPLE 1", "SELECT * FROM input TABLESAMPLE 50%"])
def test_samples_are_refused(query: str) -> None:
    with pytest.raises(StepError, match=r"split\.holdout"):
        run(query)


@pytest.mark.parametrize(
    "query",
    [
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n FROM r) SELECT count(*) AS n FROM r",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT * FROM r",
        "SELECT count(*) AS n FROM range(10000000) AS a, range(10000000) AS b",
    ],
)
def test_a_query_without_end_is_stopped(query: str) -> None:
    started = time.monotonic()
    with pytest.raises(StepError, match=r"did not end within 0\.9 seconds"):
        run(query, seconds=1.0)
    assert time.monotonic() - started < 10


def test_memory_is_limited() -> None:
    with pytest.raises(StepError, match="needs more memory"):
        run("SELECT list(r ORDER BY r DESC) AS l FROM range(100000000) AS t(r)", memory_bytes=2**27)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT CAST(s AS INTEGER) AS x FROM input", "cannot be converted"),
        ("SELECT CAST(s AS DATE) AS x FROM input", "cannot be converted"),
        ("SELECT strptime(s, '%Y') AS x FROM input", "cannot work with|failed on the data"),
        ("SELECT error(s) AS x FROM input", "not allowed"),
        ("SELECT CAST(a * 1000000000000 AS INTEGER) AS x FROM input", "cannot be converted|out of the range"),
    ],
)
def test_errors_do_not_quote_the_data(query: str, message: str) -> None:
    with pytest.raises(StepError, match=message) as caught:
        run(query)
    shown = f"{caught.value}{caught.value.details}{caught.value.__cause__}"
    assert SECRET not in shown
    assert "Jane" not in shown


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT nope FROM input", '"nope" not found'),
        ("SELEC 1", "cannot be parsed"),
        ("SELECT a, a FROM input", "occurs more than once"),
        ("SELECT [a] AS l FROM input", "column 'l' is of type"),
        ("SELECT * FROM another", "it can read its inputs only: input, table"),
    ],
)
def test_mistakes_are_explained(query: str, message: str) -> None:
    with pytest.raises(StepError, match=message):
        run(query)


def test_integers_beyond_int64_are_refused_without_their_value() -> None:
    with pytest.raises(StepError) as caught:
        run("SELECT CAST(a AS HUGEINT) * 10000000000000000000 AS h FROM input")
    assert "0000000" not in str(caught.value)


def test_row_limit() -> None:
    params = Params(query="SELECT * FROM range(1000) AS t(n)", max_rows=10)
    with pytest.raises(StepError, match="more than 10 rows"):
        STEP.run({"table": TABLE}, params, StepContext(seed=1, scratch=Path()))


def test_a_variable_of_the_program_is_not_a_table() -> None:
    hidden = pa.table({"x": [1]})
    with pytest.raises(StepError, match="reads 'hidden'"):
        run("SELECT * FROM hidden")
    assert hidden.num_rows == 1
