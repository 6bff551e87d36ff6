"""A real worker process on the database and the broker in use: a run to its end, a killed worker, a lost message."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from unittest import mock

import psutil
import pytest
from django.db import connection

from pipelines.models import Evidence, Run, RunState, StepOutput, StepState
from pipelines.services import registration, runs
from security.log import verification
from security.vault import services as vault
from security.vault.models import Artifact
from tests.support.engine import errors_of

pytestmark = [pytest.mark.worker, pytest.mark.django_db(transaction=True)]
ROOT = Path(__file__).resolve().parents[2]
LEASE_SECONDS = 8
PATIENCE_SECONDS = 120.0  # a worker imports for 5 to 20 seconds, more on a busy machine

StartWorker = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def start_worker(worker_env: Mapping[str, str], tmp_path: Path) -> Iterator[StartWorker]:
    """Start workers with the clock inside; all of them are gone afterwards."""
    started: list[subprocess.Popen[bytes]] = []
    env = {
        **worker_env,
        "ENGINE_LEASE_SECONDS": str(LEASE_SECONDS),
        "ENGINE_REAP_SECONDS": "1",
        "ENGINE_MAX_ATTEMPTS": "9",
    }
    argv = [sys.executable, "-m", "celery", "-A", "controlplane.celery", "worker", "--beat", "--concurrency", "2"]

    def start() -> subprocess.Popen[bytes]:
        with (tmp_path / f"worker-{len(started)}.log").open("wb") as file:
            process = subprocess.Popen(argv, cwd=ROOT, env=env, stdout=file, stderr=file, start_new_session=True)
        started.append(process)
        return process

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def spec(how: str, **extra: object) -> str:
    given = ", ".join(f"{key}: {value}" for key, value in {"how": how, **extra}.items())
    return (
        "apiVersion: countersign/v1\nkind: Pipeline\nmetadata: {name: distant}\nsteps:\n"
        f"  - {{name: one, uses: test.misbehave@1, with: {{{given}}}}}\n"
        "  - {name: two, uses: test.misbehave@1, inputs: {table: one.table}, with: {how: work}}\n"
    )


def start_run(people, text: str) -> Run:
    version = registration.register(acting_user=people.engineer, system=people.system, text=text).version
    return runs.create(acting_user=people.engineer, version=version)


def wait_for(condition: Callable[[], bool], what: str, tmp_path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            logs = "\n".join(path.read_text()[-2000:] for path in tmp_path.glob("worker-*.log"))
            raise AssertionError(f"not within {PATIENCE_SECONDS:g} seconds: {what}\n{logs}")
        time.sleep(0.2)


def ended(run: Run) -> bool:
    run.refresh_from_db()
    return not run.is_open


def assert_nothing_is_half_written() -> None:
    """Every row has its bytes, every object its row, the log holds, and no step is left open."""
    artifacts = list(Artifact.objects.all())
    for artifact in artifacts:
        assert vault.read(artifact)
    objects = [path for path in Path(vault.store().location).rglob("*") if path.is_file()]
    assert sorted(path.name for path in objects) == sorted(Path(one.object_name).name for one in artifacts)
    assert verification.verify().ok


def test_a_worker_process_takes_a_run_to_its_end(people, start_worker, tmp_path):
    run = start_run(people, spec("work"))
    start_worker()
    wait_for(lambda: ended(run), "the run ends", tmp_path)
    assert errors_of(run) == {}
    assert run.state == RunState.SUCCEEDED
    assert dict(run.steps.values_list("name", "state")) == {"one": "succeeded", "two": "succeeded"}
    assert_nothing_is_half_written()


@pytest.mark.postgresql("a file has no server that hangs up")
def test_a_worker_whose_database_hung_up_between_two_runs_works_on(people, start_worker, tmp_path):
    start_worker()
    first = start_run(people, spec("work"))
    wait_for(lambda: ended(first), "the first run ends", tmp_path)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert cursor.fetchone()[0] >= 1  # the worker keeps its connections between tasks
    second = start_run(people, spec("work", amount=2))
    wait_for(lambda: ended(second), "the second run ends", tmp_path)
    assert (first.state, second.state) == (RunState.SUCCEEDED, RunState.SUCCEEDED)
    assert_nothing_is_half_written()


def test_another_worker_finishes_what_a_killed_one_held(people, start_worker, tmp_path):
    marker = tmp_path / "marker"
    run = start_run(people, spec("sleep", amount=8, marker=marker))
    victim = start_worker()
    wait_for(marker.exists, "the first worker is in the step", tmp_path)
    (step_process,) = [psutil.Process(int(line)) for line in marker.read_text().split()]
    victim.kill()
    start_worker()
    wait_for(lambda: not step_process.is_running(), "the dead worker's step process ends", tmp_path)
    wait_for(lambda: ended(run), "the second worker ends the run", tmp_path)
    assert errors_of(run) == {}
    assert run.state == RunState.SUCCEEDED
    step = run.steps.get(name="one")
    assert list(step.attempts.order_by("number").values_list("outcome", flat=True)) == ["lost", "succeeded"]
    assert len(set(step.attempts.values_list("worker", flat=True))) == 2
    assert len(marker.read_text().split()) == 2
    assert StepOutput.objects.filter(step_run=step).count() == 1
    assert Evidence.objects.filter(step_run=step).count() == 1
    assert_nothing_is_half_written()


def test_a_message_that_was_lost_is_sent_again_by_the_clock(people, start_worker, tmp_path):
    with mock.patch("pipelines.engine.queue.current_app") as broker:
        broker.send_task.side_effect = ConnectionError("away")
        run = start_run(people, spec("work"))
    assert run.steps.get(name="one").state == StepState.QUEUED
    start_worker()
    wait_for(lambda: ended(run), "the run ends although its message never arrived", tmp_path)
    assert errors_of(run) == {}
    assert run.state == RunState.SUCCEEDED
    assert_nothing_is_half_written()
