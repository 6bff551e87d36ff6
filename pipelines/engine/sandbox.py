"""Running a step in a child process with a time and a memory limit."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import Any

import psutil

from pipelines.engine import children
from pipelines.steps import registry

_TICK_SECONDS = 0.1


@dataclass
class Outcome:
    """How it ended: ``result`` or ``error`` (kinds step, timeout, memory, crashed, internal), log and resources."""

    result: dict[str, Any] | None = None
    error: dict[str, Any] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    resources: dict[str, float] = field(default_factory=dict)


class Stop(Exception):  # noqa: N818 - a request, not an error
    """Raised by the ``beat`` callback to end the child at once."""


def run(
    job: Mapping[str, Any],
    *,
    beat: Callable[[], None],
    progress: Callable[[int, int | None, str], None],
) -> Outcome:
    """Run one job (see ``child.main``) to its end, its limits, or until ``beat`` raises Stop.

    ``beat`` is called about ten times a second. The child is gone when this returns, or, once it has answered, as good
    as: it is ended while the caller goes on. Raises OSError when the machine gives no process.
    """
    started = time.monotonic()
    child = children.start(job)
    outcome = Outcome()
    try:
        _follow(child, job, outcome, beat=beat, progress=progress)
    except BaseException:
        child.end()
        raise
    finally:
        children.prepare_later()
    if outcome.result is not None:
        child.end_later()
    else:
        exit_code = child.end()
        outcome.error = outcome.error or _crash(exit_code)
    outcome.resources["wall_seconds"] = round(time.monotonic() - started, 4)
    return outcome


def warm_up() -> None:
    """Import the steps here and in the server process, which takes seconds.

    A worker does this before it takes its first step, whose lease would otherwise run while nothing renews it.
    """
    children.warm_up()
    registry()


def _follow(
    child: children.Child,
    job: Mapping[str, Any],
    outcome: Outcome,
    *,
    beat: Callable[[], None],
    progress: Callable[[int, int | None, str], None],
) -> None:
    peak, started = 0, time.monotonic()
    while outcome.result is None and not outcome.error:
        ready = wait([child.pipe, child.sentinel], timeout=_TICK_SECONDS)
        with suppress(EOFError, OSError):
            while child.pipe.poll():
                _hear(json.loads(child.pipe.recv_bytes()), outcome, progress)
        peak = max(peak, _memory_of(child.pid))
        outcome.resources.setdefault("peak_bytes", 0)
        outcome.resources["peak_bytes"] = max(outcome.resources["peak_bytes"], peak)
        if outcome.result is not None or outcome.error or child.sentinel in ready:
            return
        if peak > job["memory_bytes"]:
            limit = job["memory_bytes"] / 2**20
            outcome.error = _error("memory", f"The step used {peak / 2**20:,.0f} MiB; its limit is {limit:,.0f} MiB.")
        elif time.monotonic() - started > job["seconds"]:
            outcome.error = _error("timeout", f"The step did not finish within its {job['seconds']:g} seconds.")
        beat()


def _hear(message: dict[str, Any], outcome: Outcome, progress: Callable[[int, int | None, str], None]) -> None:
    if "progress" in message:
        progress(*message["progress"])
    if "log" in message:
        outcome.log.append(message["log"])
    outcome.result = message.get("result", outcome.result)
    outcome.error = message.get("error", outcome.error)
    outcome.resources.update(message.get("usage", {}))


def _crash(exit_code: int | None) -> dict[str, Any]:
    code = exit_code or 0
    cause = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
    return _error("crashed", f"The step's process ended without an answer ({cause}).")


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"kind": kind, "message": message, "param": "", "details": {}}


def _memory_of(pid: int | None) -> int:
    """Resident bytes of a process, 0 when it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
