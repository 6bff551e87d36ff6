"""Incidents; their timelines are insert-only."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from pipelines.models import ModelVersion
from security.access.models import AISystem


class Severity(models.TextChoices):
    """From least to most grave."""

    MINOR = "minor"
    MODERATE = "moderate"
    SERIOUS = "serious"
    CRITICAL = "critical"


GRAVE = (Severity.SERIOUS, Severity.CRITICAL)


class Incident(models.Model):
    """Something that went wrong, open until ``closed_at``. Without a ``model_version`` it concerns the whole system."""

    system_path = "system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey(AISystem, on_delete=models.PROTECT, related_name="incidents")
    number = models.PositiveIntegerField()
    title = models.CharField(max_length=200)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    model_version = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="incidents"
    )
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="incidents_opened")
    opened_at = models.DateTimeField(default=timezone.now, editable=False)
    closed_at = models.DateTimeField(null=True, blank=True, db_index=True)

    class Meta:
        ordering = ("-opened_at",)
        constraints = (models.UniqueConstraint(fields=["system", "number"], name="one_incident_per_number"),)

    def __str__(self) -> str:
        return self.title

    @property
    def grave(self) -> bool:
        """Whether it stops approvals while it is open, and takes a signature to close."""
        return self.severity in GRAVE

    @property
    def state(self) -> str:
        """``open`` or ``closed``."""
        return "open" if self.closed_at is None else "closed"


class IncidentEntry(models.Model):
    """One entry of a timeline: what happened when, written by whom. ``kind``: opened, note, graver or closed."""

    system_path = "incident__system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="entries")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=10)
    text = models.TextField()
    severity = models.CharField(max_length=10, choices=Severity.choices)
    happened_at = models.DateTimeField()
    written_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="incident_entries")
    written_at = models.DateTimeField()
    printed_name = models.CharField(max_length=120)
    reauthenticated_at = models.DateTimeField(null=True, blank=True)
    method = models.CharField(max_length=20, blank=True)
    digest = models.CharField(max_length=64)

    class Meta:
        verbose_name = "incident entry"
        verbose_name_plural = "incident entries"
        ordering = ("number",)
        constraints = (
            models.UniqueConstraint(fields=["incident", "number"], name="one_incident_entry_per_number"),
            models.CheckConstraint(
                condition=~Q(kind="closed", severity__in=["serious", "critical"])
                | (Q(reauthenticated_at__isnull=False) & ~Q(method="")),
                name="grave_incident_closed_by_signature",
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} by {self.printed_name}"
