"""Inside the installation: run a chain of no-op steps through the worker and print what each step cost.

Prints JSON: ``{"steps", "seconds", "per_step_ms", "inside_ms", "between_ms"}``. ``inside`` is from claim to commit,
``between`` from one step's commit to the next one's claim (queue, broker, worker); medians in milliseconds.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from itertools import pairwise

import django

django.setup()

from bench.people import cast
from pipelines.models import Run, RunState
from pipelines.services import registration, runs


def spec(name: str, count: int) -> str:
    """A chain of ``count`` no-op steps."""
    lines = ["apiVersion: countersign/v1", "kind: Pipeline", f"metadata: {{name: {name}}}", "steps:"]
    for number in range(count):
        wiring = f"inputs: {{table: s{number - 1}.table}}, " if number else ""
        lines.append(f"  - {{name: s{number}, uses: bench.noop@1, {wiring}with: {{number: {number}}}}}")
    return "\n".join(lines)


def wait_for(run: Run, seconds: float) -> Run:
    """Wait until the run is over. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        run.refresh_from_db()
        if run.state not in (RunState.QUEUED, RunState.RUNNING):
            return run
        time.sleep(0.1)
    raise TimeoutError(f"the run was still {run.state} after {seconds:g} s")


def main(count: int) -> None:
    """Warm up with a short chain (the worker imports its libraries), then measure the long one."""
    engineer, system = cast()
    for name, length in (("warm-up", 4), ("measured", count)):
        version = registration.register(acting_user=engineer, system=system, text=spec(name, length)).version
        run = wait_for(runs.create(acting_user=engineer, version=version, seed=length), 600)
        if run.state != RunState.SUCCEEDED:
            raise SystemExit(f"the run {run.state}: {[step.error for step in run.steps.all() if step.error]}")
    steps = list(run.steps.order_by("position"))
    inside = [(step.finished_at - step.started_at).total_seconds() * 1000 for step in steps]
    between = [(later.started_at - earlier.finished_at).total_seconds() * 1000 for earlier, later in pairwise(steps)]
    seconds = (run.finished_at - run.started_at).total_seconds()
    print(
        json.dumps(
            {
                "steps": len(steps),
                "seconds": round(seconds, 3),
                "per_step_ms": round(1000 * seconds / len(steps), 1),
                "inside_ms": round(statistics.median(inside), 1),
                "between_ms": round(statistics.median(between), 1),
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
