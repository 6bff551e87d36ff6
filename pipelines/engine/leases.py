"""Who works on a step: claimed by one update, kept by heartbeats, taken back by the reaper."""

from __future__ import annotations

import os
import platform
import time
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db.models import Count
from django.utils import timezone

from pipelines.engine import sandbox, scheduler
from pipelines.engine.queue import send
from pipelines.models import Run, RunState, StepAttempt, StepRun, StepState
from pipelines.models.run import OPEN_RUNS
from security.canonical import urn
from security.log.events import Event
from security.log.services import record, together

_STARTED = (
    "state", "attempt", "started_at", "finished_at", "worker", "lease_token", "lease_expires_at", "progress", "error",
    "log",
)  # fmt: skip


class LeaseLost(sandbox.Stop):
    """Somebody else holds the step now; what this worker did is thrown away."""


class Cancelled(sandbox.Stop):
    """The run's cancel was asked for."""


class Lease:
    """A worker's hold on one step. ``beat`` renews it now and then and raises when it is lost or cancelled."""

    def __init__(self, step: StepRun, token: UUID, attempt: StepAttempt) -> None:
        self.step_id, self.run_id, self.token, self.attempt = step.pk, step.run_id, token, attempt
        self._period = settings.ENGINE_LEASE_SECONDS / 4
        self._renewed = self._shown = time.monotonic()
        self._progress: dict[str, object] = {}

    def beat(self) -> None:
        """Renew the lease when a quarter of it has passed, and write new progress at most once a second."""
        now = time.monotonic()
        due = now - self._renewed >= self._period
        if not due and not (self._progress and now - self._shown >= 1.0):
            return
        self._renewed = self._shown = now
        changes: dict[str, object] = {"lease_expires_at": _until()}
        if self._progress:
            changes["progress"], self._progress = self._progress, {}
        held = StepRun.objects.filter(pk=self.step_id, lease_token=self.token, state=StepState.RUNNING)
        if not held.update(**changes):
            raise LeaseLost
        if Run.objects.filter(pk=self.run_id, cancel_requested_at__isnull=False).exists():
            raise Cancelled

    def progress(self, done: int, total: int | None, note: str) -> None:
        """Remember how far the step is; ``beat`` writes it."""
        self._progress = {"done": done, "total": total, "note": note, "at": timezone.now().isoformat()}


def claim(step_run_id: UUID | str) -> tuple[StepRun, Lease] | None:
    """Take a queued step; None when it is not queued (any more), which makes a repeated message harmless."""
    with together():
        run = scheduler.lock_of(step_run_id)
        if run is None:
            return None
        step = run.steps.annotate(tries=Count("attempts")).get(pk=step_run_id)
        if step.state != StepState.QUEUED:
            return None
        if run.cancel_requested_at is not None:
            scheduler.advance(run)
            return None
        token = uuid4()
        attempt = _start(run, step, token, number=step.tries + 1)
    return step, Lease(step, token, attempt)


def reap() -> dict[str, int]:
    """Requeue what dead workers held, fail what they held too often, send again what was queued and lost.

    Idempotent; safe to run on several machines at once.
    """
    now = timezone.now()
    lost = StepRun.objects.filter(state=StepState.RUNNING, lease_expires_at__lt=now)
    counts = {"lost": sum(_take_back(step_id, run_id) for step_id, run_id in lost.values_list("pk", "run"))}
    patience = now - timedelta(seconds=settings.ENGINE_LEASE_SECONDS)
    forgotten = StepRun.objects.filter(state=StepState.QUEUED, queued_at__lt=patience, run__state__in=OPEN_RUNS)
    counts["sent"] = 0
    for step_id in list(forgotten.values_list("pk", flat=True)[:500]):
        # the later queued_at keeps the next round from sending it again at once
        if StepRun.objects.filter(pk=step_id, state=StepState.QUEUED).update(queued_at=now):
            counts["sent"] += send(step_id)
    return counts


def _start(run: Run, step: StepRun, token: UUID, *, number: int) -> StepAttempt:
    now = timezone.now()
    step.state, step.attempt, step.started_at, step.finished_at = StepState.RUNNING, step.attempt + 1, now, None
    step.worker = f"{platform.node()}:{os.getpid()}"
    step.lease_token, step.lease_expires_at = token, _until()
    step.progress, step.error, step.log = {}, {}, ""
    step.save(update_fields=_STARTED)
    attempt = StepAttempt.objects.create(step_run=step, number=number, worker=step.worker, started_at=now)
    if run.state == RunState.QUEUED:
        run.state, run.started_at = RunState.RUNNING, now
        run.save(update_fields=["state", "started_at"])
        record(Event.RUN_STARTED, acting_user=None, subject=urn("run", run.id), system=run.system.slug)
    payload = {"step": step.name, "uses": step.uses, "attempt": step.attempt}
    record(Event.STEP_STARTED, acting_user=None, subject=urn("step", step.id), system=run.system.slug, payload=payload)
    return attempt


def _take_back(step_id: UUID, run_id: UUID) -> bool:
    """One step whose lease ran out; False when it was finished or renewed meanwhile."""
    with together():
        return _take_back_locked(scheduler.lock(run_id), step_id)


def _take_back_locked(run: Run, step_id: UUID) -> bool:
    step = StepRun.objects.get(pk=step_id)
    if step.state != StepState.RUNNING or (step.lease_expires_at or timezone.now()) > timezone.now():
        return False
    step.attempts.filter(finished_at=None).update(finished_at=timezone.now(), outcome="lost")
    payload = {"step": step.name, "attempt": step.attempt}
    record(Event.STEP_LOST, acting_user=None, subject=urn("step", step.id), system=run.system.slug, payload=payload)
    if step.attempt >= settings.ENGINE_MAX_ATTEMPTS and run.cancel_requested_at is None:
        _give_up(run, step)
    else:
        scheduler.enqueue([step.pk])
    scheduler.advance(run)
    return True


def _give_up(run: Run, step: StepRun) -> None:
    step.state, step.finished_at, step.lease_token = StepState.FAILED, timezone.now(), None
    message = f"The worker died {step.attempt} times in this step; look for its memory use, then retry the run."
    step.error = {"kind": "lost", "message": message, "param": "", "details": {}}
    step.save(update_fields=["state", "finished_at", "lease_token", "error"])
    payload = {"step": step.name, "kind": "lost"}
    record(Event.STEP_FAILED, acting_user=None, subject=urn("step", step.id), system=run.system.slug, payload=payload)


def _until() -> datetime:
    return timezone.now() + timedelta(seconds=settings.ENGINE_LEASE_SECONDS)
