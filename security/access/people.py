"""Reading systems and the people who hold roles in them."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from security.access.models import AISystem, RoleGrant
from security.access.selectors import grants_of, visible
from security.access.table import Action
from security.identity.models import User


def systems() -> QuerySet[AISystem]:
    """Systems with their owners, by slug."""
    return AISystem.objects.select_related("owner").order_by("slug")


def grants() -> QuerySet[RoleGrant]:
    """Grants with people and system, newest first."""
    return RoleGrant.objects.select_related("user", "system", "granted_by").order_by("-granted_at")


def visible_grants(user: User) -> QuerySet[RoleGrant]:
    """Grants in systems that the user may view, their own, and for holders of any role those in all systems."""
    known = Q(user=user) | Q(system__in=visible(user, Action.VIEW, AISystem.objects.all()))
    if grants_of(user):
        known |= Q(system=None)
    return grants().filter(known)
