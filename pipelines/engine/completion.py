"""How an attempt ends: one transaction with the step, its artifacts, lineage, evidence, registrations and audit.

Every ending checks the lease's token under the run's lock, so a worker that was given up for dead changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from pipelines.engine import records, scheduler
from pipelines.engine.leases import Lease
from pipelines.engine.sandbox import Outcome
from pipelines.models import Run, StepAttempt, StepInput, StepOutput, StepRun, StepState
from pipelines.steps.contract import Step
from security.canonical import urn
from security.log.events import Event
from security.log.services import record, together
from security.vault import services as vault
from security.vault.models import Artifact

_SOURCE_MEDIA_TYPE = "application/octet-stream"
_ENDED = (
    "state", "finished_at", "lease_token", "lease_expires_at", "reuse_key", "reused_from", "verdict", "summary",
    "measurements", "register", "error", "resources", "log",
)  # fmt: skip


@dataclass(frozen=True)
class Given:
    """One input: its digest, and the artifact, or a source that was just stored and has no row yet."""

    port: str
    digest: str
    artifact: Artifact | None
    source: vault.Stored | None = None
    origin: str = ""


@dataclass(frozen=True)
class Output:
    """One output that was just stored, and what the step said of it."""

    port: str
    kind: str
    media_type: str
    stored: vault.Stored
    info: Mapping[str, Any]


def succeeded(
    step: StepRun,
    lease: Lease,
    definition: Step,
    *,
    given: Sequence[Given],
    outputs: Sequence[Output],
    outcome: Outcome,
    key: str,
) -> str:
    """Record a result. A FAIL of a blocking check counts as failed, but its outputs and evidence are kept."""
    result = outcome.result or {}
    with together():
        run = _hold(step, lease)
        if run is None:
            return _lost(given, outputs)
        inputs = _keep_inputs(step, run, lease, given)
        made = {output.port: _keep_output(step, run, output) for output in outputs}
        step.verdict, step.summary, step.register = result["verdict"], result["summary"], result["register"]
        step.measurements, step.reuse_key = result["measurements"], key
        _take(step, outcome)
        blocked = definition.blocking and step.verdict == "fail"
        step.state = StepState.FAILED if blocked else StepState.SUCCEEDED
        if blocked:
            step.error = problem("blocked", step.summary or "The check failed, and it blocks the run.")
        event = Event.STEP_FAILED if blocked else Event.STEP_SUCCEEDED
        _end(step, run, lease, event, {"outputs": _ids(made), "verdict": step.verdict})
        records.evidence(step, run, definition, inputs, made)
        if not blocked:
            records.datasets(step, run, outputs, made)
            records.registration(step, run, inputs)
        scheduler.advance(run)
    return str(step.state)


def reused(step: StepRun, lease: Lease, given: Sequence[Given], earlier: StepRun, key: str) -> str:
    """Point to an earlier identical execution and take its outputs."""
    with together():
        run = _hold(step, lease)
        if run is None:
            return _lost(given)
        inputs = _keep_inputs(step, run, lease, given)
        taken = _take_over(step, earlier)
        step.state, step.reused_from, step.reuse_key = StepState.REUSED, earlier, key
        step.verdict, step.summary, step.register = earlier.verdict, earlier.summary, earlier.register
        step.measurements = earlier.measurements
        _end(step, run, lease, Event.STEP_REUSED, {"outputs": _ids(taken), "from": str(earlier.id)})
        records.registration(step, run, inputs)
        scheduler.advance(run)
    return "reused"


def failed(
    step: StepRun,
    lease: Lease,
    error: Mapping[str, Any],
    *,
    given: Sequence[Given] = (),
    outcome: Outcome | None = None,
) -> str:
    """Record why the step failed; what went in stays on record."""
    with together():
        run = _hold(step, lease)
        if run is None:
            return _lost(given)
        _keep_inputs(step, run, lease, given)
        step.state, step.error = StepState.FAILED, dict(error)
        if outcome is not None:
            _take(step, outcome)
        _end(step, run, lease, Event.STEP_FAILED, {"outputs": {}, "kind": error["kind"]})
        scheduler.advance(run)
    return "failed"


def cancelled(step: StepRun, lease: Lease) -> str:
    """Record that the step was stopped because its run is being cancelled."""
    with together():
        run = _hold(step, lease)
        if run is None:
            return "lost"
        step.state = StepState.CANCELLED
        _end(step, run, lease, Event.STEP_CANCELLED, {"outputs": {}})
        scheduler.advance(run)
    return "cancelled"


def problem(kind: str, message: str, *, param: str = "", details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The JSON of a step's error."""
    return {"kind": kind, "message": message, "param": param, "details": dict(details or {})}


def _lost(given: Sequence[Given], outputs: Sequence[Output] = ()) -> str:
    """Somebody else has the step: what this attempt stored is nobody's."""
    sources = [item.source for item in given if item.source is not None]
    for stored in (*sources, *(output.stored for output in outputs)):
        vault.discard(stored)
    return "lost"


def _hold(step: StepRun, lease: Lease) -> Run | None:
    """Lock the run and check that this worker still holds the step; None when it does not."""
    run = scheduler.lock_again(step.run)
    held = StepRun.objects.filter(pk=lease.step_id, lease_token=lease.token, state=StepState.RUNNING).exists()
    return run if held else None


def _keep_inputs(step: StepRun, run: Run, lease: Lease, given: Sequence[Given]) -> dict[str, Artifact]:
    if lease.attempt.number > 1:
        StepInput.objects.filter(step_run=step).delete()  # of an earlier attempt
        StepOutput.objects.filter(step_run=step).delete()
    kept = {}
    for item in given:
        artifact = item.artifact
        if item.source is not None:
            artifact = vault.keep(item.source, acting_user=None, system=run.system, media_type=_SOURCE_MEDIA_TYPE)
        if artifact is None:
            raise ValueError(f"input {item.port} has neither an artifact nor a source")
        StepInput.objects.create(step_run=step, port=item.port, artifact=artifact, origin=item.origin[:500])
        kept[item.port] = artifact
    return kept


def _keep_output(step: StepRun, run: Run, output: Output) -> Artifact:
    artifact = vault.keep(output.stored, acting_user=None, system=run.system, media_type=output.media_type)
    StepOutput.objects.create(
        step_run=step, port=output.port, kind=output.kind, artifact=artifact, info=dict(output.info)
    )
    return artifact


def _take(step: StepRun, outcome: Outcome) -> None:
    step.resources, step.log = outcome.resources, "\n".join(outcome.log)


def _take_over(step: StepRun, earlier: StepRun) -> dict[str, Artifact]:
    """The outputs of an earlier execution as this step's own."""
    outputs = list(earlier.outputs.all())
    for output in outputs:
        StepOutput.objects.create(
            step_run=step, port=output.port, kind=output.kind, artifact=output.artifact, info=output.info
        )
    return {output.port: output.artifact for output in outputs}


def _ids(made: Mapping[str, Artifact]) -> dict[str, str]:
    return {port: str(artifact.pk) for port, artifact in made.items()}


def _end(step: StepRun, run: Run, lease: Lease, event: Event, payload: Mapping[str, Any]) -> None:
    step.finished_at, step.lease_token, step.lease_expires_at = timezone.now(), None, None
    step.save(update_fields=_ENDED)
    StepAttempt.objects.filter(pk=lease.attempt.pk).update(
        finished_at=step.finished_at, outcome=str(step.state), error=step.error, resources=step.resources
    )
    record(
        event,
        acting_user=None,
        subject=urn("step", step.id),
        system=run.system.slug,
        payload={"step": step.name, **payload},
    )
