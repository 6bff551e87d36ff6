"""Datasets: named series of tables."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from pipelines.models.run import StepRun
from security.access.models import AISystem
from security.vault.models import Artifact


class Dataset(models.Model):
    """The tables that come out of one place of a pipeline: ``<pipeline>/<step>.<output>``."""

    system_path = "system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey(AISystem, on_delete=models.PROTECT, related_name="datasets")
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=["system", "name"], name="one_dataset_per_name"),)

    def __str__(self) -> str:
        return self.name


class DatasetVersion(models.Model):
    """One content of a dataset. ``columns`` is a list of ``{"name", "type", "personal"}``."""

    system_path = "dataset__system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    artifact = models.ForeignKey(Artifact, on_delete=models.PROTECT, related_name="dataset_versions")
    step_run = models.ForeignKey(StepRun, on_delete=models.PROTECT, related_name="dataset_versions")
    rows = models.BigIntegerField()
    columns = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "dataset version"
        ordering = ("-number",)
        constraints = (
            models.UniqueConstraint(fields=["dataset", "artifact"], name="one_dataset_version_per_content"),
            models.UniqueConstraint(fields=["dataset", "number"], name="one_dataset_version_per_number"),
        )

    def __str__(self) -> str:
        return f"{self.dataset.name} v{self.number}"
