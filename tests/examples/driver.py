"""Runs a pipeline specification in this process, in the order of its inputs, without a database."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.spec.binding import BoundStep, bind
from pipelines.spec.validation import load_spec
from pipelines.steps import registry
from pipelines.steps.contract import StepContext, StepResult

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@dataclass(frozen=True)
class Ran:
    """Results and seconds by step name."""

    results: Mapping[str, StepResult]
    seconds: Mapping[str, float]


def run_example(
    name: str, root: Path, scratch: Path, parameters: Mapping[str, Any] | None = None, seed: int = 2026
) -> Ran:
    """Run ``examples/<name>.yaml`` with files from ``root``."""
    spec = load_spec((EXAMPLES / f"{name}.yaml").read_bytes(), registry())
    waiting = dict(bind(spec, parameters or {}, registry()).steps)
    results: dict[str, StepResult] = {}
    seconds: dict[str, float] = {}
    while waiting:
        ready = [n for n, step in waiting.items() if all(s.split(".")[0] in results for s in step.inputs.values())]
        for step_name in ready:
            started = time.monotonic()
            results[step_name] = _run(waiting.pop(step_name), results, root, scratch, seed)
            seconds[step_name] = time.monotonic() - started
    return Ran(results, seconds)


def _run(step: BoundStep, results: Mapping[str, StepResult], root: Path, scratch: Path, seed: int) -> StepResult:
    inputs: dict[str, Any] = {}
    for port, source in step.inputs.items():
        producer, _, output = source.partition(".")
        inputs[port] = results[producer].outputs[output]
    for outside in step.step.sources:
        if outside.stored:
            continue
        inputs[outside.name] = root / getattr(step.params, outside.param)
    own = int.from_bytes(hashlib.sha256(f"{seed}:{step.name}".encode()).digest()[:8], "big")
    context = StepContext(seed=own, scratch=scratch, seconds=step.timeout, memory_bytes=step.memory, secret=b"s" * 32)
    return step.step.run(inputs, step.params, context)
