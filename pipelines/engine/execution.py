"""Executing one step: claim → load inputs by digest, verified → run in a child → store outputs → one transaction."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError
from django.db.models import F

from pipelines.engine import completion, leases, sandbox
from pipelines.engine.completion import Given, Output
from pipelines.engine.records import step_seed
from pipelines.engine.scheduler import needs
from pipelines.engine.sources import SourceError, open_source
from pipelines.models import StepOutput, StepRun
from pipelines.models.run import DONE_WELL
from pipelines.steps import registry
from pipelines.steps.contract import Step
from security.canonical import digest_of
from security.errors import UnavailableError
from security.vault import services as vault
from security.vault.models import Artifact
from security.vault.stream import DamagedError

log = logging.getLogger(__name__)
MEDIA_TYPES = {
    "table": "application/vnd.apache.parquet",
    "model": "application/x-skops",
    "report": "application/json",
    "file": "application/octet-stream",
}


def execute(step_run_id: UUID | str) -> str:
    """Carry one queued step to its end. Idempotent: a step that is not queued is left alone.

    Returns the outcome: ``succeeded``, ``reused``, ``failed``, ``cancelled``, ``lost`` or ``not queued``.
    """
    claimed = leases.claim(step_run_id)
    if claimed is None:
        return "not queued"
    step, lease = claimed
    with _private_folder() as folder:
        try:
            return _attempt(step, lease, folder)
        except leases.LeaseLost:
            log.warning("step %s: the lease was lost, the result is dropped", step.pk)
            return "lost"
        except leases.Cancelled:
            return completion.cancelled(step, lease)
        except DatabaseError:
            raise  # the lease runs out and the reaper tries again
        except Exception as error:  # a step must end with an answer
            if not isinstance(error, (SourceError, UnavailableError, DamagedError)):
                log.exception("step %s failed in the engine", step.pk)
            return completion.failed(step, lease, _problem(error))


def _problem(error: Exception) -> dict[str, Any]:
    """What went wrong around the step, not in it, as the step's error."""
    if isinstance(error, SourceError):
        return completion.problem("source", str(error), param="path")
    if isinstance(error, DamagedError):
        return completion.problem("damaged", str(error))
    if isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
        return completion.problem("store", f"The worker's disk failed ({reason}); nothing was stored.")
    if isinstance(error, UnavailableError):
        return completion.problem("store", str(error))
    message = f"The engine failed in a way it does not foresee ({type(error).__name__}); the worker's log says where."
    return completion.problem("internal", message)


def _attempt(step: StepRun, lease: leases.Lease, folder: Path) -> str:
    definition = registry().get(step.uses)
    if definition is None:
        message = f"This installation has no step {step.uses}; install the release that the spec was written for."
        return completion.failed(step, lease, completion.problem("step", message))
    given = [*_upstream(step), *_stored(step, definition), *_sources(step, definition, folder, lease.beat)]
    seed = step_seed(step.run.seed, step.name)
    key = reuse_key(step, given, seed)
    if (earlier := _earlier(step, key)) is not None:
        return completion.reused(step, lease, given, earlier, key)
    job = _job(step, definition, given, folder, seed, lease.beat)
    outcome = sandbox.run(job, beat=lease.beat, progress=lease.progress)
    if outcome.result is None:
        return completion.failed(step, lease, outcome.error, given=given, outcome=outcome)
    outputs = _store(definition, outcome.result, folder / "out", lease.beat)
    return completion.succeeded(step, lease, definition, given=given, outputs=outputs, outcome=outcome, key=key)


def reuse_key(step: StepRun, given: list[Given], seed: int) -> str:
    """What makes two executions the same: step id, parameters, seed, and the digests that went in."""
    inputs = {item.port: item.digest for item in given}
    return digest_of({"uses": step.uses, "params": step.params, "seed": seed, "inputs": inputs})


def _earlier(step: StepRun, key: str) -> StepRun | None:
    """An earlier success with the same key in the same system, whose outputs still verify as present."""
    found = StepRun.objects.filter(reuse_key=key, run__system=step.run.system_id, state="succeeded")
    for candidate in found.order_by("-finished_at").prefetch_related("outputs__artifact")[:3]:
        if all(_is_there(output.artifact) for output in candidate.outputs.all()):
            return candidate
    return None


def _is_there(artifact: Artifact) -> bool:
    return artifact.shredded_at is None and vault.is_whole(artifact)


def _upstream(step: StepRun) -> list[Given]:
    """The artifacts that other steps of this run made."""
    names = needs(step)
    if not names:
        return []
    outputs = StepOutput.objects.filter(
        step_run__run=step.run_id, step_run__name__in=names, step_run__state__in=DONE_WELL
    )
    outputs = outputs.select_related("artifact").annotate(of=F("step_run__name"))
    found = {f"{output.of}.{output.port}": output.artifact for output in outputs}
    missing = sorted(set(step.wiring.values()) - set(found))
    if missing:
        raise UnavailableError(f"The inputs {', '.join(missing)} do not exist; retry the run from the step before.")
    return [Given(port, found[ref].digest, found[ref]) for port, ref in sorted(step.wiring.items())]


def _stored(step: StepRun, definition: Step) -> list[Given]:
    """The artifacts that parameters name by digest; only the run's own system is searched."""
    wanted = {source.name: str(step.params[source.param]) for source in definition.sources if source.stored}
    if not wanted:
        return []
    rows = Artifact.objects.filter(system=step.run.system, digest__in=wanted.values(), shredded_at=None)
    found = {row.digest: row for row in rows}
    for name, digest in wanted.items():
        if definition.inputs[name].required and digest not in found:
            raise SourceError(f"This system has no artifact {digest[:12]}…; upload the file first.")
    return [Given(name, digest, found[digest]) for name, digest in wanted.items() if digest in found]


def _sources(step: StepRun, definition: Step, folder: Path, beat: Callable[[], None]) -> list[Given]:
    """Store each source file in the vault while copying it, so that what is hashed is what the step reads."""
    given = []
    for source in definition.sources:
        if source.stored:
            continue
        path = str(step.params[source.param])
        with open_source(path, settings.SOURCE_ROOTS) as file, (folder / f"in-{source.name}").open("xb") as copy:

            def watched(file: Any = file, copy: Any = copy) -> Iterator[bytes]:
                for chunk in vault.file_chunks(file):
                    beat()
                    copy.write(chunk)
                    yield chunk

            stored = vault.put(watched())
        given.append(Given(source.name, stored.digest, None, stored, origin=path))
    return given


def _job(
    step: StepRun, definition: Step, given: list[Given], folder: Path, seed: int, beat: Callable[[], None]
) -> dict[str, Any]:
    paths = {}
    for item in given:
        path = folder / f"in-{item.port}"
        if item.artifact is not None:
            beat()
            vault.copy_to(item.artifact, path)
        paths[item.port] = str(path)
    return {
        "uses": step.uses,
        "params": step.params,
        "inputs": paths,
        "folder": str(folder),
        "seed": seed,
        "seconds": step.timeout_seconds,
        "memory_bytes": step.memory_bytes,
        "secret": vault.system_secret(step.run.system).hex() if definition.keyed else "",
    }


def _store(definition: Step, result: dict[str, Any], folder: Path, beat: Callable[[], None]) -> list[Output]:
    outputs = []
    for port, info in sorted(result["outputs"].items()):
        kind = definition.outputs[port].kind
        with (folder / port).open("rb") as file:
            stored = vault.put(_beating(vault.file_chunks(file), beat))
        outputs.append(Output(port, kind, MEDIA_TYPES[kind], stored, info))
    return outputs


def _beating(chunks: Iterator[bytes], beat: Callable[[], None]) -> Iterator[bytes]:
    for chunk in chunks:
        beat()
        yield chunk


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder that only this attempt sees, gone afterwards."""
    folder = Path(tempfile.mkdtemp(dir=settings.ENGINE_SCRATCH, prefix="step-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
