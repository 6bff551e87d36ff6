"""Catalogues with their groups and controls, crosswalks between them, and what people sign on controls.

All of it is insert-only: database triggers refuse to change or delete a row (``governance.triggers``). A catalogue
changes by a new version of its series, a crosswalk by a new one of its name, an attestation ends by a withdrawal.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from security.access.models import AISystem

KEY = RegexValidator(r"^[a-z][a-z0-9-]*$", "lower-case letters, digits, dash")


class Origin(models.TextChoices):
    BUILT_IN = "built-in", "built in"
    IMPORTED = "imported"


class Catalogue(models.Model):
    """One version of a catalogue: ``key`` names the series, ``number`` counts in it, the highest is the current one.

    ``digest`` is the SHA-256 of the canonical form of the document as it came in; ``head`` its member ``catalog``
    without groups and controls. ``imported_by`` is empty for what a release ships and for the command line.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.CharField(max_length=63, validators=[KEY])
    number = models.PositiveIntegerField()
    title = models.CharField(max_length=200)
    version = models.CharField(max_length=200)
    oscal_version = models.CharField(max_length=20)
    origin = models.CharField(max_length=10, choices=Origin.choices)
    source = models.CharField(max_length=500, blank=True)
    digest = models.CharField(max_length=64)
    head = models.JSONField()
    control_count = models.PositiveIntegerField()
    imported_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    imported_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("key", "-number")
        constraints = (
            models.UniqueConstraint(fields=["key", "number"], name="one_catalogue_per_number"),
            models.UniqueConstraint(fields=["key", "digest"], name="one_catalogue_per_content"),
        )

    def __str__(self) -> str:
        return f"{self.title} ({self.version})"


class _Entry(models.Model):
    """What groups and controls share. ``position`` counts both in the document's order; ``content`` is the rest."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    identifier = models.CharField(max_length=200, blank=True)
    label = models.CharField(max_length=200, blank=True)
    title = models.TextField()
    position = models.PositiveIntegerField()
    content = models.JSONField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.label} {self.title}"


class Group(_Entry):
    """A group of groups or of controls."""

    catalogue = models.ForeignKey(Catalogue, on_delete=models.PROTECT, related_name="groups")
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="groups")

    class Meta:
        ordering = ("position",)
        constraints = (models.UniqueConstraint(fields=["catalogue", "position"], name="one_group_per_position"),)


class Control(_Entry):
    """One control, in a group or in another control.

    ``evidence``: kinds that speak for it; ``support``: how far they can go; ``attestation``: whether a person's word
    is needed; ``why``: the reason. ``digest`` is that of what it demands (id, title, parts, parameters), so that what
    somebody signed on it holds in the next version of the catalogue exactly if that says the same.
    """

    catalogue = models.ForeignKey(Catalogue, on_delete=models.PROTECT, related_name="controls")
    group = models.ForeignKey(Group, on_delete=models.PROTECT, null=True, blank=True, related_name="controls")
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="controls")
    evidence = models.JSONField(default=list)
    support = models.CharField(max_length=10)
    attestation = models.BooleanField()
    why = models.TextField(blank=True)
    digest = models.CharField(max_length=64)

    class Meta:
        ordering = ("position",)
        constraints = (
            models.UniqueConstraint(fields=["catalogue", "identifier"], name="one_control_per_identifier"),
            models.UniqueConstraint(fields=["catalogue", "position"], name="one_control_per_position"),
        )

    @property
    def statements(self) -> list[tuple[int, str, str]]:
        """Its parts in their order: (depth from 0, name or title, prose)."""
        found: list[tuple[int, str, str]] = []
        waiting: list[tuple[int, Any]] = [(0, part) for part in reversed(self.content.get("parts", ()))]
        while waiting:
            depth, part = waiting.pop()
            found.append((depth, part.get("title") or part["name"].replace("-", " "), part.get("prose", "")))
            waiting += [(depth + 1, one) for one in reversed(part.get("parts", ()))]
        return found


class Strength(models.TextChoices):
    """What the sources of a control, taken together, can do for it."""

    FULL = "full", "stand for it"
    PARTIAL = "partial", "speak for it"


class Crosswalk(models.Model):
    """One version of a mapping from the controls of one series of catalogues to those of another.

    Its links name controls by id, and hold in whichever versions of the two catalogues are current.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63, validators=[KEY])
    number = models.PositiveIntegerField()
    version = models.CharField(max_length=40)
    source_key = models.CharField(max_length=63)
    target_key = models.CharField(max_length=63)
    strength = models.CharField(max_length=10, choices=Strength.choices)
    origin = models.TextField()
    note = models.TextField(blank=True)
    digest = models.CharField(max_length=64)
    loaded_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("name", "-number")
        constraints = (
            models.UniqueConstraint(fields=["name", "number"], name="one_crosswalk_per_number"),
            models.UniqueConstraint(fields=["name", "digest"], name="one_crosswalk_per_content"),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class CrosswalkLink(models.Model):
    """One pair of a crosswalk: what covers ``source`` speaks for ``target``."""

    crosswalk = models.ForeignKey(Crosswalk, on_delete=models.PROTECT, related_name="links")
    source = models.CharField(max_length=200)
    target = models.CharField(max_length=200)

    class Meta:
        ordering = ("pk",)
        constraints = (models.UniqueConstraint(fields=["crosswalk", "source", "target"], name="one_link_per_pair"),)

    def __str__(self) -> str:
        return f"{self.source} → {self.target}"


class Statement(models.TextChoices):
    MET = "met"
    NOT_APPLICABLE = "not-applicable", "not applicable"


class Attestation(models.Model):
    """One person's signed statement on a control for a system: what, why, as printed then, and until when it counts.

    ``control_digest`` is what the control demanded when it was signed. ``digest`` is that of the whole attestation
    and stands in the audit log.
    """

    system_path = "system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey(AISystem, on_delete=models.PROTECT, related_name="attestations")
    control = models.ForeignKey(Control, on_delete=models.PROTECT, related_name="attestations")
    control_digest = models.CharField(max_length=64)
    statement = models.CharField(max_length=20, choices=Statement.choices)
    text = models.TextField()
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="attestations")
    printed_name = models.CharField(max_length=120)
    role = models.CharField(max_length=20)
    signed_at = models.DateTimeField(db_index=True)
    valid_until = models.DateTimeField()
    reauthenticated_at = models.DateTimeField()
    method = models.CharField(max_length=20)
    digest = models.CharField(max_length=64)

    class Meta:
        ordering = ("-signed_at",)
        constraints = (
            models.CheckConstraint(condition=~Q(text=""), name="attestation_has_a_text"),
            models.CheckConstraint(condition=Q(valid_until__gt=models.F("signed_at")), name="attestation_ends_later"),
        )

    def __str__(self) -> str:
        return f"{self.printed_name} ({self.role}) on {self.control.label}: {self.get_statement_display()}"


class Withdrawal(models.Model):
    """The end of an attestation before its time, signed like it."""

    system_path = "attestation__system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    attestation = models.OneToOneField(Attestation, on_delete=models.PROTECT, related_name="withdrawal")
    reason = models.TextField()
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    printed_name = models.CharField(max_length=120)
    signed_at = models.DateTimeField()
    reauthenticated_at = models.DateTimeField()
    method = models.CharField(max_length=20)
    digest = models.CharField(max_length=64)

    class Meta:
        ordering = ("-signed_at",)
        constraints = (models.CheckConstraint(condition=~Q(reason=""), name="withdrawal_has_a_reason"),)

    def __str__(self) -> str:
        return f"{self.printed_name} withdraws {self.attestation_id}"
