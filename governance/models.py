"""The tables of the third floor: published policies, reviews, votes and approvals.

Policies and votes are insert-only: database triggers refuse to change or delete them (``governance.triggers``).
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from governance import machines
from governance.policy import Policy
from pipelines.models import ModelVersion
from security.access.models import AISystem
from security.vault.models import Artifact


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
    CHANGES_REQUESTED = "changes-requested", "changes requested"
    APPROVED = "approved"
    APPROVED_WITH_CONDITIONS = "approved-with-conditions", "approved with conditions"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"
    SUPERSEDED = "superseded"


PENDING = (ReviewState.IN_REVIEW, ReviewState.CHANGES_REQUESTED)
PASSED = (ReviewState.APPROVED, ReviewState.APPROVED_WITH_CONDITIONS)


def _deadline() -> datetime:
    """When a review that is submitted now lapses."""
    return timezone.now() + timedelta(days=settings.REVIEW_DAYS)


class Review(models.Model):
    """The request to use one model version under one policy version.

    ``subject`` is what votes bind to (``governance.subjects``) and ``subject_digest`` the SHA-256 of its canonical
    form, both as they were when the review was submitted. ``state`` moves by ``machines.REQUEST`` alone, and
    ``row_version`` counts its moves; ``follows`` is the review whose request for changes this one answers.
    ``environments`` is where the version may be used, none before that was asked. A review that ``reinstates`` a
    suspended approval issues none of its own.
    """

    system_path = "system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey(AISystem, on_delete=models.PROTECT, related_name="reviews")
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="reviews")
    policy_version = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, related_name="reviews")
    state = models.CharField(max_length=30, choices=ReviewState.choices, default=ReviewState.IN_REVIEW, db_index=True)
    row_version = models.PositiveIntegerField(default=1)
    environments = models.JSONField(default=list)
    reinstates = models.ForeignKey(
        "Approval", on_delete=models.PROTECT, null=True, blank=True, related_name="reinstatements"
    )
    follows = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="followed_by")
    submitted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="submissions")
    submitted_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    deadline = models.DateTimeField(default=_deadline, db_index=True)
    note = models.TextField(blank=True)
    subject = models.JSONField()
    subject_digest = models.CharField(max_length=64)
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-submitted_at",)
        constraints = (
            models.UniqueConstraint(
                fields=["model_version"], condition=Q(state__in=PENDING), name="one_open_review_per_model_version"
            ),
            models.CheckConstraint(condition=Q(state__in=machines.REQUEST.states), name="review_state_is_known"),
            models.CheckConstraint(
                condition=Q(state__in=PENDING) ^ Q(decided_at__isnull=False), name="review_has_an_end_once_it_ended"
            ),
            models.CheckConstraint(condition=Q(deadline__gt=models.F("submitted_at")), name="review_has_time"),
        )

    def __str__(self) -> str:
        return f"review of {self.model_version}"

    @property
    def is_open(self) -> bool:
        """Whether it can be decided on, going by its state and the clock."""
        return self.state == ReviewState.IN_REVIEW and timezone.now() < self.deadline

    @property
    def is_pending(self) -> bool:
        """Whether it has not ended: it can be decided on, or waits for changes."""
        return self.state in PENDING


class Decision(models.TextChoices):
    APPROVE = "approve"
    REJECT = "reject"
    REQUEST_CHANGES = "request-changes", "request changes"


class Signature(models.Model):
    """What every signature holds: the person's name as printed then, when, what it means, why, on which digest, and how
    they proved themselves.

    ``statement`` is the DSSE envelope of the same, in the vault; rows from before there were any have none. ``digest``
    is that of the whole row, the envelope's digest included, and stands in the audit log, so that no part of it can be
    changed or moved to another record.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    reason = models.TextField()
    meaning = models.TextField(blank=True)
    printed_name = models.CharField(max_length=120)
    subject_digest = models.CharField(max_length=64)
    signed_at = models.DateTimeField()
    reauthenticated_at = models.DateTimeField()
    method = models.CharField(max_length=20, default="password")
    statement = models.ForeignKey(Artifact, on_delete=models.PROTECT, null=True, related_name="%(class)ss")
    digest = models.CharField(max_length=64)

    class Meta:
        abstract = True
        ordering = ("signed_at",)


class Vote(Signature):
    """One person's signed decision in one review."""

    system_path = "review__system"

    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="votes")
    voter = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="votes")
    role = models.CharField(max_length=20)
    decision = models.CharField(max_length=20, choices=Decision.choices)
    conditions = models.JSONField(default=list)  # as they were signed; ``Condition`` is what became of each

    class Meta(Signature.Meta):
        constraints = (
            models.UniqueConstraint(fields=["review", "voter"], name="one_person_one_vote"),
            models.CheckConstraint(condition=~Q(reason=""), name="vote_has_a_reason"),
            models.CheckConstraint(condition=Q(decision__in=Decision.values), name="vote_decision_is_known"),
        )

    def __str__(self) -> str:
        return f"{self.printed_name} ({self.role}): {self.decision}"


class GrantState(models.TextChoices):
    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


class Approval(models.Model):
    """What a passed review issues.

    ``state`` is what people made of it, by ``machines.GRANT``; whether it holds is computed at every read from that,
    the clock and the digests (``selectors.approvals.status``).
    """

    system_path = "review__system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    review = models.OneToOneField(Review, on_delete=models.PROTECT, related_name="approval")
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="approvals")
    state = models.CharField(max_length=10, choices=GrantState.choices, default=GrantState.ACTIVE)
    row_version = models.PositiveIntegerField(default=1)
    environments = models.JSONField(default=list)
    reinstated_at = models.DateTimeField(null=True, blank=True)
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
            models.CheckConstraint(condition=Q(state__in=machines.GRANT.states), name="approval_state_is_known"),
            models.CheckConstraint(
                condition=Q(state=GrantState.REVOKED, revoked_at__isnull=False, revoked_by__isnull=False)
                | (~Q(state=GrantState.REVOKED) & Q(revoked_at=None)),
                name="approval_revoked_by_somebody",
            ),
        )

    def __str__(self) -> str:
        return f"approval of {self.model_version}"


class ConditionState(models.TextChoices):
    OPEN = "open"
    REPORTED = "reported"
    MET = "met"


class Condition(models.Model):
    """What must still be done, by whom and by when, for an approval to go on holding.

    Its owner reports that it is met and whoever set it with their vote confirms that, by ``machines.CONDITION``;
    ``note`` is what was said last. That it is overdue is computed at every read.
    """

    system_path = "review__system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="conditions")
    vote = models.ForeignKey(Vote, on_delete=models.PROTECT, related_name="+")
    number = models.PositiveSmallIntegerField()
    text = models.TextField()
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="conditions")
    due_at = models.DateTimeField(db_index=True)
    state = models.CharField(max_length=10, choices=ConditionState.choices, default=ConditionState.OPEN)
    row_version = models.PositiveIntegerField(default=1)
    note = models.TextField(blank=True)
    reported_at = models.DateTimeField(null=True, blank=True)
    met_at = models.DateTimeField(null=True, blank=True)
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="confirmations"
    )

    class Meta:
        ordering = ("due_at", "pk")
        constraints = (
            models.UniqueConstraint(fields=["vote", "number"], name="one_condition_per_number"),
            models.CheckConstraint(condition=Q(state__in=machines.CONDITION.states), name="condition_state_is_known"),
            models.CheckConstraint(condition=~Q(text=""), name="condition_has_a_text"),
            models.CheckConstraint(
                condition=Q(state=ConditionState.MET, met_at__isnull=False, confirmed_by__isnull=False)
                | (~Q(state=ConditionState.MET) & Q(met_at=None)),
                name="condition_met_by_somebodys_word",
            ),
        )

    def __str__(self) -> str:
        return f"condition {self.number} of {self.review}"

    @property
    def standing(self) -> str:
        """Its state as it is to be read now: ``overdue`` from the moment it was due until it is met."""
        late = self.met_at is None and timezone.now() >= self.due_at
        return "overdue" if late else str(self.state)

    def suspends(self, now: datetime, reinstated_at: datetime | None) -> bool:
        """Whether it was not met when it was due, and nobody has reinstated the approval since it was met."""
        if now < self.due_at or (self.met_at is not None and self.met_at < self.due_at):
            return False
        return self.met_at is None or reinstated_at is None or reinstated_at < self.met_at


class GrantActKind(models.TextChoices):
    REVOKE = "revoke"
    SUSPEND = "suspend"
    CONFIRM = "confirm-condition", "confirm condition"


class GrantAct(Signature):
    """What one person did to an approval after it was issued, signed."""

    system_path = "approval__review__system"

    approval = models.ForeignKey(Approval, on_delete=models.PROTECT, related_name="acts")
    signer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="grant_acts")
    kind = models.CharField(max_length=20, choices=GrantActKind.choices)
    condition = models.ForeignKey(Condition, on_delete=models.PROTECT, null=True, blank=True, related_name="acts")

    class Meta(Signature.Meta):
        constraints = (
            models.CheckConstraint(condition=~Q(reason=""), name="grant_act_has_a_reason"),
            models.CheckConstraint(condition=Q(kind__in=GrantActKind.values), name="grant_act_kind_is_known"),
            models.CheckConstraint(
                condition=Q(kind=GrantActKind.CONFIRM) ^ Q(condition=None), name="grant_act_names_its_condition"
            ),
        )

    def __str__(self) -> str:
        return f"{self.printed_name}: {self.kind} {self.approval_id}"
