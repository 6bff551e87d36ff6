"""Starting, cancelling and retrying runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from pipelines.engine import fingerprint, scheduler
from pipelines.models import Pipeline, PipelineVersion, Run, RunState, StepRun, StepState
from pipelines.selectors.pipelines import spec_of
from pipelines.spec.binding import BoundPipeline, bind
from pipelines.spec.errors import SpecErrors
from pipelines.spec.graph import graph
from pipelines.steps import registry
from security.access import selectors as access
from security.access.table import Action
from security.canonical import digest_of, urn
from security.errors import ConflictError, InvalidError
from security.identity.models import User
from security.log.events import Event
from security.log.services import record

DEFAULT_SEED = 1
MAX_SEED = 2**31 - 1
_RETRIED = (StepState.FAILED, StepState.CANCELLED, StepState.SKIPPED)


def create(
    *, acting_user: User, version: PipelineVersion, parameters: Mapping[str, Any] | None = None, seed: int | None = None
) -> Run:
    """Create a run and queue its first steps. Raises DeniedError, InvalidError (parameters, seed)."""
    system = version.pipeline.system
    access.require(acting_user, Action.RUN, system)
    chosen = DEFAULT_SEED if seed is None else seed
    if not 0 <= chosen <= MAX_SEED:
        raise InvalidError(f"A seed is a whole number from 0 to {MAX_SEED}.", field="seed")
    bound = _bind(version, parameters or {})
    with transaction.atomic():
        Pipeline.objects.select_for_update().get(pk=version.pipeline_id)
        last = Run.objects.filter(version__pipeline=version.pipeline_id).aggregate(last=Max("number"))["last"] or 0
        run = Run.objects.create(
            system=system,
            version=version,
            number=last + 1,
            parameters=dict(bound.parameters),
            seed=chosen,
            code=fingerprint.code(),
            environment=fingerprint.environment(),
            created_by=acting_user,
        )
        _create_steps(run, bound)
        payload = {
            "version": version.digest,
            "seed": chosen,
            "code": run.code["sha256"],
        }
        # not the values, since a person may write anything into them, and no bare digest, since short ones are guessed
        _record(Event.RUN_CREATED, acting_user, run, payload, personal={"parameters_sha256": digest_of(run.parameters)})
        scheduler.advance(run)
    return run


def cancel(*, acting_user: User, run: Run) -> Run:
    """Ask a run to stop: nothing new starts, and running steps end within seconds. Raises ConflictError."""
    access.require(acting_user, Action.CANCEL, run.system)
    with transaction.atomic():
        run = scheduler.lock(run.pk)
        if not run.is_open:
            raise ConflictError(f"This run has {run.state} already; there is nothing to cancel.")
        if run.cancel_requested_at is None:
            run.cancel_requested_at = timezone.now()
            run.save(update_fields=["cancel_requested_at"])
            _record(Event.RUN_CANCEL_REQUESTED, acting_user, run, {})
            scheduler.advance(run)
    return run


def retry(*, acting_user: User, run: Run) -> Run:
    """Continue a failed or cancelled run from the steps that did not succeed. Raises ConflictError."""
    access.require(acting_user, Action.RUN, run.system)
    with transaction.atomic():
        run = scheduler.lock(run.pk)
        if run.state not in (RunState.FAILED, RunState.CANCELLED):
            raise ConflictError(f"Only a failed or cancelled run can be retried; this one is {run.state}.")
        again = list(run.steps.filter(state__in=_RETRIED))
        run.state, run.finished_at, run.cancel_requested_at = RunState.RUNNING, None, None
        run.save(update_fields=["state", "finished_at", "cancel_requested_at"])
        for step in again:
            _reset(step)
        _record(Event.RUN_RETRIED, acting_user, run, {"steps": [step.name for step in again]})
        scheduler.advance(run)
    return run


def _bind(version: PipelineVersion, parameters: Mapping[str, Any]) -> BoundPipeline:
    try:
        return bind(spec_of(version), parameters, registry())
    except SpecErrors as found:
        errors = [error.as_dict() for error in found.errors]
        message = "; ".join(str(error) for error in found.errors[:3])
        raise InvalidError(message, field="parameters", extra={"errors": errors}) from None


def _create_steps(run: Run, bound: BoundPipeline) -> None:
    order = {name: place for place, name in enumerate(graph(bound.spec).order)}
    StepRun.objects.bulk_create(
        StepRun(
            run=run,
            name=step.name,
            uses=step.step.id,
            position=order[step.name],
            params=dict(step.arguments),
            wiring=dict(step.inputs),
            timeout_seconds=step.timeout,
            memory_bytes=step.memory,
        )
        for step in bound.steps.values()
    )


def _reset(step: StepRun) -> None:
    step.state, step.attempt = StepState.WAITING, 0
    step.started_at = step.finished_at = step.queued_at = None
    step.error, step.progress, step.verdict, step.summary, step.measurements = {}, {}, "", "", []
    step.save()


def _record(
    event: Event,
    acting_user: User,
    run: Run,
    payload: Mapping[str, Any],
    personal: Mapping[str, Any] | None = None,
) -> None:
    record(
        event,
        acting_user=acting_user,
        subject=urn("run", run.id),
        system=run.system.slug,
        payload=payload,
        personal=personal,
    )
