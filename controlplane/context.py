"""What every page needs."""

from __future__ import annotations

from typing import Any

from django.core.cache import cache
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from controlplane import __version__
from governance.notices import selectors as notices
from governance.selectors.waiting import waiting
from security.access import selectors as access
from security.access.table import Action
from security.identity.models import User
from security.log import selectors as log

WAITING_SECONDS = 60


def shell(request: HttpRequest) -> dict[str, Any]:
    """The release, the theme that the reader chose (cookie, empty for the system's), and, only where a page asks for
    them, ``waiting`` (place → how many wait for this reader there) and ``roles``."""
    theme = request.COOKIES.get("theme", "")
    return {
        "release": __version__,
        "theme": theme if theme in ("light", "dark") else "",
        "waiting": SimpleLazyObject(lambda: _waiting(request)),
        "roles": SimpleLazyObject(lambda: _roles(request)),
    }


def _waiting(request: HttpRequest) -> dict[str, str]:
    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return {}
    told = {"inbox": notices.badge(user)}
    if not (access.allowed_somewhere(user, Action.VALIDATE) or access.allowed_somewhere(user, Action.ACCEPT_RISK)):
        return told
    return {**told, "reviews": _reviews_waiting(user)}


def _reviews_waiting(user: User) -> str:
    """How many reviews wait for this person. Every change writes an event, so while the log has not grown the number
    that was counted last is still right; the time limit is for what changes by itself, such as a role's end."""
    signed, recorded = log.progress()
    key = f"reviews-waiting:{user.pk}:{signed}:{recorded}"
    found = cache.get(key)
    if found is None:
        found = waiting(user).badge
        cache.set(key, found, WAITING_SECONDS)
    return str(found)


def _roles(request: HttpRequest) -> str:
    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return ""
    return ", ".join(dict.fromkeys(role.replace("-", " ") for role, _ in access.grants_of(user)))
