"""Which events a person may see: those of systems where they may view the log, and with a global role all others."""

from __future__ import annotations

from django.db.models import QuerySet

from security.access import selectors as access
from security.access.models import AISystem
from security.access.selectors import AnyUser
from security.access.table import Action
from security.errors import MissingError
from security.log.models import AuditEvent
from security.log.selectors import events


def visible_events(user: AnyUser, among: QuerySet[AuditEvent] | None = None) -> QuerySet[AuditEvent]:
    """Events that the user may see, newest first. Those without a system (people, tokens) need a global role.

    ``among``: others than all that have a number.
    """
    rows = events() if among is None else among
    if access.allowed(user, Action.VIEW_LOG):
        return rows
    slugs = access.visible(user, Action.VIEW_LOG, AISystem.objects.all()).order_by().values("slug")
    return rows.filter(system__in=slugs)


def visible_event(user: AnyUser, index: int) -> AuditEvent:
    """One event. Raises MissingError when there is none, or none that the user may see."""
    found = visible_events(user).filter(leaf__index=index).first()
    if found is None:
        raise MissingError("There is no such event, or you may not view the log of its system.")
    return found
