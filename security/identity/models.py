"""People and their API tokens."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone


class UserManager(BaseUserManager["User"]):
    """Looks people up; they are created by ``services.create_user`` only."""

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(username=(username or "").lower())


class User(AbstractBaseUser):
    """A natural person, or a service that holds tokens but can never sign in or sign.

    There is no superuser: what anybody may do follows from role grants (``security.access``) alone.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    username = models.CharField(
        max_length=63,
        unique=True,
        validators=[RegexValidator(r"^[a-z][a-z0-9._-]*$", "lower-case letters, digits, dot, dash and underscore")],
    )
    full_name = models.CharField("printed name", max_length=120)
    email = models.EmailField(blank=True)
    is_active = models.BooleanField(default=True)
    is_service = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    seen_home_at = models.DateTimeField(null=True, blank=True)
    # Who last set this person's password or took away their second factor, when it was somebody else, and when.
    # Empty: the person themselves, or the machine's command line.
    credentials_by = models.ForeignKey(
        "self", on_delete=models.PROTECT, related_name="credentials_given", null=True, blank=True
    )
    credentials_at = models.DateTimeField(null=True, blank=True)
    must_change_password = models.BooleanField(default=False)

    USERNAME_FIELD = "username"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["full_name"]
    objects: ClassVar[UserManager] = UserManager()

    # The token this request came with, if any; set by the token authentication, read by ``access``.
    acting_token: ApiToken | None = None

    class Meta:
        ordering = ("username",)

    def __str__(self) -> str:
        return self.full_name

    def set_given_by(self, other: User) -> None:
        """Note, and keep, that somebody else holds or held what this person signs in with."""
        self.credentials_by, self.credentials_at = other, timezone.now()
        self.save(update_fields=["credentials_by", "credentials_at"])


class ApiToken(models.Model):
    """A bearer token ``cs_<key>_<secret>``: the key finds the row, only the secret's SHA-256 is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="tokens")
    name = models.CharField(max_length=80)
    key = models.CharField(max_length=16, unique=True)
    secret_sha256 = models.CharField(max_length=64)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    # A token that is bound to one system does nothing in any other, whatever roles its owner has.
    system = models.ForeignKey("access.AISystem", on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    refused_at = models.DateTimeField(null=True, blank=True)  # its last use after its end that is on record

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.name} (cs_{self.key}_…)"

    @property
    def state(self) -> str:
        """``active``, ``expired`` or ``revoked``, computed now."""
        if self.revoked_at is not None:
            return "revoked"
        return "active" if timezone.now() < self.expires_at else "expired"


class Attempts(models.Model):
    """How often something was tried under one key since ``started_at``: the counter behind every throttle.

    A key names a purpose and whose attempts these are, as a keyed digest: no name, no address.
    """

    key = models.CharField(primary_key=True, max_length=80)
    count = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.key


class UsedCode(models.Model):
    """A one-time code that has been used, so that it is not accepted twice by any process (RFC 6238 §5.2)."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64)
    used_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["user", "digest"], name="a_code_is_used_once"),)

    def __str__(self) -> str:
        return f"a code of {self.user_id}"
