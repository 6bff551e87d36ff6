"""Every change of systems and roles."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from security.access import selectors as access
from security.access.models import AISystem, RoleGrant
from security.access.table import Action, Role
from security.canonical import urn
from security.errors import ConflictError, DeniedError, InvalidError
from security.identity import second_factor
from security.identity.models import User
from security.log.events import Event
from security.log.services import record

RESERVED_SLUGS = frozenset({"new"})


@transaction.atomic
def create_system(*, acting_user: User, slug: str, name: str, purpose: str = "", owner: User | None = None) -> AISystem:
    """Create an AI system, in the highest tier: nobody has assessed it, and only ``governance.risk`` lowers a tier.

    Raises DeniedError, InvalidError (bad or taken slug).
    """
    access.require(acting_user, Action.CREATE_SYSTEM)
    if slug in RESERVED_SLUGS:
        raise InvalidError(f"“{slug}” names a page; take another word.", field="slug")
    system = AISystem(slug=slug, name=name, purpose=purpose, owner=owner)
    _validate(system)
    system.save(force_insert=True)
    record(
        Event.SYSTEM_CREATED,
        acting_user=acting_user,
        subject=urn("system", system.id),
        system=system.slug,
        payload={"slug": slug, "tier": system.tier, "owner": str(owner.id) if owner else None},
    )
    return system


@transaction.atomic
def change_system(*, acting_user: User, system: AISystem, name: str, purpose: str) -> AISystem:
    """Change a system's name and intended purpose."""
    access.require(acting_user, Action.CHANGE_SYSTEM, system)
    system.name, system.purpose = name, purpose
    _validate(system)
    system.save(update_fields=["name", "purpose"])
    record(Event.SYSTEM_CHANGED, acting_user=acting_user, subject=urn("system", system.id), system=system.slug)
    return system


@transaction.atomic
def grant_role(
    *,
    acting_user: User,
    user: User,
    role: str,
    system: AISystem | None = None,
    expires_at: datetime | None = None,
) -> RoleGrant:
    """Give ``user`` a role in ``system`` (None: all). Nobody grants to themselves.

    Every grant ends: at ``expires_at``, or after ``settings.GRANT_DAYS``, also the longest. Raises DeniedError,
    InvalidError (unknown role, end in the past or too far away, a service as signer), ConflictError (held already).
    """
    access.require(acting_user, Action.GRANT, system)
    second_factor.require_enrolled(acting_user)
    if acting_user.pk == user.pk:
        raise DeniedError("Nobody grants a role to themselves; ask another administrator.")
    known = _role(role)
    if user.is_service != (known is Role.SERVICE):
        raise InvalidError("A service holds the role “service” and no other; a person never does.", field="role")
    expires_at = _end(expires_at)
    if access.live_grants().filter(user=user, role=role, system=system).exists():
        raise ConflictError(f"{user.full_name} already is {known.label} in {system.slug if system else 'all systems'}.")
    _make_room(acting_user, user, role, system)
    grant = RoleGrant.objects.create(user=user, role=role, system=system, granted_by=acting_user, expires_at=expires_at)
    _record_grant(Event.ROLE_GRANTED, acting_user, grant)
    return grant


def _end(wanted: datetime | None) -> datetime:
    """When a grant ends. Raises InvalidError for a moment that has passed, or is further away than grants go."""
    now = timezone.now()
    longest = now + timedelta(days=settings.GRANT_DAYS)
    if wanted is None:
        return longest
    if wanted <= now:
        raise InvalidError("The end of a role must lie in the future.", field="expires_at")
    if wanted > longest + timedelta(days=1):  # the end of the last day
        message = f"A role lasts {settings.GRANT_DAYS} days at most; grant it anew when that is over."
        raise InvalidError(message, field="expires_at")
    return wanted


@transaction.atomic
def revoke_role(*, acting_user: User, grant: RoleGrant) -> RoleGrant:
    """End a role grant now. Raises DeniedError, ConflictError when it has ended already."""
    access.require(acting_user, Action.GRANT, grant.system)
    second_factor.require_enrolled(acting_user)
    grant = RoleGrant.objects.select_for_update().get(pk=grant.pk)
    if grant.revoked_at is not None:
        raise ConflictError("This role has been revoked already.")
    grant.revoked_at = timezone.now()
    grant.save(update_fields=["revoked_at"])
    _record_grant(Event.ROLE_REVOKED, acting_user, grant)
    return grant


@transaction.atomic
def bootstrap_admin(*, user: User) -> RoleGrant:
    """Give the first administrator their role, on a machine's own command line; refused once one exists."""
    if access.live_grants().filter(role=Role.ADMIN).exists():
        raise ConflictError("There is an administrator already; let them grant the role.")
    grant = RoleGrant.objects.create(user=user, role=Role.ADMIN, granted_by=None)
    _record_grant(Event.ROLE_GRANTED, None, grant)
    return grant


def _make_room(acting_user: User, user: User, role: str, system: AISystem | None) -> None:
    """A grant that ran out is closed, with an event of its own, and makes room for the new one."""
    ended = RoleGrant.objects.select_for_update(of=("self",)).filter(user=user, role=role, system=system)
    for grant in ended.filter(revoked_at=None).select_related("system"):
        grant.revoked_at = timezone.now()
        grant.save(update_fields=["revoked_at"])
        _record_grant(Event.ROLE_EXPIRED, acting_user, grant)


def _record_grant(event: Event, acting_user: User | None, grant: RoleGrant) -> None:
    record(
        event,
        acting_user=acting_user,
        subject=urn("user", grant.user_id),
        system=grant.system.slug if grant.system else "",
        payload={"grant": str(grant.id), "role": grant.role, "expires": str(grant.expires_at or "")},
    )


def _role(role: str) -> Role:
    try:
        return Role(role)
    except ValueError:
        raise InvalidError(f"No role {role!r}; there are {', '.join(Role)}.", field="role") from None


def _validate(system: AISystem) -> None:
    try:
        system.full_clean()
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise InvalidError(" ".join(messages), field=field) from None
