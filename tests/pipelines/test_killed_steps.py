"""A worker process is killed in the middle of each step of a real pipeline; the run still ends, and nothing is half
written."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from examples.breast_cancer import write_breast_cancer
from pipelines.engine import execution, leases
from pipelines.models import Evidence, ModelVersion, Run, RunState, StepRun, StepState
from pipelines.services import registration, runs
from security.log import verification
from security.vault import services as vault
from security.vault.models import Artifact

pytestmark = [pytest.mark.worker, pytest.mark.django_db(transaction=True)]
ROOT = Path(__file__).resolve().parents[2]
EXECUTE = (
    "import sys, django; django.setup()\n"
    "from pipelines.engine import execution, sandbox\n"
    "sandbox.warm_up()\n"
    "for line in sys.stdin: execution.execute(line.strip())\n"
)


def kill_in(step: StepRun, env: Mapping[str, str]) -> None:
    """Let another process execute the step, and kill it once the step is claimed."""
    process = subprocess.Popen([sys.executable, "-c", EXECUTE], cwd=ROOT, env=dict(env), stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(f"{step.pk}\n".encode())
    process.stdin.flush()
    deadline = time.monotonic() + 120
    while StepRun.objects.get(pk=step.pk).state == StepState.QUEUED:
        assert process.poll() is None, "the process ended by itself"
        assert time.monotonic() < deadline, "the process never took the step"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.stdin.close()
    assert process.wait() == -signal.SIGKILL


def test_a_worker_killed_in_the_middle_of_each_step_costs_a_retry_and_nothing_else(people, data_root, worker_env):
    write_breast_cancer(data_root)
    text = (ROOT / "examples" / "breast-cancer.yaml").read_text()
    version = registration.register(acting_user=people.engineer, system=people.system, text=text).version
    run = runs.create(acting_user=people.engineer, version=version)
    env = {**worker_env, "DJANGO_SETTINGS_MODULE": "controlplane.settings"}
    killed = []
    while (step := run.steps.filter(state=StepState.QUEUED).order_by("position").first()) is not None:
        kill_in(step, env)
        held = StepRun.objects.filter(pk=step.pk, state=StepState.RUNNING)
        if held.update(lease_expires_at=timezone.now() - timedelta(seconds=1)):
            killed.append(step.name)
            assert leases.reap()["lost"] == 1
            assert execution.execute(step.pk) == "succeeded"
    run = Run.objects.get(pk=run.pk)
    assert run.state == RunState.SUCCEEDED
    names = set(run.steps.values_list("name", flat=True))
    assert len(killed) >= len(names) - 2, f"too many ended before the kill: only {killed}"
    for step in run.steps.filter(name__in=killed):
        assert list(step.attempts.values_list("outcome", flat=True)) == ["lost", "succeeded"]
        assert step.outputs.count() == len({output.port for output in step.outputs.all()})
    assert ModelVersion.objects.count() == 1
    assert not Evidence.objects.filter(superseded_by__isnull=False).exists()
    for artifact in Artifact.objects.all():
        assert vault.read(artifact)
    assert verification.verify().ok
