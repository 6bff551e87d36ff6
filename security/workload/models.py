"""Which tokens of an outside issuer may be exchanged for one of ours."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from security.access.models import AISystem


class Trust(models.Model):
    """Tokens of ``issuer`` whose subject fits ``subject`` act as ``service`` in ``system``, within ``scopes``."""

    system_path = "system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    service = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="trusts")
    system = models.ForeignKey(AISystem, on_delete=models.PROTECT, related_name="trusts")
    issuer = models.CharField(max_length=40)  # a name in WORKLOAD_ISSUERS
    subject = models.CharField(max_length=300)
    claims = models.JSONField(default=dict, blank=True)  # further claims, each of which must be exactly this
    scopes = models.JSONField(default=list)
    minutes = models.PositiveSmallIntegerField(default=15)  # how long a token of ours lives
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="trusts_given")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.subject} of {self.issuer}"

    @property
    def state(self) -> str:
        """``active`` or ``revoked``."""
        return "active" if self.revoked_at is None else "revoked"


class UsedToken(models.Model):
    """An outside token that has been exchanged; it is not exchanged again while it would still be valid."""

    digest = models.CharField(primary_key=True, max_length=64)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.digest
