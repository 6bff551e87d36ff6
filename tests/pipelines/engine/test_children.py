"""The processes that steps run in: one job each, one forked ahead, none left behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipelines.engine import children, sandbox

WAIT_SECONDS = 20


def until(true: Callable[[], object]) -> None:
    """Wait for something that happens soon. Fails when it does not."""
    end = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def gone(pid: int | None) -> bool:
    return not psutil.pid_exists(pid or 0) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def job(folder: Path, text: str = "number\n1\n") -> dict[str, Any]:
    """Reading a small file, as the engine asks for it."""
    folder.mkdir()
    source = folder / "in-file"
    source.write_text(text)
    return {
        "uses": "extract.csv@1",
        "params": {"path": "numbers.csv"},
        "inputs": {"file": str(source)},
        "folder": str(folder),
        "seed": 1,
        "seconds": 60,
        "memory_bytes": 2**31,
        "secret": "00" * 32,
    }


def run(job: dict[str, Any]) -> sandbox.Outcome:
    return sandbox.run(job, beat=lambda: None, progress=lambda done, total, note: None)


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[children.Child]:
    """The children that were given a job."""
    given: list[children.Child] = []
    give = children.Child.give

    def watched(child: children.Child, job: dict[str, Any]) -> None:
        given.append(child)
        give(child, job)

    monkeypatch.setattr(children.Child, "give", watched)
    return given


def test_each_job_has_a_process_of_its_own_that_is_gone_afterwards(tmp_path: Path, used: list[children.Child]):
    outcomes = [run(job(tmp_path / str(number))) for number in range(4)]
    assert [outcome.error for outcome in outcomes] == [{}] * 4
    pids = {child.pid for child in used}
    assert len(pids) == 4
    until(lambda: all(gone(pid) for pid in pids))


def test_a_child_waits_ready_for_the_next_job(tmp_path: Path, used: list[children.Child]):
    children.warm_up()
    ready = children._SPARES[0]
    assert run(job(tmp_path / "a")).result is not None
    assert used == [ready]
    until(lambda: children._SPARES)
    assert children._SPARES[0].pid != ready.pid


def test_a_child_that_died_while_it_waited_costs_nothing_but_time(tmp_path: Path, used: list[children.Child]):
    children.warm_up()
    until(lambda: children._SPARES)
    ready = children._SPARES[0]
    os.kill(ready.pid or 0, signal.SIGKILL)
    until(lambda: not ready.alive)
    assert run(job(tmp_path / "a")).result is not None
    assert used[-1].pid != ready.pid


def test_a_waiting_child_holds_no_secret(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SECRET_KEY", "held-by-the-worker-alone")
    children.warm_up()
    environment = psutil.Process(children._SPARES[0].pid).environ()
    assert "PATH" in environment
    assert "held-by-the-worker-alone" not in environment.values()


def test_a_child_that_nobody_needs_ends_when_its_worker_closes_the_pipe():
    child = children.Child()
    child.pipe.close()
    until(lambda: not child.alive)


def test_when_every_process_dies_at_once_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(child: children.Child, job: dict[str, Any]) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(children.Child, "give", refuse)
    with pytest.raises(BrokenPipeError):
        run(job(tmp_path / "a"))
