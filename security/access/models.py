"""AI systems, which scope everything, and the roles that people hold in them."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from security.access.table import Role


class AISystem(models.Model):
    """What is governed. The scope of every role grant and the namespace of all that is in it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.CharField(
        max_length=63,
        unique=True,
        validators=[RegexValidator(r"^[a-z][a-z0-9-]*$", "lower-case letters, digits, dash")],
    )
    name = models.CharField(max_length=120)
    purpose = models.TextField("intended purpose", blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="owned_systems", null=True, blank=True
    )
    tier = models.CharField(
        max_length=10, choices=[("high", "high"), ("medium", "medium"), ("low", "low")], default="high"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.name


class RoleGrant(models.Model):
    """A person's role in one system, or in all of them (``system`` empty), until ``expires_at``."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="grants")
    role = models.CharField(max_length=20, choices=[(role.value, role.label) for role in Role])
    system = models.ForeignKey(AISystem, on_delete=models.PROTECT, related_name="grants", null=True, blank=True)
    granted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="grants_given", null=True, blank=True
    )
    granted_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-granted_at",)
        constraints = (
            models.CheckConstraint(condition=~Q(granted_by=models.F("user")), name="grant_by_someone_else"),
            models.UniqueConstraint(
                fields=["user", "role", "system"], condition=Q(revoked_at=None), name="one_live_grant_per_system"
            ),
            models.UniqueConstraint(
                fields=["user", "role"], condition=Q(revoked_at=None, system=None), name="one_live_global_grant"
            ),
        )

    def __str__(self) -> str:
        return f"{self.role} in {self.system or 'all systems'}"

    @property
    def state(self) -> str:
        """``active``, ``expired`` or ``revoked``, computed now."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= timezone.now() else "active"
