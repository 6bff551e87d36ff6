"""Notices to people, webhooks and what was sent to them, and how far the log has been told."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from security.access.models import AISystem
from security.log.models import AuditEvent


class Cursor(models.Model):
    """How much of the log has been told: the number of entries. One row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    told = models.BigIntegerField(default=0)

    class Meta:
        constraints = (models.CheckConstraint(condition=Q(id=1), name="one_cursor"),)


class Notice(models.Model):
    """One event that one person is told of. What it says is made from the event when it is read."""

    recipient = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="notices")
    event = models.ForeignKey(AuditEvent, on_delete=models.PROTECT, related_name="+")
    index = models.BigIntegerField()  # of the event in the log, by which an inbox is ordered
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-index",)
        constraints = (models.UniqueConstraint(fields=["recipient", "event"], name="told_once"),)
        indexes = (
            models.Index(fields=["recipient", "-index"], name="notice_inbox"),
            models.Index(fields=["recipient"], condition=Q(read_at=None), name="notice_unread"),
        )

    def __str__(self) -> str:
        return f"notice of entry {self.index}"


class Digest(models.Model):
    """When a person was last sent a digest, and up to which entry."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.PROTECT, related_name="digest"
    )
    up_to = models.BigIntegerField(default=-1)
    sent_at = models.DateTimeField(null=True)


class Webhook(models.Model):
    """An address that is told of events of one system. Its secret is derived from the system's key and its own id, and
    stands in no row (``signatures.secret``)."""

    system_path = "system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey(AISystem, on_delete=models.PROTECT, related_name="webhooks")
    url = models.CharField(max_length=500)
    events = models.JSONField(default=list)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="webhooks_made")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return self.url

    @property
    def state(self) -> str:
        """``active`` or ``revoked``."""
        return "active" if self.revoked_at is None else "revoked"


class DeliveryState(models.TextChoices):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Delivery(models.Model):
    """One event on its way to one webhook. ``body`` is sent as it stands here, however often."""

    system_path = "webhook__system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.PROTECT, related_name="deliveries")
    event = models.CharField(max_length=60)
    index = models.BigIntegerField()
    body = models.TextField()
    state = models.CharField(max_length=10, choices=DeliveryState.choices, default=DeliveryState.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(default=timezone.now)
    answered = models.PositiveSmallIntegerField(null=True, blank=True)
    problem = models.CharField(max_length=200, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-index",)
        verbose_name_plural = "deliveries"
        constraints = (models.UniqueConstraint(fields=["webhook", "index"], name="sent_once"),)
        indexes = (models.Index(fields=["next_at"], condition=Q(state="pending"), name="delivery_due"),)

    def __str__(self) -> str:
        return f"{self.event} to {self.webhook}"
