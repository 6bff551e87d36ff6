"""Exports: which document was asked for, by whom and why, and the artifact that it became."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from security.access.models import AISystem
from security.vault.models import Artifact


class ExportState(models.TextChoices):
    WAITING = "waiting"
    MAKING = "making"
    MADE = "made"
    FAILED = "failed"


OPEN = (ExportState.WAITING, ExportState.MAKING)


class Export(models.Model):
    """One document in one format about one subject. ``subject`` is a URN, ``label`` its name when it was asked for.

    ``parameters`` holds what a kind takes besides (``since`` and ``until``, or ``at``), as RFC 3339 in UTC.
    ``claimed_at``: when a process began to make it; a claim that is too old is taken back (``services.take_back``).
    """

    system_path = "system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey(AISystem, on_delete=models.PROTECT, related_name="exports")
    kind = models.CharField(max_length=40)
    format = models.CharField(max_length=40)
    subject = models.CharField(max_length=120)
    label = models.CharField(max_length=200)
    parameters = models.JSONField(default=dict)
    purpose = models.TextField()
    state = models.CharField(max_length=10, choices=ExportState.choices, default=ExportState.WAITING, db_index=True)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="exports")
    requested_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    claimed_at = models.DateTimeField(null=True, blank=True)
    made_at = models.DateTimeField(null=True, blank=True)
    artifact = models.ForeignKey(Artifact, on_delete=models.PROTECT, null=True, blank=True, related_name="exports")
    error = models.TextField(blank=True)

    class Meta:
        ordering = ("-requested_at",)
        constraints = (
            models.CheckConstraint(condition=~Q(purpose=""), name="export_has_a_purpose"),
            models.CheckConstraint(
                condition=Q(state="made", artifact__isnull=False, made_at__isnull=False)
                | (~Q(state="made") & Q(artifact=None, made_at=None)),
                name="export_is_made_with_its_artifact",
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind.replace('-', ' ')} of {self.label}"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN
