"""What may start next, and when a run is over. Called inside a transaction that holds the run's row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from pipelines.engine.queue import send_after_commit
from pipelines.models import Run, RunState, StepRun, StepState
from pipelines.models.run import DONE_WELL
from security.canonical import urn
from security.log.events import Event
from security.log.services import record

_UNSTARTED = {StepState.WAITING, StepState.QUEUED}
_OPEN = _UNSTARTED | {StepState.RUNNING}
_OUTCOME_EVENTS = {
    RunState.SUCCEEDED: Event.RUN_SUCCEEDED,
    RunState.FAILED: Event.RUN_FAILED,
    RunState.CANCELLED: Event.RUN_CANCELLED,
}


def lock(run_id: UUID) -> Run:
    """The run's row, locked until the transaction ends; every change of a run or its steps goes through this lock."""
    return _locking().get(pk=run_id)


def lock_again(run: Run) -> Run:
    """The locked row of a run whose system and version were read before, which never change."""
    locked = Run.objects.select_for_update(of=("self",)).defer("code", "environment").get(pk=run.pk)
    locked.system, locked.version = run.system, run.version
    return locked


def lock_of(step_run_id: UUID | str) -> Run | None:
    """The locked run of a step, None when there is no such step. The step itself is to be read afterwards."""
    return _locking().filter(steps__pk=step_run_id).first()


def _locking() -> QuerySet[Run]:
    runs = Run.objects.select_for_update(of=("self",)).select_related("system", "version__pipeline").order_by()
    return runs.defer("version__canonical", "version__source", "code", "environment")  # large, and not needed here


def advance(run: Run) -> None:
    """Queue what became ready; after a failure or a cancel nothing new starts, and the run ends with its last step."""
    undone = [_Undone(*row) for row in _undone(run)]
    states = {step.state for step in undone}
    if run.cancel_requested_at is not None:
        states = _settle(run, states, StepState.CANCELLED)
    elif StepState.FAILED in states:
        states = _settle(run, states, StepState.SKIPPED)
    else:
        names = {step.name for step in undone}
        enqueue([step.pk for step in undone if step.state == StepState.WAITING and not _named(step.wiring) & names])
    if not states & _OPEN:
        _finish(run)


def enqueue(step_ids: Sequence[UUID]) -> None:
    """Mark steps queued and send them when the transaction commits."""
    if not step_ids:
        return
    StepRun.objects.filter(pk__in=step_ids).update(
        state=StepState.QUEUED, queued_at=timezone.now(), lease_token=None, lease_expires_at=None
    )
    for step_id in step_ids:
        send_after_commit(step_id)


def needs(step: StepRun) -> set[str]:
    """The names of the steps whose outputs this one reads."""
    return _named(step.wiring)


class _Undone(NamedTuple):
    """What scheduling needs to know of a step that is not done well."""

    pk: UUID
    name: str
    state: str
    wiring: dict[str, str]


def _undone(run: Run) -> QuerySet[StepRun, tuple[Any, ...]]:
    undone = StepRun.objects.filter(run_id=run.pk).exclude(state__in=DONE_WELL)
    return undone.order_by("position").values_list("pk", "name", "state", "wiring")


def _named(wiring: Mapping[str, str]) -> set[str]:
    return {reference.partition(".")[0] for reference in wiring.values()}


def _settle(run: Run, states: set[str], state: StepState) -> set[str]:
    """End what has not started; returns the states that remain."""
    if states & _UNSTARTED:
        unstarted = StepRun.objects.filter(run_id=run.pk, state__in=_UNSTARTED)
        unstarted.update(state=state, finished_at=timezone.now())
    return states - _UNSTARTED


def _finish(run: Run) -> None:
    states = dict(run.steps.order_by("position").values_list("name", "state"))
    if set(states.values()) <= set(DONE_WELL):
        run.state = RunState.SUCCEEDED
    else:
        run.state = RunState.CANCELLED if run.cancel_requested_at is not None else RunState.FAILED
    run.finished_at = timezone.now()
    run.save(update_fields=["state", "finished_at"])
    record(
        _OUTCOME_EVENTS[RunState(run.state)],
        acting_user=None,
        subject=urn("run", run.id),
        system=run.system.slug,
        payload={"steps": states},
    )
