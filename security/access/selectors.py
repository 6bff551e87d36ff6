"""The one way to an object: with a user and an action.

A model says how its rows belong to a system by ``system_path`` (``"system"``, ``"pipeline__system"``). What the user
may not see does not exist for them (MissingError); what they may see but not do is DeniedError, which says who can.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.utils import timezone

from security.access.models import AISystem, RoleGrant
from security.access.table import SIGNING, Action, Role, allows, roles_for, scopes_allow
from security.errors import DeniedError, MissingError
from security.identity.models import User

M = TypeVar("M", bound=Model)
AnyUser = User | AnonymousUser | None


def live_grants(now: datetime | None = None) -> QuerySet[RoleGrant]:
    """Grants that hold at ``now``: not revoked, not expired, of an active person."""
    now = now or timezone.now()
    unexpired = Q(expires_at=None) | Q(expires_at__gt=now)
    return RoleGrant.objects.filter(unexpired, revoked_at=None, user__is_active=True)


def grants_of(user: AnyUser) -> list[tuple[str, Any]]:
    """``(role, system id or None)`` of every live grant, read once per user object and request."""
    if not isinstance(user, User) or not user.is_active:
        return []
    cached: list[tuple[str, Any]] | None = getattr(user, "_live_grants", None)
    if cached is None:
        cached = list(live_grants().filter(user=user).values_list("role", "system_id"))
        user._live_grants = cached  # type: ignore[attr-defined]  # a per-request cache on the instance
    return cached


def allowed(user: AnyUser, action: Action, system: AISystem | None = None) -> bool:
    """Whether the user may do ``action`` in ``system`` (None: in every system, by a global grant)."""
    if not isinstance(user, User) or not _token_allows(user, action):
        return False
    system_id = system.pk if system is not None else None
    return any(scope in (None, system_id) for scope in _scopes(user, action))


def allowed_somewhere(user: AnyUser, action: Action) -> bool:
    """Whether the user may do ``action`` in at least one system (for menus; never the only check)."""
    if not isinstance(user, User) or not _token_allows(user, action):
        return False
    return bool(_scopes(user, action))


def require(user: AnyUser, action: Action, system: AISystem | None = None) -> None:
    """Raise DeniedError, with the roles and people who can, unless ``allowed``."""
    if allowed(user, action, system):
        return
    raise DeniedError(denial(user, action, system), extra={"action": action.value, "roles": _role_names(action)})


def denial(user: AnyUser, action: Action, system: AISystem | None = None) -> str:
    """A sentence that says why not and who can."""
    where = f"in {system.slug}" if system is not None else "in all systems"
    if isinstance(user, User) and user.acting_token is not None and not _token_allows(user, action):
        if action in SIGNING:
            return f"“{action.value}” needs a person who signs in; a token cannot do it."
        return f"This token's scopes ({', '.join(user.acting_token.scopes) or 'none'}) do not cover “{action.value}”."
    people = ", ".join(person.full_name for person in eligible(action, system)[:5])
    roles = " or ".join(_role_names(action)) or "nobody"
    return f"“{action.value}” {where} needs the role {roles}." + (f" Eligible: {people}." if people else "")


def eligible(action: Action, system: AISystem | None = None) -> list[User]:
    """The natural persons whose live grants allow ``action`` in ``system``, by username."""
    grants = live_grants().filter(role__in=[role.value for role in roles_for(action)], user__is_service=False)
    grants = grants.filter(Q(system=None) | Q(system=system)) if system is not None else grants.filter(system=None)
    return list(User.objects.filter(pk__in=grants.values("user")).order_by("username"))


def visible(user: AnyUser, action: Action, queryset: QuerySet[M]) -> QuerySet[M]:
    """The rows of ``queryset`` in systems where the user may do ``action``."""
    if not isinstance(user, User) or not _token_allows(user, action):
        return queryset.none()
    scopes = _scopes(user, action)
    if None in scopes:
        return queryset
    path = "pk" if queryset.model is AISystem else f"{system_path(queryset.model)}_id"
    return queryset.filter(**{f"{path}__in": scopes})


def get(user: AnyUser, action: Action, queryset: QuerySet[M], **lookup: Any) -> M:
    """The one row of ``queryset`` that ``lookup`` names, if the user may do ``action`` to it.

    Raises MissingError when there is none or the user may not even view it, DeniedError when the action is not theirs.
    """
    noun = str(queryset.model._meta.verbose_name)
    found = None
    if not any(isinstance(value, str) and "\0" in value for value in lookup.values()):  # which PostgreSQL refuses
        with suppress(ValueError, ValidationError):
            found = visible(user, Action.VIEW, queryset).filter(**lookup).first()
    if found is None:
        raise MissingError(f"There is no such {noun}, or you have no role in its system.")
    require(user, action, system_of(found))
    return found


def system_path(model: type[Model]) -> str:
    """How rows of a model reach their system. Raises TypeError for a model that has no ``system_path``."""
    path = getattr(model, "system_path", None)
    if not isinstance(path, str):
        raise TypeError(f"{model.__name__} has no system_path, so access to it cannot be decided")
    return path


def system_of(row: Model) -> AISystem:
    """The AI system a row belongs to."""
    if isinstance(row, AISystem):
        return row
    found: Any = row
    for part in system_path(type(row)).split("__"):
        found = getattr(found, part)
    if not isinstance(found, AISystem):
        raise TypeError(f"{type(row).__name__}.system_path does not lead to an AI system")
    return found


def _scopes(user: User, action: Action) -> list[Any]:
    """The systems where the user may do ``action`` (None: all); a token that is bound to one system has no other."""
    scopes = [scope for role, scope in grants_of(user) if allows(role, action)]
    bound = user.acting_token.system_id if user.acting_token is not None else None
    if bound is None:
        return scopes
    return [bound] if any(scope in (None, bound) for scope in scopes) else []


def _token_allows(user: User, action: Action) -> bool:
    return user.acting_token is None or scopes_allow(user.acting_token.scopes, action)


def _role_names(action: Action) -> list[str]:
    return [Role(role).label for role in roles_for(action)]
