"""Registered specs."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from security.access.models import AISystem


class Pipeline(models.Model):
    """A named series of specs in one AI system."""

    system_path = "system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey(AISystem, on_delete=models.PROTECT, related_name="pipelines")
    name = models.CharField(max_length=63)
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=["system", "name"], name="one_pipeline_per_name"),)

    def __str__(self) -> str:
        return self.name


class PipelineVersion(models.Model):
    """One immutable spec, named by the SHA-256 of its canonical form."""

    system_path = "pipeline__system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pipeline = models.ForeignKey(Pipeline, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    canonical = models.TextField()
    source = models.TextField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "pipeline version"
        ordering = ("-number",)
        constraints = (
            models.UniqueConstraint(fields=["pipeline", "digest"], name="one_version_per_digest"),
            models.UniqueConstraint(fields=["pipeline", "number"], name="one_version_per_number"),
        )

    def __str__(self) -> str:
        return f"{self.pipeline.name} v{self.number}"
