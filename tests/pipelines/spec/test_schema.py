"""The published schema is valid and says the same as the server."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from pipelines.spec.errors import SpecErrors
from pipelines.spec.loading import parse
from pipelines.spec.schema import json_schema
from pipelines.spec.validation import load_spec
from pipelines.steps import registry
from tests.pipelines.spec.cases import CASES, Answer
from tests.pipelines.spec.example import REGISTRY, TEXT, changed

WIRING = ("no output", "but a model", "no step", "own output", "already called", "never used", "not declared")
BEYOND = (
    "found text",
    "a range needs",
    "a choice of",
    "one of 0.1",
    "found 3",
    "found true",
    "should be less",
    "no reference",
)


def test_the_schema_is_valid_in_its_own_dialect() -> None:
    for steps in (REGISTRY, registry(), {}):
        Draft202012Validator.check_schema(json_schema(steps))


def test_the_schema_resolves_every_reference_it_makes() -> None:
    schema = json_schema(REGISTRY)

    def references(part: object) -> set[str]:
        if isinstance(part, list):
            return set().union(*map(references, part))
        if isinstance(part, dict):
            own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
            return own.union(*map(references, part.values()))
        return set()

    assert references(schema) <= {f"#/$defs/{name}" for name in schema["$defs"]}


def test_the_schema_accepts_the_example_with_its_references_in_places_of_numbers() -> None:
    assert list(Draft202012Validator(json_schema(REGISTRY)).iter_errors(parse(TEXT).data)) == []


@pytest.mark.parametrize(("old", "new", "expected"), CASES, ids=[f"{old}->{new}" for old, new, _ in CASES])
def test_what_the_schema_refuses_the_server_refuses(old: str, new: str, expected: Answer) -> None:
    text = changed(old, new)
    refused = bool(list(Draft202012Validator(json_schema(REGISTRY)).iter_errors(parse(text).data)))
    with pytest.raises(SpecErrors):
        load_spec(text, REGISTRY)
    if not any(words in expected[4] for words in (*WIRING, *BEYOND)):
        assert refused


def test_an_error_of_the_schema_points_at_the_parameter() -> None:
    text = changed("options: {C: 1.0}", "estimator: forrest")
    (problem,) = Draft202012Validator(json_schema(REGISTRY)).iter_errors(parse(text).data)
    assert list(problem.absolute_path) == ["steps", 4, "with", "estimator"]
