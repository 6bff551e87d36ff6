"""validate.schema: each rule against a table that breaks it, counted by hand; the report never shows a cell."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pydantic import ValidationError

from pipelines.steps import collect
from pipelines.steps._tables import personal_columns
from pipelines.steps.contract import StepContext, StepError, StepResult
from pipelines.steps.validate_schema import STEP, Params
from security.measurement import Verdict

SECRET = "jane.doe@private.test"


def check(table: pa.Table, **params: object) -> StepResult:
    return STEP.run({"table": table}, Params(**{"allow_extra": True, **params}), StepContext(seed=1, scratch=Path()))


@pytest.mark.parametrize(
    ("values", "rule", "name", "rows"),
    [
        (["1", "2"], {"type": "int64"}, "type", [1, 2]),
        ([1, None, 3], {}, "nullable", [2]),
        ([1.0, float("nan")], {}, "nullable", [2]),
        ([1.0, float("inf")], {"nullable": True}, "finite", [2]),
        ([5, 4, None, 3], {"min": 4, "nullable": True}, "min", [4]),
        ([5, 4, 3], {"max": 4.5}, "max", [1]),
        ([2**53 + 1, 2**53], {"max": 2**53}, "max", [1]),
        ([dt.date(2026, 1, 1), dt.date(2025, 12, 31)], {"min": "2026-01-01"}, "min", [2]),
        (["a", "b", None], {"allowed": ["a"], "nullable": True}, "allowed", [2]),
        ([0, 1, 2], {"allowed": [0, 1]}, "allowed", [3]),
        (["AB12", "xAB12", "AB12\n", "AB"], {"pattern": "[A-Z]{2}[0-9]{2}|AB"}, "pattern", [2, 3]),
        (["ééé", "éééé"], {"max_length": 3}, "max_length", [2]),
        (["a", "b", "a", None, None], {"unique": True, "nullable": True}, "unique", [1, 3]),
    ],
)
def test_each_rule_finds_the_rows_that_break_it(
    values: list[object], rule: dict[str, object], name: str, rows: list[int]
) -> None:
    result = check(pa.table({"c": pa.array(values, from_pandas=False)}), columns={"c": rule})
    broken = [entry for entry in result.outputs["report"]["rules"] if not entry["passed"]]
    assert [(entry["rule"], entry["rows"], entry["failing"]) for entry in broken] == [(name, rows, len(rows))]
    assert result.verdict is Verdict.FAIL


def test_keys_rows_and_columns() -> None:
    table = pa.table({"a": [1, 1, 2], "b": ["x", "x", "x"]})
    assert check(table, unique_keys=[["a", "b"]]).outputs["report"]["rules"][-1]["rows"] == [1, 2]
    assert check(table, columns={"a": {}}, allow_extra=False).verdict is Verdict.FAIL
    assert check(table, columns={"c": {}}).verdict is Verdict.FAIL
    assert check(table, columns={"a": {}, "c": {"required": False}}).verdict is Verdict.PASS
    assert check(table, columns={"a": {}}, min_rows=4).verdict is Verdict.FAIL
    assert check(table, columns={"a": {}}, max_rows=2).verdict is Verdict.FAIL
    assert check(table.slice(0, 0), columns={"a": {}}).verdict is Verdict.FAIL, "no rows are too few by default"


def test_no_rules_prove_nothing() -> None:
    assert check(pa.table({"a": [1]})).verdict is Verdict.INCONCLUSIVE


def test_the_run_may_go_on_but_the_verdict_is_no_pass() -> None:
    result = check(pa.table({"a": [1]}), columns={"a": {"min": 2}}, stop_on_failure=False)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert STEP.blocking


def test_the_table_passes_through_and_failing_rows_are_counted_once() -> None:
    table = pa.table({"a": [1, 9, 1], "b": [0, 0, 1]})
    result = check(table, columns={"a": {"min": 5}, "b": {"min": 1}})
    assert result.outputs["table"] is table
    assert result.outputs["report"]["rows_failing"] == 3
    assert {item.name: item.value for item in result.measurements}["rules_broken"] == 2


def test_at_most_twenty_row_numbers() -> None:
    entry = check(pa.table({"a": [0] * 50}), columns={"a": {"min": 1}}).outputs["report"]["rules"][-1]
    assert entry["failing"] == 50
    assert entry["rows"] == list(range(1, 21))


def test_no_cell_value_is_in_the_report() -> None:
    table = pa.table({"mail": [SECRET, SECRET, None], "card": [4111111111111111, 4000000000000002, 5]})
    result = check(
        table,
        columns={
            "mail": {"pattern": "x+", "unique": True, "allowed": ["y"], "max_length": 2, "personal": True},
            "card": {"max": 10, "personal": True},
        },
    )
    shown = json.dumps(result.outputs["report"]) + result.summary + repr(result.measurements)
    assert SECRET not in shown
    assert "411111111" not in shown
    assert result.outputs["report"]["profile"]["card"] == {"type": "int64", "nulls": 0, "personal": True}


def test_profile_agrees_with_pandas_on_the_census_file(shared_data: Path) -> None:
    frame = pd.read_csv(shared_data / "adult.csv")
    facts = check(pa.Table.from_pandas(frame, preserve_index=False)).outputs["report"]["profile"]
    described = frame["age"].describe()
    assert facts["age"]["min"] == described["min"]
    assert facts["age"]["max"] == described["max"]
    assert facts["age"]["mean"] == pytest.approx(described["mean"])
    assert sum(facts["age"]["histogram"]["counts"]) == len(frame)
    assert facts["occupation"]["distinct"] == frame["occupation"].nunique()
    assert "min" not in facts["occupation"]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"pattern": "(unclosed"}, "must be an RE2 regular expression"),
        ({"pattern": "(a)\\1"}, "must be an RE2 regular expression"),
        ({"min": 3}, "must be of the column's type string"),
        ({"allowed": [1]}, "must be of the column's type string"),
    ],
)
def test_rules_that_cannot_be_are_explained(rule: dict[str, object], message: str) -> None:
    with pytest.raises(StepError, match=message):
        check(pa.table({"c": ["a"]}), columns={"c": rule})


def test_a_pattern_asked_of_numbers_is_explained() -> None:
    with pytest.raises(StepError, match="pattern cannot be asked of a column of type int64"):
        check(pa.table({"c": [1]}), columns={"c": {"pattern": "1"}})


def test_a_hostile_pattern_takes_linear_time() -> None:
    """(a+)+b over many a: a backtracking engine would not end."""
    assert check(pa.table({"c": ["a" * 50_000]}), columns={"c": {"pattern": "(a+)+b"}}).verdict is Verdict.FAIL


def test_unknown_rule_names_are_refused() -> None:
    with pytest.raises(ValidationError):
        Params(columns={"a": {"minimum": 1}})


def test_a_column_declared_personal_stays_marked_until_redacted_and_cannot_be_learned_from(tmp_path: Path) -> None:
    steps = collect()

    def step(uses: str, params: dict[str, Any], **inputs: Any) -> Any:
        context = StepContext(seed=1, scratch=tmp_path, secret=bytes(range(32)))
        return steps[uses].run(inputs, steps[uses].params.model_validate(params), context).outputs

    people = pa.table({"email": [f"p{i}@example.org" for i in range(40)], "age": list(range(40)), "label": [0, 1] * 20})
    rules = {"columns": {"email": {"personal": True}, "age": {}, "label": {}}}
    checked = step("validate.schema@1", rules, table=people)["table"]
    assert personal_columns(checked) == ["email"]
    assert checked.to_pydict() == people.to_pydict()
    split = step("split.holdout@1", {"fraction": 0.5}, table=checked)["train"]
    queried = step("transform.sql@1", {"query": "SELECT age, email, label FROM input"}, table=split)["table"]
    assert personal_columns(queried) == ["email"]
    with pytest.raises(StepError, match="flagged as personal"):
        step("train.sklearn@1", {"target": "label", "features": ["email", "age"]}, table=queried)
    tokens = step("redact.pii@1", {"columns": {"email": "token"}}, table=checked)["table"]
    assert personal_columns(tokens) == ["email"], "a token still stands for one person"
    masked = step("redact.pii@1", {"columns": {"email": "mask"}}, table=checked)["table"]
    assert personal_columns(masked) == []
