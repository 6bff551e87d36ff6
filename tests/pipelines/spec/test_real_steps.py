"""The steps that ship are usable from a specification, and their schema says what the server says."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from pipelines.spec.binding import bind
from pipelines.spec.errors import SpecErrors
from pipelines.spec.loading import parse
from pipelines.spec.schema import json_schema, wired_inputs
from pipelines.spec.validation import load_spec
from pipelines.steps import registry

TEXT = """\
apiVersion: countersign/v1
kind: Pipeline
metadata: {name: adult-income}
parameters:
  path: {type: string}
  target: {type: string, default: income}
steps:
  - {name: load, uses: extract.csv@1, with: {path: "${path}"}}
  - {name: split, uses: split.holdout@1, inputs: {table: load.table}}
  - {name: train, uses: train.sklearn@1, inputs: {table: split.train}, with: {target: "${target}"}}
  - {name: judge, uses: evaluate.classification@1, inputs: {model: train.model, table: split.test},
     with: {target: "${target}"}}
  - {name: register, uses: register.model@1, inputs: {model: train.model, training: train.report},
     with: {model: adult-income}}
"""


def test_a_pipeline_of_real_steps_is_accepted_and_bound() -> None:
    spec = load_spec(TEXT, registry())
    bound = bind(spec, {"path": "adult.csv"}, registry())
    assert bound.steps["load"].arguments["path"] == "adult.csv"
    assert bound.steps["train"].arguments["target"] == "income"
    assert list(Draft202012Validator(json_schema(registry())).iter_errors(parse(TEXT).data)) == []


@pytest.mark.parametrize("step_id", sorted(registry()))
def test_an_unknown_parameter_of_every_step_is_refused_by_server_and_schema(step_id: str) -> None:
    inputs = ", ".join(f"{name}: load.table" for name in wired_inputs(registry()[step_id]))
    text = TEXT + f"  - {{name: extra, uses: {step_id}, inputs: {{{inputs}}}, with: {{no_such_parameter: 1}}}}\n"
    with pytest.raises(SpecErrors) as caught:
        load_spec(text, registry())
    assert (15, "extra", "no_such_parameter") in {(e.line, e.step, e.parameter) for e in caught.value.errors}
    found = Draft202012Validator(json_schema(registry())).iter_errors(parse(text).data)
    assert any("no_such_parameter" in problem.message for problem in found)
