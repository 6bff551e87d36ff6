"""Where a person is signed in: what each session is, and ending one or all of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import logout
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from security.canonical import urn
from security.errors import MissingError
from security.identity.models import User
from security.log.events import Event
from security.log.services import record

NOTED_EVERY_SECONDS = 60
_REMEMBERED = 10_000
_noted: dict[str, float] = {}  # session key → when this process last noted it; bounded

# what a browser calls itself, most telling first: Edge and Opera also say Chrome, and Chrome says Safari
_BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_MACHINES = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True)
class Place:
    """One session as its owner sees it."""

    id: int
    device: str
    address: str
    since: datetime
    seen: datetime
    current: bool


def places(user: User, current_key: str | None) -> list[Place]:
    """The live sessions of a person, the one in use first, then by when they were last seen."""
    rows = UserSession.objects.filter(user=user)
    live = _store().exists
    found = [_place(row, current_key) for row in rows if live(row.session_key)]
    return sorted(found, key=lambda place: (not place.current, -place.seen.timestamp()))


def note(request: HttpRequest) -> None:
    """Keep when and from where a session was last used, to the minute, so that a page does not write at every call."""
    key = request.session.session_key
    if key is None or time.monotonic() - _noted.get(key, -NOTED_EVERY_SECONDS) < NOTED_EVERY_SECONDS:
        return
    if len(_noted) >= _REMEMBERED:
        _noted.clear()
    _noted[key] = time.monotonic()
    UserSession.objects.create_from_request(request)


def is_idle(request: HttpRequest) -> bool:
    """Whether nothing was heard of this session for ``SESSION_IDLE_SECONDS``; asked of the database once a minute."""
    key = request.session.session_key
    if key is None or time.monotonic() - _noted.get(key, -NOTED_EVERY_SECONDS) < NOTED_EVERY_SECONDS:
        return False
    seen = UserSession.objects.filter(session_key=key).values_list("last_seen_at", flat=True).first()
    return seen is not None and timezone.now() - seen > timedelta(seconds=settings.SESSION_IDLE_SECONDS)


def renamed(request: HttpRequest, cycle: Callable[[], None]) -> None:
    """Run ``cycle``, which gives the session a new key, and keep its row."""
    before = request.session.session_key
    cycle()
    request.session.save()
    UserSession.objects.filter(session_key=before).update(session_key=request.session.session_key)


@transaction.atomic
def end(*, acting_user: User, session_id: int) -> None:
    """End one of one's own sessions. Raises MissingError."""
    row = UserSession.objects.filter(user=acting_user, pk=session_id).first()
    if row is None:
        raise MissingError("There is no such session of yours.")
    row.end()
    _record(acting_user, acting_user, 1, "one")


@transaction.atomic
def end_idle(request: HttpRequest, user: User) -> None:
    """End the session of a request that comes too late; it goes on as nobody's."""
    UserSession.objects.filter(session_key=request.session.session_key).delete()
    _record(user, user, 1, "idle")
    logout(request)


@transaction.atomic
def end_all(*, acting_user: User, user: User, but: str | None = None, why: str = "all") -> int:
    """End every session of ``user`` except the one with the key ``but``; how many those were."""
    rows = list(UserSession.objects.filter(user=user).exclude(session_key=but or ""))
    for row in rows:
        row.end()
    if rows:
        _record(acting_user, user, len(rows), why)
    return len(rows)


def _record(acting_user: User, user: User, number: int, why: str) -> None:
    payload = {"sessions": number, "why": why}
    record(Event.SESSION_ENDED, acting_user=acting_user, subject=urn("user", user.pk), payload=payload)


def _place(row: UserSession, current_key: str | None) -> Place:
    return Place(
        row.pk, device(row.user_agent), row.ip, row.created_at, row.last_seen_at, row.session_key == current_key
    )


def device(user_agent: str) -> str:
    """``Firefox on Linux``; what cannot be told is left out."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "A program")
    machine = next((name for mark, name in _MACHINES if mark in user_agent), "")
    return f"{browser} on {machine}" if machine else browser


def _store() -> Any:
    return import_module(settings.SESSION_ENGINE).SessionStore()
