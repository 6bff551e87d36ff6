"""``manage.py log_push``: send the audit log's newest checkpoint to witnesses, store and time-stamping authority."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from security.log import publishing
from security.log.trust import PolicyError


class Command(BaseCommand):
    help = "Send the newest checkpoint to everybody who lacks it and is due, once; the clock does the same by itself."

    def handle(self, **_: Any) -> None:
        try:
            became = publishing.push()
        except (PolicyError, OSError) as error:
            raise CommandError(f"The trust policy of LOG_POLICY cannot be read: {error}") from None
        for destination, outcome in became.items():
            self.stdout.write(f"{destination}: {outcome}")
        if any(outcome != publishing.DELIVERED for outcome in became.values()):
            raise CommandError("Not everybody took it; it is tried again later.")
