"""The one write of the shell: when a person last looked at their home page. Not a change of the domain, so no event."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from security.identity.models import User

VISIT = timedelta(minutes=30)


def look(user: User, session_since: str | None) -> tuple[datetime | None, str]:
    """Note that the person looks now; returns since when things count as new, and what to keep in the session.

    Looks within half an hour of each other are one visit, so that a reload does not hide what is new.
    """
    now, last = timezone.now(), user.seen_home_at
    if last is not None and now - last < VISIT and session_since is not None:
        since = datetime.fromisoformat(session_since) if session_since else None
    else:
        since = last
    if last is None or now - last > timedelta(minutes=1):
        User.objects.filter(pk=user.pk).update(seen_home_at=now)
    return since, since.isoformat() if since else ""
