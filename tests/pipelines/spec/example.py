"""A small registry of steps and a specification that uses all of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from pipelines.steps.contract import NoParams, Port, Source, Step, StepContext, StepParams, StepResult


class CsvParams(StepParams):
    """Reads a file."""

    path: str = Field(min_length=1, description="file below an allowed root")
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    header: bool = True


class Range(StepParams):
    kind: Literal["range"]
    column: str
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a range needs min, max or both")
        return self


class OneOf(StepParams):
    kind: Literal["one-of"]
    column: str
    values: list[str] = Field(min_length=1)


class RulesParams(StepParams):
    rules: list[Annotated[Range | OneOf, Field(discriminator="kind")]] = Field(default_factory=list)
    columns: dict[str, Literal["int", "float", "text"]] = Field(default_factory=dict)


class SplitParams(StepParams):
    fraction: float = Field(default=0.25, gt=0, lt=1)
    rows: int | None = Field(default=None, ge=1)


class TrainParams(StepParams):
    target: str
    estimator: Literal["logistic", "forest"] = "logistic"
    options: dict[str, int | float | bool | str] = Field(default_factory=dict)


class RegisterParams(StepParams):
    model: str


def _run(inputs: Mapping[str, Any], params: Any, context: StepContext) -> StepResult:
    raise AssertionError("a specification is checked without running anything")


def _step(step_id: str, params: type[StepParams], **more: Any) -> Step:
    return Step(id=step_id, title=step_id, help=f"Does {step_id}.", params=params, run=_run, **more)


TABLE, MODEL = Port("table", "rows"), Port("model", "a fitted model")

STEPS = (
    _step(
        "extract.csv@1",
        CsvParams,
        inputs={"file": Port("file", "the file")},
        outputs={"table": TABLE},
        sources=(Source("file", "path"),),
    ),
    _step(
        "validate.schema@1", RulesParams, inputs={"table": TABLE}, outputs={"table": TABLE}, evidence=("data.valid",)
    ),
    _step(
        "transform.sql@1",
        type("SqlParams", (StepParams,), {"__annotations__": {"sql": str}}),
        inputs={"table": TABLE},
        outputs={"table": TABLE},
    ),
    _step("split.holdout@1", SplitParams, inputs={"table": TABLE}, outputs={"train": TABLE, "test": TABLE}),
    _step("train.sklearn@1", TrainParams, inputs={"table": TABLE}, outputs={"model": MODEL}),
    _step(
        "evaluate.model@1",
        NoParams,
        inputs={"model": MODEL, "table": TABLE, "reference": Port("table", "older rows", required=False)},
        evidence=("performance",),
    ),
    _step("report.data@1", NoParams, inputs={"table": TABLE}, outputs={"report": Port("report", "a profile")}),
    _step("register.model@1", RegisterParams, inputs={"model": MODEL}),
)
REGISTRY: Mapping[str, Step] = MappingProxyType({step.id: step for step in STEPS})

TEXT = """\
apiVersion: countersign/v1
kind: Pipeline
metadata:
  name: credit-applications
  title: Credit applications
parameters:
  applications: {type: string, default: credit.csv, description: file below an allowed root}
  fraction: {type: number, default: 0.2}
  target: {type: string}
steps:
  - name: load
    uses: extract.csv@1
    with: {path: "${applications}"}
  - name: check
    uses: validate.schema@1
    inputs: {table: load.table}
    with:
      rules:
        - {kind: range, column: income, min: 0}
        - {kind: one-of, column: status, values: [single, married]}
  - name: clean
    uses: transform.sql@1
    inputs: {table: check.table}
    with:
      sql: select * from t where note <> '$${x}' and target = '${target}'
  - name: split
    uses: split.holdout@1
    inputs: {table: clean.table}
    with: {fraction: "${fraction}"}
  - name: train
    uses: train.sklearn@1
    inputs: {table: split.train}
    with:
      target: ${target}
      options: {C: 1.0}
    timeout: 300
    memory: 2GiB
  - name: judge
    uses: evaluate.model@1
    inputs: {model: train.model, table: split.test}
  - name: register
    uses: register.model@1
    inputs: {model: train.model}
    with: {model: credit}
"""


def changed(old: str, new: str) -> str:
    """The example with one passage replaced; the passage must be there once."""
    assert TEXT.count(old) == 1, old
    return TEXT.replace(old, new)
