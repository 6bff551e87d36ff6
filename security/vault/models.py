"""Artifacts: bytes named by the SHA-256 of the plaintext, stored encrypted under a random object name."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from security.access.models import AISystem
from security.vault.providers.contract import KeyRef, WrappedKey


class Artifact(models.Model):
    """One content in one system. Equal content is stored once per system."""

    system_path = "system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey(AISystem, on_delete=models.PROTECT, related_name="artifacts")
    digest = models.CharField(max_length=64)
    size = models.BigIntegerField()
    media_type = models.CharField(max_length=100)
    object_name = models.CharField(max_length=80, unique=True)
    object_sha256 = models.CharField(max_length=64)
    object_size = models.BigIntegerField()
    format = models.PositiveSmallIntegerField(default=1)
    provider = models.CharField(max_length=32, default="keyring")
    key_id = models.CharField(max_length=200)
    key_version = models.CharField(max_length=32, blank=True, default="")
    wrapped_key = models.BinaryField()  # empty once shredded
    verified_at = models.DateTimeField(null=True, editable=False, db_index=True)  # by a scrub, whatever it found
    shredded_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)

    class Meta:
        ordering = ("-created_at",)
        constraints = (models.UniqueConstraint(fields=["system", "digest"], name="one_artifact_per_content"),)
        indexes = (models.Index(fields=["digest"], name="artifact_digest"),)

    def __str__(self) -> str:
        return self.digest[:12]

    @property
    def key(self) -> WrappedKey:
        """The wrapped data key, as its provider takes it."""
        return WrappedKey(KeyRef(self.provider, self.key_id, self.key_version), bytes(self.wrapped_key))

    @property
    def identity(self) -> bytes:
        """The associated data of the object and of its wrapped key."""
        return identity_of(self.object_name.rpartition("/")[2])


class FindingKind(models.TextChoices):
    MISSING = "missing", "Missing"
    DAMAGED = "damaged", "Damaged"
    KEY = "key", "Key unusable"


class VaultFinding(models.Model):
    """What a scrub found wrong with one artifact; closed when the artifact verifies again."""

    system_path = "artifact__system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    artifact = models.ForeignKey(Artifact, on_delete=models.PROTECT, related_name="findings")
    kind = models.CharField(max_length=10, choices=FindingKind.choices)
    detail = models.CharField(max_length=200)
    opened_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-opened_at",)
        constraints = (
            models.UniqueConstraint(
                fields=["artifact"], condition=models.Q(closed_at=None), name="one_open_finding_per_artifact"
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.artifact_id}"


class SystemSecret(models.Model):
    """32 random bytes per AI system, wrapped like a data key: the key of its pseudonyms."""

    system = models.OneToOneField(AISystem, on_delete=models.PROTECT, primary_key=True, related_name="secret")
    provider = models.CharField(max_length=32, default="keyring")
    key_id = models.CharField(max_length=200)
    key_version = models.CharField(max_length=32, blank=True, default="")
    wrapped_key = models.BinaryField()

    @property
    def key(self) -> WrappedKey:
        """The wrapped secret, as its provider takes it."""
        return WrappedKey(KeyRef(self.provider, self.key_id, self.key_version), bytes(self.wrapped_key))

    @property
    def identity(self) -> bytes:
        """The associated data of the wrapped secret."""
        return f"countersign-system-secret:{self.system_id}".encode()


def identity_of(name: str) -> bytes:
    """The associated data of the object of that name, without its folder."""
    return f"countersign-object:{name}".encode()
