"""A large installation, made quickly: models with lineage and evidence, and a log that verifies."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction

from governance.policy import builtin
from governance.services import reviews
from pipelines.models import (
    Evidence,
    Model,
    ModelVersion,
    PipelineVersion,
    Run,
    RunState,
    StepInput,
    StepOutput,
    StepRun,
    StepState,
)
from pipelines.services import registration
from security.access.models import AISystem
from security.canonical import digest_of, sha256, urn
from security.identity.models import User
from security.log import outbox, sequencer
from security.log.entries import build
from security.log.events import Event
from security.log.identifiers import new_id
from security.log.models import AuditEvent
from security.log.services import timestamp
from security.vault.models import Artifact

KINDS = tuple(requirement.kind for requirement in builtin("high").evidence)
ABOUT_DATA = ("poisoning_scan", "data_profile", "pii_report", "drift_report")
STEPS = ("load", "train", "register")
BATCH = 2000
FILLED_AT_ONCE = 20_000


def spec(number: int) -> str:
    """A small valid specification."""
    return f"""
apiVersion: countersign/v1
kind: Pipeline
metadata: {{name: pipeline-{number}, title: Pipeline {number}}}
steps:
  - {{name: load, uses: extract.csv@1, with: {{path: data.csv}}}}
  - {{name: train, uses: train.sklearn@1, inputs: {{table: load.table}}, with: {{target: label}}}}
  - {{name: register, uses: register.model@1, inputs: {{model: train.model}}, with: {{model: model-{number}}}}}
"""


def fill_models(system: AISystem, engineer: User, count: int, *, pipelines: int = 20) -> list[ModelVersion]:
    """``count`` models of one version each: a run of three steps, a table and a model artifact, nine evidences."""
    versions = [
        registration.register(acting_user=engineer, system=system, text=spec(n)).version for n in range(pipelines)
    ]
    made: dict[type, list[Any]] = {}
    for number in range(count):
        _one(made, system, engineer, versions[number % pipelines], number)
    with transaction.atomic():
        for table in (Run, StepRun, Artifact, StepInput, StepOutput, Model, ModelVersion, Evidence):
            table.objects.bulk_create(made[table], batch_size=BATCH)
    return made[ModelVersion]


def _one(made: dict[type, list[Any]], system: AISystem, user: User, version: PipelineVersion, number: int) -> None:
    now = datetime.now(UTC) - timedelta(minutes=number)

    def add(row: Any) -> Any:
        made.setdefault(type(row), []).append(row)
        return row

    run = add(
        Run(
            system=system,
            version=version,
            number=number + 1,
            seed=1,
            state=RunState.SUCCEEDED,
            created_by=user,
            created_at=now,
            started_at=now,
            finished_at=now + timedelta(seconds=40),
            code={"files": 1, "sha256": "0" * 64},
        )
    )
    load, train, register = (
        add(
            StepRun(
                run=run,
                name=name,
                uses={"load": "extract.csv@1", "train": "train.sklearn@1", "register": "register.model@1"}[name],
                position=place,
                timeout_seconds=600,
                memory_bytes=2**32,
                state=StepState.SUCCEEDED,
                started_at=now,
                finished_at=now + timedelta(seconds=12),
            )
        )
        for place, name in enumerate(STEPS)
    )
    table, model = add(_artifact(system, f"table {number}")), add(_artifact(system, f"model {number}"))
    add(StepOutput(step_run=load, port="table", kind="table", artifact=table, info={"rows": 100, "columns": []}))
    add(StepInput(step_run=train, port="table", artifact=table))
    add(StepOutput(step_run=train, port="model", kind="model", artifact=model))
    add(StepInput(step_run=register, port="model", artifact=model))
    entry = add(Model(system=system, name=f"model-{number}"))
    add(ModelVersion(model=entry, number=1, artifact=model, step_run=register, created_by=user, created_at=now))
    for kind in KINDS:
        subject = table if kind in ABOUT_DATA else model
        add(_evidence(system, kind, subject, train))


def _artifact(system: AISystem, text: str) -> Artifact:
    return Artifact(
        system=system,
        digest=sha256(text.encode()),
        size=len(text),
        media_type="application/octet-stream",
        object_name=f"bench/{uuid.uuid4().hex}",
        object_sha256="0" * 64,
        object_size=1,
        key_id="k0",
        wrapped_key=b"",
    )


def _evidence(system: AISystem, kind: str, subject: Artifact, step: StepRun) -> Evidence:
    measured = {
        "name": "accuracy",
        "value": 0.91,
        "unit": "fraction",
        "direction": "higher_is_better",
        "n": 1000,
        "interval": {"low": 0.9, "high": 0.92, "level": 0.95, "method": "bootstrap"},
        "slice": {},
        "note": "",
    }
    return Evidence(
        system=system,
        kind=kind,
        subject=subject,
        step_run=step,
        uses="evaluate.classification@1",
        measurements=[measured] * 5,
        verdict="pass",
        digest=digest_of([kind, subject.digest]),
    )


def submit_some(versions: list[ModelVersion], engineer: User, count: int) -> None:
    """Reviews for the first ``count`` versions, through the service."""
    for version in versions[:count]:
        reviews.submit(acting_user=engineer, model_version=ModelVersion.objects.get(pk=version.pk), note="bench")


def fill_log(system: AISystem, user: User, count: int) -> None:
    """Record ``count`` events in bulk, and number them."""
    for first in range(0, count, FILLED_AT_ONCE):
        now, last = datetime.now(UTC), min(first + FILLED_AT_ONCE, count)
        made = [_event(system, user, number, now + timedelta(microseconds=number)) for number in range(first, last)]
        with transaction.atomic():
            outbox.insert(made)
        sequencer.number_all()


def _event(system: AISystem, user: User, number: int, now: datetime) -> AuditEvent:
    members = {
        "event": str(Event.STEP_SUCCEEDED),
        "actor": urn("user", user.id),
        "subject": urn("step", uuid.UUID(int=number)),
        "system": system.slug,
    }
    identifier, payload = new_id(), {"step": "train", "verdict": "pass"}
    entry = build(id=identifier.hex, time=timestamp(now), payload=payload, **members)
    return AuditEvent(id=identifier, time=now, entry=entry.decode(), **members)
