"""The engine without a worker process: steps are executed here, one after the other, in real child processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.engine.execution import execute
from pipelines.models import Run, StepState
from pipelines.services import registration, runs
from security.access.models import AISystem
from security.identity.models import User


def drain(run: Run, *, limit: int = 200) -> Run:
    """Execute queued steps until none is left; returns the run as stored."""
    for _ in range(limit):
        step = run.steps.filter(state=StepState.QUEUED).order_by("position").first()
        if step is None:
            run.refresh_from_db()
            return run
        execute(step.pk)
    raise AssertionError(f"{run} still had queued steps after {limit} executions")


def run_spec(
    text: str, *, user: User, system: AISystem, parameters: Mapping[str, Any] | None = None, seed: int | None = None
) -> Run:
    """Register a spec, run it, and drain it."""
    version = registration.register(acting_user=user, system=system, text=text).version
    return drain(runs.create(acting_user=user, version=version, parameters=parameters, seed=seed))


def errors_of(run: Run) -> dict[str, str]:
    """Step name → error message of the steps that failed."""
    return {step.name: step.error["message"] for step in run.steps.filter(state=StepState.FAILED)}
