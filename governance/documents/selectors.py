"""Reading exports, and what can be exported for whom."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from governance.documents.kinds import KINDS, Kind
from governance.documents.models import Export
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import ALLOWED, Action, Role
from security.identity.models import User

OFFERED = 200


def exports() -> QuerySet[Export]:
    """Exports with system, who asked, and the artifact without its key, newest first."""
    rows = Export.objects.select_related("system", "requested_by", "artifact__system").defer("artifact__wrapped_key")
    return rows.order_by("-requested_at")


def systems(user: User) -> QuerySet[AISystem]:
    """The systems of which the person may make documents."""
    return access.visible(user, Action.EXPORT, AISystem.objects.order_by("slug"))


def roles_for(kind: Kind) -> list[str]:
    """The roles that may ask for a kind of document, in the order of the table."""
    return [role.label for role in Role if all(action in ALLOWED[role] for action in kind.needs)]


def subjects(kind: Kind, system: AISystem) -> list[tuple[str, str]]:
    """``(what names it, label)`` of the newest ``OFFERED`` that the kind can be about in a system."""
    rows: QuerySet[Any] = kind.noun.rows()
    inside = {"pk": system.pk} if kind.noun.word == "system" else {access.system_path(rows.model): system}
    return [(str(getattr(row, kind.noun.key)), kind.noun.label(row)) for row in rows.filter(**inside)[:OFFERED]]


def media_type(export: Export) -> str:
    """The media type of an export's file."""
    return KINDS[export.kind].formats[export.format].media_type


def filename(export: Export) -> str:
    """A name to save it under, of nothing that a person chose."""
    ending = KINDS[export.kind].formats[export.format].ending
    return f"{export.kind}-{export.requested_at:%Y%m%d}-{export.pk.hex[:8]}.{ending}"
