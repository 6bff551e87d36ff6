"""Model versions without training: artifacts, runs, steps and lineage put straight into the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from django.db import transaction

from governance.policy import builtin
from pipelines.models import (
    Dataset,
    DatasetVersion,
    Evidence,
    Model,
    ModelVersion,
    Pipeline,
    PipelineVersion,
    Run,
    RunState,
    StepInput,
    StepOutput,
    StepRun,
    StepState,
)
from security.access.models import AISystem
from security.canonical import canonical_json, digest_of, sha256, urn
from security.identity.models import User
from security.log.events import Event
from security.log.services import record
from security.vault import services as vault
from security.vault.models import Artifact

HIGH = tuple(requirement.kind for requirement in builtin("high").evidence)
ABOUT_DATA = ("poisoning_scan", "data_profile", "pii_report", "drift_report")
MEASURED: dict[str, Any] = {
    "name": "accuracy",
    "value": 0.9375,
    "unit": "fraction",
    "direction": "higher_is_better",
    "n": 400,
    "interval": {"low": 0.91, "high": 0.96, "level": 0.95, "method": "bootstrap"},
    "slice": {},
    "note": "",
}
# what the rules of the built-in policies look at besides, by the kind of evidence
ALSO_MEASURED = {
    "holdout_metrics": ({"name": "roc_auc", "value": 0.97}, {"name": "calibration_error", "value": 0.02}),
    "slice_metrics": ({"name": "tpr_gap", "value": 0.05},),
    "fairness_metrics": ({"name": "tpr_gap", "value": 0.05},),
    "adversarial_eval": ({"name": "attack_success_rate", "value": 0.04, "slice": {"radius": "0.25"}},),
    "data_profile": ({"name": "rules_broken", "value": 0, "unit": "rules"},),
}
# the step that such evidence comes from, where a rule speaks of the results of that step alone
MADE_BY = {
    "holdout_metrics": "evaluate.classification@1",
    "slice_metrics": "evaluate.slices@1",
    "fairness_metrics": "evaluate.slices@1",
    "adversarial_eval": "attack.evasion@1",
    "data_profile": "validate.schema@1",
}


def store(system: AISystem, content: bytes, media_type: str = "application/octet-stream") -> Artifact:
    """Content in the vault, with its row and event."""
    with transaction.atomic():
        return vault.keep(vault.put([content]), acting_user=None, system=system, media_type=media_type)


def make_run(system: AISystem, user: User, *, name: str = "tiny", registered_by: User | None = None) -> Run:
    """A finished run of a (new) version of the pipeline ``name``, with the events that the services write."""
    author = registered_by or user
    with transaction.atomic():
        pipeline, _ = Pipeline.objects.get_or_create(
            system=system, name=name, defaults={"title": name, "created_by": author}
        )
        content = canonical_json({"name": name, "version": pipeline.versions.count() + 1}).decode()
        version = PipelineVersion.objects.create(
            pipeline=pipeline,
            number=pipeline.versions.count() + 1,
            digest=sha256(content.encode()),
            canonical=content,
            source=content,
            created_by=author,
        )
        subject = urn("pipeline-version", version.pk)
        told = {"pipeline": name, "number": version.number, "digest": version.digest}
        record(Event.PIPELINE_VERSION_REGISTERED, acting_user=author, subject=subject, system=system.slug, payload=told)
        run = Run.objects.create(
            system=system,
            version=version,
            number=pipeline.versions.count(),
            seed=1,
            state=RunState.SUCCEEDED,
            created_by=user,
            code={"sha256": "0" * 64},
        )
        told = {"version": version.digest, "seed": run.seed}
        record(Event.RUN_CREATED, acting_user=user, subject=urn("run", run.pk), system=system.slug, payload=told)
    return run


def make_step(
    run: Run,
    name: str,
    *,
    inputs: Mapping[str, Artifact] | None = None,
    outputs: Mapping[str, tuple[str, Artifact]] | None = None,
    origin: str = "",
    reused_from: StepRun | None = None,
) -> StepRun:
    """A finished step; ``outputs`` maps a port to its kind and artifact."""
    step = StepRun.objects.create(
        run=run,
        name=name,
        uses=f"test.{name}@1",
        position=run.steps.count(),
        timeout_seconds=1,
        memory_bytes=1,
        state=StepState.REUSED if reused_from else StepState.SUCCEEDED,
        reused_from=reused_from,
        params={"how": name},
    )
    for port, artifact in (inputs or {}).items():
        StepInput.objects.create(step_run=step, port=port, artifact=artifact, origin=origin)
    for port, (kind, artifact) in (outputs or {}).items():
        StepOutput.objects.create(step_run=step, port=port, kind=kind, artifact=artifact)
        if kind == "table" and reused_from is None:
            dataset, _ = Dataset.objects.get_or_create(
                system=run.system, name=f"{run.version.pipeline.name}/{name}.{port}"
            )
            DatasetVersion.objects.get_or_create(
                dataset=dataset,
                artifact=artifact,
                defaults={"number": dataset.versions.count() + 1, "step_run": step, "rows": 100},
            )
    return step


def make_model_version(
    system: AISystem,
    user: User,
    *,
    name: str = "tiny",
    registered_by: User | None = None,
    kinds: Sequence[str] = HIGH,
    verdict: str = "pass",
    content: bytes = b"",
) -> ModelVersion:
    """file → load → table → train → model, with evidence of ``kinds``, registered by ``user``'s run."""
    seed = content or uuid4().bytes
    run = make_run(system, user, name=name, registered_by=registered_by)
    source = store(system, b"a,b,label\n" + seed.hex().encode())
    table = store(system, b"table" + seed, "application/vnd.apache.parquet")
    bytes_of_model = store(system, b"model" + seed, "application/x-skops")
    report = store(system, canonical_json({"seed": seed.hex()}), "application/json")
    make_step(run, "load", inputs={"file": source}, outputs={"table": ("table", table)}, origin="tiny.csv")
    train = make_step(
        run,
        "train",
        inputs={"table": table},
        outputs={"model": ("model", bytes_of_model), "report": ("report", report)},
    )
    registering = make_step(run, "register", inputs={"model": bytes_of_model, "training": report})
    for kind in kinds:
        add_evidence(train, kind, table if kind in ABOUT_DATA else bytes_of_model, verdict=verdict, report=report)
    model, _ = Model.objects.get_or_create(system=system, name=name)
    with transaction.atomic():
        version = ModelVersion.objects.create(
            model=model,
            number=model.versions.count() + 1,
            artifact=bytes_of_model,
            training_report=report,
            step_run=registering,
            created_by=user,
        )
        record(
            Event.MODEL_VERSION_REGISTERED,
            acting_user=user,
            subject=urn("model-version", version.pk),
            system=system.slug,
            payload={"run": str(run.pk), "digest": bytes_of_model.digest},
        )
    return version


def measured(value: float | None, **more: Any) -> dict[str, Any]:
    """A measurement as it is stored, with an interval of a point to either side."""
    interval = None if value is None else {**MEASURED["interval"], "low": value - 0.01, "high": value + 0.01}
    return {**MEASURED, "value": value, "interval": interval, **more}


def add_evidence(
    step: StepRun,
    kind: str,
    subject: Artifact,
    *,
    verdict: str = "pass",
    report: Artifact | None = None,
    n: int = 400,
    seed: int = 0,
    measurements: Sequence[Mapping[str, Any]] | None = None,
    uses: str = "",
) -> Evidence:
    """A result of ``step`` on ``subject``, digested as the engine does it; an older one of its kind is superseded."""
    if measurements is None:
        measurements = [{**MEASURED, "n": n}, *(measured(**one) for one in ALSO_MEASURED.get(kind, ()))]
    uses = uses or MADE_BY.get(kind, step.uses)
    content = {
        "kind": kind,
        "subject": subject.digest,
        "uses": uses,
        "params": step.params,
        "measurements": measurements,
        "verdict": verdict,
        "report": report.digest if report else "",
    }
    with transaction.atomic():
        made = Evidence.objects.create(
            system=subject.system,
            kind=kind,
            subject=subject,
            step_run=step,
            uses=uses,
            measurements=list(measurements),
            verdict=verdict,
            summary=f"{kind} {verdict}",
            report=report,
            digest=digest_of(content),
            seed=seed,
        )
        older = Evidence.objects.filter(kind=kind, subject=subject, uses=uses, superseded_by=None)
        replaced = list(older.exclude(pk=made.pk).order_by("pk").values_list("pk", flat=True))
        Evidence.objects.filter(pk__in=replaced).update(superseded_by=made)
        record(
            Event.EVIDENCE_RECORDED,
            acting_user=None,
            subject=urn("evidence", made.pk),
            system=subject.system.slug,
            payload={
                "kind": kind,
                "subject": str(subject.pk),
                "verdict": verdict,
                "digest": made.digest,
                "basis": made.basis,
                "seed": made.seed,
                "supersedes": [str(pk) for pk in replaced],
            },
        )
    return made
