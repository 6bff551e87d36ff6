"""Reading people and tokens."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from security.errors import InvalidError
from security.identity.models import ApiToken, User


def people() -> QuerySet[User]:
    """Everybody, services included."""
    return User.objects.order_by("username")


def tokens_of(user: User) -> QuerySet[ApiToken]:
    """A user's tokens, newest first."""
    return tokens().filter(user=user).order_by("-created_at")


def names(urns: set[str]) -> dict[str, str]:
    """Printed names by actor URN, for pages that show who did something; the log itself holds no names."""
    prefix = "urn:countersign:user:"
    ids = {pk for urn in urns if urn.startswith(prefix) and (pk := _uuid(urn.removeprefix(prefix))) is not None}
    found = User.objects.filter(pk__in=ids).values_list("pk", "full_name")
    return {f"{prefix}{pk}": name for pk, name in found} | {"urn:countersign:system:engine": "the engine"}


def tokens() -> QuerySet[ApiToken]:
    """All tokens with their users, newest first. The caller has checked that the reader manages people."""
    return ApiToken.objects.select_related("user").order_by("-created_at")


def named(username: str, *, field: str) -> User:
    """The active person or service of that name. Raises InvalidError on ``field`` when there is none."""
    found = User.objects.filter(username=username.lower(), is_active=True).first()
    if found is None:
        raise InvalidError("There is no active person or service of that name.", field=field)
    return found


def _uuid(text: str) -> UUID | None:
    """The id, or None for what is none (an event whose actor could not be named)."""
    try:
        return UUID(text)
    except ValueError:
        return None
