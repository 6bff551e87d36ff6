"""The declared schema: read from lines, made into rows and into JSON Schema."""

from __future__ import annotations

import jsonschema
import pytest
from pydantic import ValidationError

from pipelines.package.columns import Column, json_schema, probe, read_lines

TEXT = "age: 17..90\n\n amount \nsex: female | male | not said\ntemperature: -40..-1.5"
COLUMNS = [Column(**line) for line in read_lines(TEXT)]


def test_lines_are_read_as_people_write_them():
    assert [(one.name, one.kind) for one in COLUMNS] == [
        ("age", "number"),
        ("amount", "number"),
        ("sex", "text"),
        ("temperature", "number"),
    ]
    assert (COLUMNS[0].minimum, COLUMNS[3].maximum) == (17.0, -1.5)
    assert COLUMNS[2].values == ("female", "male", "not said")


@pytest.mark.parametrize("line", ["age:", ": 1..2", "age: old", "age: 1..b", "age: ..", "age: 1.."])
def test_a_line_that_makes_no_sense_is_named(line: str):
    with pytest.raises(ValueError, match="line 2"):
        read_lines(f"fine\n{line}")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a", "kind": "text"},
        {"name": "a", "kind": "text", "values": ["x"], "minimum": 0},
        {"name": "a", "values": ["x"]},
        {"name": "a", "minimum": 2, "maximum": 1},
        {"name": "a", "minimum": float("nan")},
        {"name": ""},
    ],
)
def test_a_column_that_contradicts_itself_is_refused(wrong: dict[str, object]):
    with pytest.raises(ValidationError):
        Column.model_validate(wrong)


def test_rows_of_a_schema_keep_to_it_reach_its_limits_and_are_the_same_again():
    rows = probe(COLUMNS, seed=5)
    schema = json_schema(COLUMNS)
    for row in rows.to_dict("records"):
        jsonschema.validate(row, schema)
    assert (rows["age"].min(), rows["age"].max()) == (17.0, 90.0)
    assert set(rows["sex"]) == {"female", "male", "not said"}
    assert rows.equals(probe(COLUMNS, seed=5))
    assert not rows.equals(probe(COLUMNS, seed=6))


def test_a_schema_refuses_what_is_outside_of_it():
    row = {"age": 40, "amount": 1.5, "sex": "female", "temperature": -3}
    jsonschema.validate(row, json_schema(COLUMNS))
    for name, value in (("age", 91), ("sex", "other"), ("amount", "much")):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**row, name: value}, json_schema(COLUMNS))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**row, "name": "Ada"}, json_schema(COLUMNS))
