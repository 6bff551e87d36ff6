"""``test.misbehave@1`` does what its parameter says: sleep, hog, crash, raise, lie, count."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field

from pipelines.steps.contract import Port, Step, StepContext, StepError, StepParams, StepResult


class Params(StepParams):
    how: Literal["work", "sleep", "hog", "crash", "raise", "refuse", "lie", "probe"] = Field(description="what to do")
    amount: float = Field(default=0, description="seconds or MiB")
    marker: str = Field(default="", description="file to create when started")


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    if params.marker:
        with Path(params.marker).open("a") as file:
            file.write(f"{os.getpid()}\n")
    context.log(f"doing: {params.how}")
    if params.how == "sleep":
        for tick in range(int(params.amount * 10)):
            context.progress(tick, int(params.amount * 10), "sleeping")
            time.sleep(0.1)
    if params.how == "hog":
        held = []
        for _ in range(int(params.amount) // 16):
            held.append(bytearray(os.urandom(1024) * 1024 * 16))
            time.sleep(0.02)
    if params.how == "crash":
        os.abort()
    if params.how == "raise":
        raise RuntimeError("the secret value 4111 1111 1111 1111")
    if params.how == "refuse":
        raise StepError("Column b is missing; there are a, c.", param="column", details={"row": 3})
    outputs: dict[str, Any] = {"table": pa.table({"seed": [context.seed], "pid": [os.getpid()]})}
    if params.how == "lie":
        outputs["more"] = outputs["table"]
    if params.how == "probe":
        outputs["table"] = pa.table({"fact": [*_what_the_child_can_reach()]})
    return StepResult(outputs=outputs, summary="done")


def _what_the_child_can_reach() -> list[str]:
    """Names of open files and modules that a step should not have."""
    links = (path for path in Path("/proc/self/fd").iterdir() if path.exists())
    names = [str(link.readlink()) for link in links]
    names += [f"module {name}" for name in ("django", "celery") if name in sys.modules]
    environment = Path("/proc/self/environ").read_bytes().decode(errors="replace").split("\0")
    return [*names, *(f"environment {one.partition('=')[0]}" for one in [*environment, *os.environ])]


STEP = Step(
    id="test.misbehave@1",
    title="Misbehave",
    help="For tests.",
    params=Params,
    run=run,
    inputs={"table": Port("table", "anything", required=False)},
    outputs={"table": Port("table", "a row")},
    evidence=("data_profile",),
    about=("table",),
)
