"""Waivers, what was decided on them, and which approvals rest on them. All insert-only (``governance.triggers``).

The state of a waiver is stored nowhere: it follows from its decisions and the clock at every read.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from governance.models import Approval
from pipelines.models import ModelVersion
from security.access.models import AISystem


class Waiver(models.Model):
    """The request to let one part of a policy be broken by one model version, as it is, until a day.

    ``part``: a requirement (``holdout_metrics``) or a rule of one (``holdout_metrics/better-than-chance``).
    ``subject_digest``: that of what a review of the version binds; once it is another, the waiver has no effect.
    ``renewal``: how many waivers of this part the version had before.
    """

    system_path = "system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey(AISystem, on_delete=models.PROTECT, related_name="waivers")
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="waivers")
    part = models.CharField(max_length=120)
    subject_digest = models.CharField(max_length=64)
    reason = models.TextField()
    control = models.TextField()
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="waivers_owned")
    expires_at = models.DateTimeField(db_index=True)
    renewal = models.PositiveSmallIntegerField(default=0)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="waivers_asked")
    requested_at = models.DateTimeField()

    class Meta:
        ordering = ("-requested_at",)
        constraints = (
            models.CheckConstraint(condition=Q(expires_at__gt=models.F("requested_at")), name="waiver_ends_later"),
            models.CheckConstraint(condition=~Q(reason="") & ~Q(control=""), name="waiver_has_reason_and_control"),
            models.UniqueConstraint(
                fields=["model_version", "part", "requested_at"], name="one_waiver_of_a_part_at_a_time"
            ),
        )

    def __str__(self) -> str:
        return f"waiver of {self.part} for {self.model_version}"

    def state(self, now: datetime | None = None) -> str:
        """``requested``, ``active``, ``rejected``, ``expired``, ``revoked`` or ``closed``, at ``now``.

        A request that nobody decided in time has expired as well: time never approves.
        """
        taken = {row.decision for row in self.decisions.all()}
        for decision, state in (("reject", "rejected"), ("revoke", "revoked"), ("close", "closed")):
            if decision in taken:
                return state
        if (now or timezone.now()) >= self.expires_at:
            return "expired"
        return "active" if "approve" in taken else "requested"


class WaiverDecision(models.Model):
    """What one person signed about a waiver: it is decided once (stage ``decision``) and ended once (``end``)."""

    system_path = "waiver__system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    waiver = models.ForeignKey(Waiver, on_delete=models.PROTECT, related_name="decisions")
    stage = models.CharField(max_length=10)
    decision = models.CharField(max_length=10)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="waiver_decisions")
    printed_name = models.CharField(max_length=120)
    reason = models.TextField()
    subject_digest = models.CharField(max_length=64)
    signed_at = models.DateTimeField()
    reauthenticated_at = models.DateTimeField()
    method = models.CharField(max_length=20)
    digest = models.CharField(max_length=64)

    class Meta:
        ordering = ("signed_at",)
        constraints = (
            models.UniqueConstraint(fields=["waiver", "stage"], name="a_waiver_is_decided_once_and_ended_once"),
            models.CheckConstraint(
                condition=Q(stage="decision", decision__in=["approve", "reject"])
                | Q(stage="end", decision__in=["revoke", "close"]),
                name="waiver_decision_is_of_its_stage",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="waiver_decision_has_a_reason"),
        )

    def __str__(self) -> str:
        return f"{self.printed_name}: {self.decision}"


class WaiverUse(models.Model):
    """An approval was issued although this part was broken, because of this waiver."""

    system_path = "waiver__system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    approval = models.ForeignKey(Approval, on_delete=models.PROTECT, related_name="waiver_uses")
    waiver = models.ForeignKey(Waiver, on_delete=models.PROTECT, related_name="uses")

    class Meta:
        constraints = (models.UniqueConstraint(fields=["approval", "waiver"], name="one_use_per_approval_and_waiver"),)

    def __str__(self) -> str:
        return f"{self.approval} rests on {self.waiver}"
