"""The model registry."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from pipelines.models.run import StepRun
from security.access.models import AISystem
from security.vault.models import Artifact


class Model(models.Model):
    """A registry entry: a named series of model versions in one AI system."""

    system_path = "system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey(AISystem, on_delete=models.PROTECT, related_name="models")
    name = models.CharField(max_length=63)
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=["system", "name"], name="one_model_per_name"),)

    def __str__(self) -> str:
        return self.name


class ModelVersion(models.Model):
    """One trained model: its bytes, the step that registered it, and the training report."""

    system_path = "model__system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    artifact = models.ForeignKey(Artifact, on_delete=models.PROTECT, related_name="model_versions")
    training_report = models.ForeignKey(Artifact, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    step_run = models.ForeignKey(StepRun, on_delete=models.PROTECT, related_name="model_versions")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)

    class Meta:
        verbose_name = "model version"
        ordering = ("-created_at",)
        constraints = (
            models.UniqueConstraint(fields=["model", "artifact"], name="one_model_version_per_content"),
            models.UniqueConstraint(fields=["model", "number"], name="one_model_version_per_number"),
        )

    def __str__(self) -> str:
        return f"{self.model.name} v{self.number}"
