"""Drafts of policies, the signatures under them, and the systems that are under a policy chosen by use.

Signatures are insert-only, as published policies are (``governance.triggers``).
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from governance.models import PolicyVersion
from governance.policy import Policy
from security.access.models import AISystem


class PolicyAssignment(models.Model):
    """A system is under the policy of this name and not that of its tier. Never edited; another one ends it."""

    system_path = "system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey(AISystem, on_delete=models.PROTECT, related_name="policy_assignments")
    policy = models.CharField(max_length=40)
    reason = models.TextField()
    assigned_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    assigned_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-assigned_at",)
        constraints = (
            models.UniqueConstraint(fields=["system"], condition=Q(ended_at=None), name="one_policy_per_system"),
        )

    def __str__(self) -> str:
        return f"{self.system}: {self.policy}"


class DraftState(models.TextChoices):
    OPEN = "open"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"


class PolicyDraft(models.Model):
    """A policy that is being written: always a valid one, since no other is stored.

    ``text`` is the YAML as it was written, ``digest`` that of the policy in it, ``base`` the version that it follows
    (None: the first of its name).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=40)
    text = models.TextField()
    content = models.JSONField()
    digest = models.CharField(max_length=64)
    base = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="drafts")
    state = models.CharField(max_length=10, choices=DraftState.choices, default=DraftState.OPEN)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="policy_drafts")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_at = models.DateTimeField(default=timezone.now)
    published = models.OneToOneField(
        PolicyVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="made_by"
    )

    class Meta:
        verbose_name = "policy draft"
        ordering = ("-changed_at",)
        constraints = (
            models.CheckConstraint(condition=Q(state__in=DraftState.values), name="draft_has_a_known_state"),
            models.CheckConstraint(
                condition=Q(state="published", published__isnull=False) | (~Q(state="published") & Q(published=None)),
                name="a_published_draft_has_its_version",
            ),
        )

    def __str__(self) -> str:
        return f"draft of the {self.name} policy"

    @property
    def policy(self) -> Policy:
        """The content, parsed."""
        return Policy.model_validate(self.content)

    @property
    def is_open(self) -> bool:
        return self.state == DraftState.OPEN


class DraftSignature(models.Model):
    """One person's signature under a draft: it binds the policy's digest and the version that the draft follows."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    draft = models.ForeignKey(PolicyDraft, on_delete=models.PROTECT, related_name="signatures")
    signer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="policy_signatures")
    role = models.CharField(max_length=20)
    reason = models.TextField()
    printed_name = models.CharField(max_length=120)
    policy_digest = models.CharField(max_length=64)
    base_digest = models.CharField(max_length=64, blank=True)
    signed_at = models.DateTimeField()
    reauthenticated_at = models.DateTimeField()
    method = models.CharField(max_length=20)
    digest = models.CharField(max_length=64)

    class Meta:
        ordering = ("signed_at",)
        constraints = (
            models.UniqueConstraint(
                fields=["draft", "signer", "policy_digest", "base_digest"], name="one_person_signs_a_policy_once"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="policy_signature_has_a_reason"),
        )

    def __str__(self) -> str:
        return f"{self.printed_name} ({self.role})"
