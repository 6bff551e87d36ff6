"""The tables of the third floor: published policies, reviews, votes and approvals.

Policies and votes are insert-only: database triggers refuse to change or delete them (``governance.triggers``).
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from governance.policy import Policy
from pipelines.models import ModelVersion
from security.access.models import AISystem


class PolicyVersion(models.Model):
    """One published policy of a risk tier, named by the SHA-256 of its canonical content. Never changes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tier = models.CharField(max_length=10, choices=[("high", "high"), ("medium", "medium"), ("low", "low")])
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    content = models.JSONField()
    published_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "policy version"
        ordering = ("tier", "-number")
        constraints = (models.UniqueConstraint(fields=["tier", "number"], name="one_policy_per_number"),)

    def __str__(self) -> str:
        return f"{self.tier} policy v{self.number}"

    @property
    def policy(self) -> Policy:
        """The content, parsed."""
        return Policy.model_validate(self.content)


class ReviewState(models.TextChoices):
    IN_REVIEW = "in-review", "in review"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"


class Review(models.Model):
    """The request to use one model version under one policy version.

    ``subject`` is what votes bind to (``governance.subjects``) and ``subject_digest`` the SHA-256 of its canonical
    form, both as they were when the review was submitted.
    """

    system_path = "system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey(AISystem, on_delete=models.PROTECT, related_name="reviews")
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="reviews")
    policy_version = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, related_name="reviews")
    state = models.CharField(max_length=10, choices=ReviewState.choices, default=ReviewState.IN_REVIEW, db_index=True)
    submitted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="submissions")
    submitted_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    note = models.TextField(blank=True)
    subject = models.JSONField()
    subject_digest = models.CharField(max_length=64)
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-submitted_at",)
        constraints = (
            models.UniqueConstraint(
                fields=["model_version"], condition=Q(state="in-review"), name="one_open_review_per_model_version"
            ),
        )

    def __str__(self) -> str:
        return f"review of {self.model_version}"

    @property
    def is_open(self) -> bool:
        return self.state == ReviewState.IN_REVIEW


class Decision(models.TextChoices):
    APPROVE = "approve"
    REJECT = "reject"


class Vote(models.Model):
    """One person's signed decision in one review: who (as printed then), as what, when, why, and on which digest.

    ``digest`` is that of the whole vote and stands in the audit log, so that no part of it can be changed or moved to
    another review.
    """

    system_path = "review__system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="votes")
    voter = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="votes")
    role = models.CharField(max_length=20)
    decision = models.CharField(max_length=10, choices=Decision.choices)
    reason = models.TextField()
    printed_name = models.CharField(max_length=120)
    subject_digest = models.CharField(max_length=64)
    signed_at = models.DateTimeField()
    reauthenticated_at = models.DateTimeField()
    method = models.CharField(max_length=20, default="password")
    digest = models.CharField(max_length=64)

    class Meta:
        ordering = ("signed_at",)
        constraints = (
            models.UniqueConstraint(fields=["review", "voter"], name="one_person_one_vote"),
            models.CheckConstraint(condition=~Q(reason=""), name="vote_has_a_reason"),
        )

    def __str__(self) -> str:
        return f"{self.printed_name} ({self.role}): {self.decision}"


class Approval(models.Model):
    """What a passed review issues. Whether it holds is computed at every read (``selectors.approvals.status``)."""

    system_path = "review__system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    review = models.OneToOneField(Review, on_delete=models.PROTECT, related_name="approval")
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="approvals")
    issued_at = models.DateTimeField()
    valid_until = models.DateTimeField(db_index=True)
    subject_digest = models.CharField(max_length=64)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="revocations"
    )
    revoked_reason = models.TextField(blank=True)

    class Meta:
        ordering = ("-issued_at",)
        constraints = (
            models.CheckConstraint(condition=Q(valid_until__gt=models.F("issued_at")), name="approval_ends_later"),
        )

    def __str__(self) -> str:
        return f"approval of {self.model_version}"
