"""Questionnaires, profiles of systems, assessments and changes of tier.

All of these are insert-only: database triggers refuse to change or delete them (``governance.risk.triggers``).
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from governance.policy import TIERS
from governance.risk.questionnaire import Questionnaire
from security.access.models import AISystem

TIER_CHOICES = [(tier, tier) for tier in TIERS]
# a change that takes rules away: a signed one, on the ground of an assessment, or none
_LOWERS = Q(before="high", after__in=["medium", "low"]) | Q(before="medium", after="low")


class QuestionnaireVersion(models.Model):
    """One published questionnaire, named by the SHA-256 of its canonical content. ``published_by`` empty: shipped."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.PositiveIntegerField(unique=True)
    digest = models.CharField(max_length=64)
    content = models.JSONField()
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="questionnaires"
    )
    published_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "questionnaire version"
        ordering = ("-number",)

    def __str__(self) -> str:
        return f"questionnaire v{self.number}"

    @property
    def questionnaire(self) -> Questionnaire:
        """The content, parsed."""
        return Questionnaire.model_validate(self.content)


class SystemProfile(models.Model):
    """One description of a system: its purpose as it was then, and what the purpose does not say."""

    system_path = "system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey(AISystem, on_delete=models.PROTECT, related_name="profiles")
    number = models.PositiveIntegerField()
    purpose = models.TextField()
    users = models.TextField()
    affected_people = models.TextField()
    deployment_context = models.TextField()
    data_categories = models.JSONField(default=list)
    written_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="profiles_written")
    written_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "system profile"
        ordering = ("-number",)
        constraints = (models.UniqueConstraint(fields=["system", "number"], name="one_profile_per_number"),)

    def __str__(self) -> str:
        return f"profile {self.number} of {self.system.slug}"


class Assessment(models.Model):
    """A questionnaire that was answered for a system, and what came out.

    ``profile``: the description that it was answered about, if there was one; ``built``: whether whoever answered had a
    hand in what the system does; ``changes_before``: how many changes of tier there were; ``digest``: of all of it, as
    in the audit log.
    """

    system_path = "system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey(AISystem, on_delete=models.PROTECT, related_name="assessments")
    number = models.PositiveIntegerField()
    questionnaire = models.ForeignKey(QuestionnaireVersion, on_delete=models.PROTECT, related_name="assessments")
    questionnaire_digest = models.CharField(max_length=64)
    profile = models.ForeignKey(
        SystemProfile, on_delete=models.PROTECT, null=True, blank=True, related_name="assessments"
    )
    answers = models.JSONField()
    note = models.TextField(blank=True)
    score = models.PositiveSmallIntegerField()
    tier = models.CharField(max_length=10, choices=TIER_CHOICES)
    reasons = models.JSONField()
    built = models.BooleanField()
    changes_before = models.PositiveIntegerField()
    answered_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="assessments")
    answered_at = models.DateTimeField(default=timezone.now, editable=False)
    digest = models.CharField(max_length=64)

    class Meta:
        ordering = ("-number",)
        constraints = (models.UniqueConstraint(fields=["system", "number"], name="one_assessment_per_number"),)

    def __str__(self) -> str:
        return f"assessment {self.number} of {self.system.slug}"


class TierChange(models.Model):
    """A change of a system's tier. One that lowers it carries a signature, and the assessment it rests on."""

    system_path = "system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey(AISystem, on_delete=models.PROTECT, related_name="tier_changes")
    number = models.PositiveIntegerField()
    before = models.CharField(max_length=10, choices=TIER_CHOICES)
    after = models.CharField(max_length=10, choices=TIER_CHOICES)
    reason = models.TextField()
    assessment = models.OneToOneField(
        Assessment, on_delete=models.PROTECT, null=True, blank=True, related_name="tier_change"
    )
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="tier_changes")
    changed_at = models.DateTimeField()
    printed_name = models.CharField(max_length=120)
    reauthenticated_at = models.DateTimeField(null=True, blank=True)
    method = models.CharField(max_length=20, blank=True)
    digest = models.CharField(max_length=64)

    class Meta:
        verbose_name = "change of tier"
        ordering = ("-number",)
        constraints = (
            models.UniqueConstraint(fields=["system", "number"], name="one_tier_change_per_number"),
            models.CheckConstraint(condition=~Q(before=models.F("after")), name="tier_change_changes"),
            models.CheckConstraint(
                condition=~_LOWERS
                | (Q(assessment__isnull=False, reauthenticated_at__isnull=False) & ~Q(method="") & ~Q(reason="")),
                name="tier_lowered_by_signature",
            ),
        )

    def __str__(self) -> str:
        return f"{self.before} to {self.after}"
