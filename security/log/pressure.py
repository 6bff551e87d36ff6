"""Back-pressure: what cannot be numbered must not pile up without end.

The rule: while more than ``LOG_MAX_BACKLOG`` events wait for their number, a transaction that would record another one
waits up to ``LOG_WAIT_SECONDS`` for the sequencer to catch up, and is refused (503) if it does not. On SQLite it is
refused at once, because its own transaction would keep the sequencer from writing. Each process counts at most once a
second, so the bound can be passed by what it writes in that time.
"""

from __future__ import annotations

import time

from django.conf import settings
from django.db import connection

from security.errors import UnavailableError
from security.log.models import Pending

CHECK_SECONDS = 1.0
_POLL_SECONDS = 0.05
_next_check = 0.0


def admit() -> None:
    """Return when another event may be recorded. Raises UnavailableError when too many wait."""
    global _next_check  # noqa: PLW0603 - when this process counts again
    if time.monotonic() < _next_check:
        return
    deadline = time.monotonic() + (settings.LOG_WAIT_SECONDS if connection.vendor == "postgresql" else 0)
    while backlog(settings.LOG_MAX_BACKLOG + 1) > settings.LOG_MAX_BACKLOG:
        if time.monotonic() >= deadline:
            raise UnavailableError(
                f"More than {settings.LOG_MAX_BACKLOG:,} events wait to be numbered in the audit log, so nothing more "
                "is recorded and nothing was changed. Whoever runs this server: manage.py doctor, then start "
                "manage.py log_sequencer."
            )
        time.sleep(_POLL_SECONDS)
    _next_check = time.monotonic() + CHECK_SECONDS


def backlog(at_most: int) -> int:
    """How many events wait for their number, counted up to ``at_most``."""
    return Pending.objects.all()[:at_most].count()


def forget() -> None:
    """Count again at the next event."""
    global _next_check  # noqa: PLW0603 - see above
    _next_check = 0.0
