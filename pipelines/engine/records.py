"""What a finished step leaves behind besides its outputs: evidence, dataset versions, model versions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.db.models import Exists, Max, OuterRef, Q

from pipelines.models import Dataset, DatasetVersion, Evidence, Model, ModelVersion, Run, StepRun
from pipelines.selectors.lineage import upstream_of
from pipelines.steps.contract import Step
from security.canonical import digest_of, urn
from security.log.events import Event
from security.log.services import record
from security.measurement import Verdict
from security.vault.models import Artifact

if TYPE_CHECKING:
    from pipelines.engine.completion import Output


_SEEN = "judged on a table that the model was made from, which shows nothing of data that it has not seen"


def step_seed(run_seed: int, name: str) -> int:
    """A step's own 32-bit seed, from the run's seed and the step's name."""
    return int.from_bytes(hashlib.sha256(f"{run_seed}:{name}".encode()).digest()[:4], "big")


def evidence(
    step: StepRun, run: Run, definition: Step, inputs: Mapping[str, Artifact], outputs: Mapping[str, Artifact]
) -> list[Evidence]:
    """One Evidence for each kind and subject that the step's definition names; what it replaces is superseded.

    Its digest covers kind, subject, step, measurements, verdict and report, so an approval can bind to it. A model that
    was judged on a table that it was made from has not been judged: INCONCLUSIVE, whatever the step says.
    """
    subjects = [artifact for port in definition.about if (artifact := outputs.get(port) or inputs.get(port))]
    seen = _judged_on_its_own_data(definition, inputs)
    report = next(
        (outputs[port] for port, spec in definition.outputs.items() if spec.kind == "report" and port in outputs), None
    )
    basis = digest_of(
        {"uses": step.uses, "params": step.params, "inputs": {port: item.digest for port, item in inputs.items()}}
    )
    made = []
    for kind in definition.evidence:
        for subject in subjects:
            made.append(_evidence(step, run, kind, subject, report, basis, seen=seen))
    return made


def _judged_on_its_own_data(definition: Step, inputs: Mapping[str, Artifact]) -> bool:
    """Whether a table to judge by came in that some run used on the way to the model that came in."""
    models, tables = (
        {
            inputs[port].pk
            for port, spec in definition.inputs.items()
            if spec.kind == kind and port in inputs and not spec.learned_from
        }
        for kind in ("model", "table")
    )
    return bool(models and tables and tables & set().union(*upstream_of(models).values()))


def _evidence(
    step: StepRun, run: Run, kind: str, subject: Artifact, report: Artifact | None, basis: str, *, seen: bool
) -> Evidence:
    verdict = step.verdict or Verdict.INCONCLUSIVE.value
    if seen and verdict == Verdict.PASS.value:
        verdict = Verdict.INCONCLUSIVE.value
    content = {
        "kind": kind,
        "subject": subject.digest,
        "uses": step.uses,
        "params": step.params,
        "measurements": step.measurements,
        "verdict": verdict,
        "report": report.digest if report else "",
    }
    new = Evidence.objects.create(
        system=run.system,
        kind=kind,
        subject=subject,
        step_run=step,
        uses=step.uses,
        basis=basis,
        seed=step_seed(run.seed, step.name),
        measurements=step.measurements,
        verdict=verdict,
        summary=f"{_SEEN}; {step.summary}" if seen else step.summary,
        report=report,
        digest=digest_of(content),
    )
    payload = {
        "kind": kind,
        "subject": str(subject.pk),
        "verdict": new.verdict,
        "digest": new.digest,
        "basis": new.basis,
        "seed": new.seed,
        "supersedes": _supersede_older(new),
    }
    record(
        Event.EVIDENCE_RECORDED,
        acting_user=None,
        subject=urn("evidence", new.id),
        system=run.system.slug,
        payload=payload,
    )
    return new


def _supersede_older(new: Evidence) -> list[str]:
    """Mark what ``new`` replaces, the same check on the same subject; returns their ids, for the log.

    A FAIL is replaced only under the seed that the step itself ran with, which hangs on its name too: neither another
    seed nor another name is a second draw. An inconclusive result, such as an attack that ran out of time, may be.
    """
    same = Evidence.objects.filter(kind=new.kind, subject=new.subject, basis=new.basis, superseded_by=None)
    luck = Q(verdict=Verdict.FAIL.value) & ~Q(seed=new.seed)
    replaced = list(same.exclude(pk=new.pk).exclude(luck).order_by("pk").values_list("pk", flat=True))
    Evidence.objects.filter(pk__in=replaced).update(superseded_by=new)
    return [str(pk) for pk in replaced]


def datasets(step: StepRun, run: Run, outputs: Sequence[Output], made: Mapping[str, Artifact]) -> None:
    """A DatasetVersion for each table that came out; the same content again is the same version."""
    for output in outputs:
        if output.kind != "table":
            continue
        name = f"{run.version.pipeline.name}/{step.name}.{output.port}"
        artifact = made[output.port]
        dataset, last, known = _dataset(run, name, artifact)
        if known:
            continue
        version = DatasetVersion.objects.create(
            dataset=dataset,
            number=last + 1,
            artifact=artifact,
            step_run=step,
            rows=output.info["rows"],
            columns=output.info["columns"],
        )
        record(
            Event.DATASET_VERSION_REGISTERED,
            acting_user=None,
            subject=urn("dataset-version", version.id),
            system=run.system.slug,
            payload={"dataset": name, "number": version.number, "artifact": str(artifact.pk), "rows": version.rows},
        )


def _dataset(run: Run, name: str, artifact: Artifact) -> tuple[Dataset, int, bool]:
    """The dataset of that name, made if need be; its last version's number; whether one holds the artifact already."""
    same = Exists(DatasetVersion.objects.filter(dataset=OuterRef("pk"), artifact=artifact))
    named = Dataset.objects.filter(system=run.system, name=name).annotate(last=Max("versions__number"), known=same)
    found = named.first()
    if found is None:
        try:
            with transaction.atomic():
                return Dataset.objects.create(system=run.system, name=name), 0, False
        except IntegrityError:  # another run made it meanwhile
            found = named.get()
    return found, found.last or 0, found.known


def registration(step: StepRun, run: Run, inputs: Mapping[str, Artifact]) -> ModelVersion | None:
    """The ModelVersion that the step asked for, if it did; the same bytes again are the same version."""
    asked = step.register
    if not asked:
        return None
    artifact = inputs[asked["port"]]
    model, _ = Model.objects.get_or_create(
        system=run.system, name=asked["model"], defaults={"description": asked["description"]}
    )
    existing = model.versions.filter(artifact=artifact).first()
    if existing is not None:
        return existing
    version = ModelVersion.objects.create(
        model=model,
        number=(model.versions.aggregate(last=Max("number"))["last"] or 0) + 1,
        artifact=artifact,
        training_report=inputs.get(asked["training"]) if asked["training"] else None,
        step_run=step,
        created_by=run.created_by,
    )
    record(
        Event.MODEL_VERSION_REGISTERED,
        acting_user=run.created_by,
        subject=urn("model-version", version.id),
        system=run.system.slug,
        payload={"model": model.name, "number": version.number, "digest": artifact.digest, "run": str(run.id)},
    )
    return version
