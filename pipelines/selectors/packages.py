"""Reading all that a package of a model version says, in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from pipelines.models import DatasetVersion, Evidence, ModelVersion, StepInput, StepOutput, StepRun
from pipelines.models.run import DONE_WELL
from pipelines.package.facts import Data, Facts, Finding
from pipelines.selectors.lineage import Ancestry, ancestry, evidence_on
from pipelines.selectors.whereabouts import read_report
from security.log.services import timestamp
from security.measurement import Verdict
from security.vault.models import Artifact

_CONVERTS, _EXTERNAL = "convert.onnx@1", "register.external@1"


def versions() -> QuerySet[ModelVersion]:
    """Versions with all that their package names: model, system, artifact, author, run with code and environment."""
    related = ("model__system", "artifact", "training_report", "created_by", "step_run__run__version__pipeline")
    return ModelVersion.objects.select_related(*related).defer("step_run__log", "step_run__run__version__source")


def facts(version: ModelVersion) -> Facts:
    """The facts of a version out of ``versions``. Raises DamagedError, UnavailableError for reports in the vault."""
    model, run = version.model, version.step_run.run
    above = ancestry(version)
    steps = {step.name: step for step in run.steps.defer("log").order_by("position")}
    own = _report_of(version.step_run)
    external = version.step_run.uses == _EXTERNAL
    training = {**({} if external else own), **(read_report(version.training_report) or {})}
    pipeline, known = run.version, _known_data(above, training)
    data = [*_data(known), *_declared(known, training)]
    return Facts(
        system={"slug": model.system.slug, "name": model.system.name, "purpose": model.system.purpose},
        model={"name": model.name, "description": str(own.get("description") or model.description)},
        number=version.number,
        version_id=str(version.pk),
        digest=version.artifact.digest,
        media_type=version.artifact.media_type,
        size=version.artifact.size,
        created_at=timestamp(version.created_at),
        created_by=version.created_by.full_name,
        training=training,
        origin={name: own[name] for name in ("supplier", "reference", "lineage") if own.get(name)} if external else {},
        run={
            "id": str(run.pk),
            "number": run.number,
            "seed": run.seed,
            "parameters": run.parameters,
            "code": run.code,
            "environment": run.environment,
            "started_at": timestamp(run.started_at) if run.started_at else "",
            "finished_at": timestamp(run.finished_at) if run.finished_at else "",
        },
        pipeline={"name": pipeline.pipeline.name, "number": pipeline.number, "digest": pipeline.digest},
        steps=list(_led_to(version, steps)),
        data=data,
        findings=[_finding(row) for row in evidence_on([version.artifact_id, *known])],
        onnx=_converted(version),
    )


def converted_artifact(version: ModelVersion, digest: str) -> Artifact:
    """The artifact of a conversion that ``facts`` named. Raises Artifact.DoesNotExist."""
    return Artifact.objects.get(system=version.model.system, digest=digest)


def _report_of(step: StepRun) -> Mapping[str, Any]:
    output = step.outputs.filter(port="report").select_related("artifact").first()
    return (read_report(output.artifact) if output is not None else None) or {}


def _led_to(version: ModelVersion, steps: Mapping[str, StepRun]) -> Iterator[dict[str, Any]]:
    """The steps of the registering run that the model came through, in their order."""
    made = StepOutput.objects.filter(step_run__run=version.step_run.run_id, artifact=version.artifact_id, kind="model")
    waiting = [name for name in made.values_list("step_run__name", flat=True) if name in steps]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [ref.partition(".")[0] for ref in steps[name].wiring.values()]
    for name, step in steps.items():
        if name in seen:
            yield {"name": name, "uses": step.uses, "params": step.params}


def _known_data(above: Ancestry, training: Mapping[str, Any]) -> dict[UUID, Artifact]:
    """The tables and sources of the ancestry, and the training data of an external model where this system has it."""
    rows = Artifact.objects.filter(pk__in=above.artifacts)
    return {row.pk: row for row in rows if row.pk in above.data or row.digest == _claimed(training)}


def _claimed(training: Mapping[str, Any]) -> str:
    """The digest of the training data that the supplier of an external model names; empty for others."""
    said = training.get("training")
    return str(said.get("sha256", "")) if isinstance(said, Mapping) else ""


def _data(known: Mapping[UUID, Artifact]) -> list[Data]:
    """By role and name. What is a version of a dataset has its name, rows and columns; a source its path."""
    tables = DatasetVersion.objects.filter(artifact__in=known).select_related("dataset").order_by("created_at")
    named = {row.artifact_id: row for row in tables}
    inputs = StepInput.objects.filter(artifact__in=known).exclude(origin="").order_by("pk")
    origins = dict(inputs.values_list("artifact", "origin"))
    found = []
    for pk, artifact in known.items():
        version = named.get(pk)
        if version is not None:
            found.append(Data(artifact.digest, "table", str(version), version.rows, version.columns))
        else:
            found.append(Data(artifact.digest, "source", origins.get(pk) or artifact.digest[:12]))
    return sorted(found, key=lambda one: (one.role, one.name, one.digest))


def _declared(known: Mapping[UUID, Artifact], training: Mapping[str, Any]) -> list[Data]:
    """Training data that is known by its digest only."""
    claimed = _claimed(training)
    held = {artifact.digest for artifact in known.values()}
    return [Data(claimed, "declared", "training data")] if claimed and claimed not in held else []


def _finding(row: Evidence) -> Finding:
    content = {
        "kind": row.kind,
        "subject": row.subject.digest,
        "uses": row.uses,
        "params": row.step_run.params,
        "measurements": row.measurements,
        "verdict": row.verdict,
        "report": row.report.digest if row.report else "",
    }
    return Finding(str(row.pk), row.digest, content, row.summary, timestamp(row.created_at))


def _converted(version: ModelVersion) -> dict[str, Any]:
    """The newest conversion to ONNX whose answers agree, unless the model is ONNX already or the file was erased."""
    steps = StepInput.objects.filter(artifact=version.artifact_id, port="model").values("step_run")
    passed: Iterable[StepOutput] = StepOutput.objects.filter(
        step_run__in=steps,
        step_run__uses=_CONVERTS,
        step_run__state__in=DONE_WELL,
        step_run__verdict=Verdict.PASS.value,
        port="onnx",
        artifact__shredded_at=None,
    ).select_related("artifact", "step_run")
    newest = max(passed, key=lambda output: (output.artifact.created_at, str(output.pk)), default=None)
    if newest is None:
        return {}
    inputs = _report_of(newest.step_run).get("inputs", {})
    return {"digest": newest.artifact.digest, "size": newest.artifact.size, "inputs": inputs}
