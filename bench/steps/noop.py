"""``bench.noop@1`` does nothing: one row in, one row out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from pydantic import Field

from pipelines.steps.contract import Port, Step, StepContext, StepParams, StepResult


class Params(StepParams):
    number: int = Field(description="makes each step another one, so that none is reused")


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """A table of one row."""
    return StepResult(outputs={"table": pa.table({"number": [params.number]})})


STEP = Step(
    id="bench.noop@1",
    title="Nothing",
    help="For measuring what a step costs besides its work.",
    params=Params,
    run=run,
    inputs={"table": Port("table", "the step before", required=False)},
    outputs={"table": Port("table", "one row")},
    evidence=("data_profile",),
    about=("table",),
)
