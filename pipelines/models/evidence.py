"""Evidence: one check's result on one subject. Never edited; a newer result of the same check supersedes it.

The same check means the same step, parameters and inputs (``basis``): a check that is run again with softer thresholds
or on other rows stands beside the older one. A FAIL is superseded only under the same seed (``seed`` is the
step's own, from the run's seed and the step's name), so that nobody runs a check until it passes by luck.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from pipelines.models.run import StepRun
from security.access.models import AISystem
from security.vault.models import Artifact


class Evidence(models.Model):
    """``kind`` is one of the evidence vocabulary; ``subject`` the artifact whose digest the result speaks of."""

    system_path = "system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey(AISystem, on_delete=models.PROTECT, related_name="evidence")
    kind = models.CharField(max_length=40)
    subject = models.ForeignKey(Artifact, on_delete=models.PROTECT, related_name="evidence")
    step_run = models.ForeignKey(StepRun, on_delete=models.PROTECT, related_name="evidence")
    uses = models.CharField(max_length=80)
    basis = models.CharField(max_length=64, blank=True)
    seed = models.BigIntegerField(default=0)
    measurements = models.JSONField(default=list)
    verdict = models.CharField(max_length=12)
    summary = models.TextField(blank=True)
    report = models.ForeignKey(Artifact, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    digest = models.CharField(max_length=64)
    superseded_by = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="supersedes"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "evidence"
        verbose_name_plural = "evidence"
        ordering = ("kind", "-created_at")
        indexes = (models.Index(fields=["subject", "kind"], name="evidence_subject"),)

    def __str__(self) -> str:
        return f"{self.kind}: {self.verdict}"
