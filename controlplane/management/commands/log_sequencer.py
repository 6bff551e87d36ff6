"""``manage.py log_sequencer``: number what is recorded in the audit log, and sign it, until it is stopped."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from security.log import background, keys, sequencer


class Command(BaseCommand):
    help = "Give events of the audit log their numbers and sign checkpoints. Any number may run; one works at a time."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="number what waits now, and end")

    def handle(self, *, once: bool, **_: Any) -> None:
        try:
            log, _clock = keys.signers()
            done = sequencer.number_all()
        except (keys.LogKeyError, ValueError) as error:
            raise CommandError(f"Nothing can be numbered: {error}") from None
        self.stdout.write(f"Signing as {log.name}; {done:,} events were numbered.")
        self.stdout.flush()
        if not once:
            _follow()


def _follow() -> None:
    ending = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: ending.set())
    background.follow(ending)
