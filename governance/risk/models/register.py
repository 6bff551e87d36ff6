"""Risk registers. All insert-only: what is thought of a risk now is its newest revision."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from security.access.models import AISystem


class Source(models.TextChoices):
    QUESTIONNAIRE = "questionnaire"
    CHECK = "check"
    INCIDENT = "incident"
    DRIFT = "drift"
    PERSON = "person"


class Treatment(models.TextChoices):
    AVOID = "avoid"
    REDUCE = "reduce"
    SHARE = "share"
    ACCEPT = "accept"


class Risk(models.Model):
    """One risk of a system. ``source_urn``: the assessment, evidence or incident that it was seen in, if any."""

    system_path = "system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey(AISystem, on_delete=models.PROTECT, related_name="risks")
    number = models.PositiveIntegerField()
    source = models.CharField(max_length=15, choices=Source.choices)
    source_urn = models.CharField(max_length=100, blank=True)
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="risks_opened")
    opened_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("number",)
        constraints = (models.UniqueConstraint(fields=["system", "number"], name="one_risk_per_number"),)

    def __str__(self) -> str:
        return f"risk {self.number} of {self.system.slug}"


class RiskRevision(models.Model):
    """What is thought of a risk from ``written_at`` on: likelihood and impact, 1 to 5, before and after controls."""

    system_path = "risk__system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    risk = models.ForeignKey(Risk, on_delete=models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField()
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    likelihood = models.PositiveSmallIntegerField()
    impact = models.PositiveSmallIntegerField()
    controls = models.TextField(blank=True)
    residual_likelihood = models.PositiveSmallIntegerField()
    residual_impact = models.PositiveSmallIntegerField()
    treatment = models.CharField(max_length=10, choices=Treatment.choices)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="risks_owned")
    due = models.DateField(null=True, blank=True)
    closed = models.BooleanField(default=False)
    note = models.TextField(blank=True)
    written_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="risks_written")
    written_at = models.DateTimeField()
    digest = models.CharField(max_length=64)

    class Meta:
        verbose_name = "risk"
        ordering = ("-number",)
        constraints = (
            models.UniqueConstraint(fields=["risk", "number"], name="one_risk_revision_per_number"),
            models.CheckConstraint(
                condition=Q(likelihood__range=(1, 5), impact__range=(1, 5), residual_likelihood__gte=1)
                & Q(residual_impact__gte=1, residual_likelihood__lte=F("likelihood"), residual_impact__lte=F("impact")),
                name="risk_scores_in_range",
            ),
        )

    def __str__(self) -> str:
        return self.title

    @property
    def inherent(self) -> int:
        """Likelihood × impact before controls, 1 to 25."""
        return self.likelihood * self.impact

    @property
    def residual(self) -> int:
        """Likelihood × impact after controls, 1 to 25."""
        return self.residual_likelihood * self.residual_impact


class RiskAcceptance(models.Model):
    """A signature that what is left of a risk, as one revision has it, is borne until the end of a day (UTC)."""

    system_path = "revision__risk__system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    revision = models.ForeignKey(RiskRevision, on_delete=models.PROTECT, related_name="acceptances")
    until = models.DateField()
    reason = models.TextField()
    accepted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="risks_accepted")
    accepted_at = models.DateTimeField()
    printed_name = models.CharField(max_length=120)
    reauthenticated_at = models.DateTimeField()
    method = models.CharField(max_length=20)
    digest = models.CharField(max_length=64)

    class Meta:
        ordering = ("-accepted_at",)
        constraints = (models.CheckConstraint(condition=~Q(reason=""), name="risk_acceptance_has_a_reason"),)

    def __str__(self) -> str:
        return f"{self.printed_name} until {self.until:%Y-%m-%d}"
