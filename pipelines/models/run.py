"""Runs, their steps, and what went in and out."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from pipelines.models.pipeline import PipelineVersion
from security.access.models import AISystem
from security.vault.models import Artifact


class RunState(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StepState(models.TextChoices):
    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REUSED = "reused"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


OPEN_RUNS = (RunState.QUEUED, RunState.RUNNING)
DONE_WELL = (StepState.SUCCEEDED, StepState.REUSED)


class Run(models.Model):
    """One execution of a pipeline version."""

    system_path = "system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey(AISystem, on_delete=models.PROTECT, related_name="runs")
    version = models.ForeignKey(PipelineVersion, on_delete=models.PROTECT, related_name="runs")
    number = models.PositiveIntegerField()
    parameters = models.JSONField(default=dict)
    seed = models.BigIntegerField()
    state = models.CharField(max_length=10, choices=RunState.choices, default=RunState.QUEUED, db_index=True)
    code = models.JSONField(default=dict)
    environment = models.JSONField(default=dict)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="runs")
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)
        constraints = (models.UniqueConstraint(fields=["version", "number"], name="one_run_per_number"),)

    def __str__(self) -> str:
        return f"{self.version} run {self.number}"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_RUNS


class StepRun(models.Model):
    """One step of a run. The database decides who works on it: by state, lease and the lease's token."""

    system_path = "run__system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="steps")
    name = models.CharField(max_length=63)
    uses = models.CharField(max_length=80)
    position = models.PositiveIntegerField()
    params = models.JSONField(default=dict)
    wiring = models.JSONField(default=dict)  # input port → "step.output"
    timeout_seconds = models.FloatField()
    memory_bytes = models.BigIntegerField()

    state = models.CharField(max_length=10, choices=StepState.choices, default=StepState.WAITING)
    attempt = models.PositiveSmallIntegerField(default=0)
    worker = models.CharField(max_length=120, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    queued_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    progress = models.JSONField(default=dict)  # {"done": rows, "total": rows or null, "note": text}

    reuse_key = models.CharField(max_length=64, blank=True)
    reused_from = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="reuses")
    verdict = models.CharField(max_length=12, blank=True)
    summary = models.TextField(blank=True)
    measurements = models.JSONField(default=list)
    register = models.JSONField(null=True, blank=True)
    error = models.JSONField(default=dict)  # {"kind", "message", "param", "details"}
    resources = models.JSONField(default=dict)  # {"wall_seconds", "cpu_seconds", "peak_bytes"}
    log = models.TextField(blank=True)

    class Meta:
        verbose_name = "step"
        ordering = ("run", "position")
        constraints = (models.UniqueConstraint(fields=["run", "name"], name="one_step_per_name"),)
        indexes = (
            models.Index(fields=["state", "lease_expires_at"], name="step_lease"),
            models.Index(fields=["reuse_key"], name="step_reuse"),
        )

    def __str__(self) -> str:
        return self.name


class StepAttempt(models.Model):
    """One try at a step by one worker."""

    step_run = models.ForeignKey(StepRun, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    worker = models.CharField(max_length=120)
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=12, blank=True)
    error = models.JSONField(default=dict)
    resources = models.JSONField(default=dict)

    class Meta:
        ordering = ("number",)
        constraints = (models.UniqueConstraint(fields=["step_run", "number"], name="one_attempt_per_number"),)


class StepInput(models.Model):
    """What went into a port. ``origin`` is the path of a source file, empty for another step's output."""

    step_run = models.ForeignKey(StepRun, on_delete=models.CASCADE, related_name="inputs")
    port = models.CharField(max_length=63)
    artifact = models.ForeignKey(Artifact, on_delete=models.PROTECT, related_name="used_by")
    origin = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ("port",)
        constraints = (models.UniqueConstraint(fields=["step_run", "port"], name="one_input_per_port"),)


class StepOutput(models.Model):
    """What came out of a port. ``info`` describes it: rows and schema of a table."""

    step_run = models.ForeignKey(StepRun, on_delete=models.CASCADE, related_name="outputs")
    port = models.CharField(max_length=63)
    kind = models.CharField(max_length=10)
    artifact = models.ForeignKey(Artifact, on_delete=models.PROTECT, related_name="made_by")
    info = models.JSONField(default=dict)

    class Meta:
        ordering = ("port",)
        constraints = (models.UniqueConstraint(fields=["step_run", "port"], name="one_output_per_port"),)
