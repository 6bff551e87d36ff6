"""Registering the examples, running them, judging what came out, and submitting models, all as the engineer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from controlplane.demo.examples import Batch, DataMissingError, Example
from governance.models import PASSED, PENDING, Review
from governance.services import reviews
from pipelines.models import ModelVersion, Run, RunState, StepRun
from pipelines.models.run import OPEN_RUNS
from pipelines.services import registration, runs
from security.access.models import AISystem
from security.errors import ServiceError
from security.identity.models import User
from security.measurement import Verdict


@dataclass
class Planned:
    """One batch of an example and its run."""

    example: Example
    batch: Batch
    run: Run
    problems: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        return f"{self.example.slug} · {self.batch.label}" if len(self.example.batches) > 1 else self.example.slug


def prepare(examples: Sequence[Example], root: Path, data: Path | None) -> tuple[list[Example], list[str]]:
    """Write every example's data below ``root``; the examples that have theirs, and why the others are left out."""
    ready, left_out = [], []
    for example in examples:
        try:
            example.write(root, data)
        except DataMissingError as error:
            left_out.append(f"{example.slug} is left out. {error}")
        else:
            ready.append(example)
    return ready, left_out


def start(engineer: User, system: AISystem, example: Example) -> list[Planned]:
    """Register the specification and start one run per batch; one that is still open is followed, not doubled."""
    version = registration.register(acting_user=engineer, system=system, text=example.spec).version
    planned = []
    for batch in example.batches:
        open_runs = Run.objects.filter(version=version, state__in=OPEN_RUNS, created_by=engineer)
        same = [run for run in open_runs if dict(batch.parameters).items() <= run.parameters.items()]
        run = same[0] if same else runs.create(acting_user=engineer, version=version, parameters=batch.parameters)
        planned.append(Planned(example, batch, run))
    return planned


def judge(planned: Planned) -> None:
    """Compare a finished run with what it was made to show; differences become ``problems``."""
    planned.run.refresh_from_db()
    for step in planned.run.steps.all():
        planned.problems += _problems(step, planned.batch)
    found = {family(step) for step in planned.run.steps.filter(verdict=Verdict.FAIL)}
    for missing in sorted(planned.batch.findings - found):
        planned.problems.append(f"{missing} did not find what this batch was made with")
    if planned.run.state != RunState.SUCCEEDED and not planned.problems:
        planned.problems.append(f"the run ended {planned.run.state}")


def family(step: StepRun) -> str:
    """``monitor.drift`` of ``monitor.drift@1``."""
    return step.uses.partition("@")[0]


def _problems(step: StepRun, batch: Batch) -> list[str]:
    if step.error:
        return [f"{step.name}: {step.error.get('message', 'failed')}"]
    if not step.verdict or step.verdict == Verdict.PASS:
        return []
    expected = step.verdict == Verdict.FAIL and family(step) in batch.findings
    return [] if expected else [f"{step.name} is {step.verdict}, which is not expected here: {step.summary}"]


def submit(engineer: User, planned: Planned) -> list[Review]:
    """Put the run's models up for approval; one that is under review or decided already stays as it is.

    A refusal becomes a problem of the run.
    """
    made: list[Review] = []
    if not planned.batch.submit:
        return made
    for version in models_of(planned.run):
        if _decided_or_under_review(version):
            continue
        note = f"Trained by the demo on {planned.title}."
        try:
            made.append(reviews.submit(acting_user=engineer, model_version=version, note=note))
        except ServiceError as error:
            planned.problems.append(f"{version} could not be submitted: {error.message}")
    return made


def _decided_or_under_review(version: ModelVersion) -> bool:
    """Whether a review still stands; one whose evidence has changed since is closed here and makes room."""
    found = Review.objects.filter(model_version=version, state__in=(*PENDING, *PASSED))
    return any(reviews.refresh(review).state in (*PENDING, *PASSED) for review in found)


def models_of(run: Run) -> list[ModelVersion]:
    """The model versions that the run registered, or found registered already from the same bytes."""
    artifacts = [
        given.artifact_id
        for step in run.steps.filter(register__isnull=False).prefetch_related("inputs")
        for given in step.inputs.all()
    ]
    return list(
        ModelVersion.objects.filter(artifact__in=artifacts, model__system=run.system_id).select_related("model")
    )
