"""``manage.py vault_rotate``: move every data key under the present key-encryption key."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from security.errors import ServiceError
from security.vault import rotation
from security.vault.providers.contract import KeyProviderError


class Command(BaseCommand):
    help = (
        "Wrap every data key under the present key-encryption key. Objects are not touched; work goes on meanwhile; "
        "an interrupted rotation goes on where it was. Status 1 when a wrapped key does not verify."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--new-key", action="store_true", help="first make a new primary key in the keyring file")
        parser.add_argument("--batch", type=int, default=rotation.BATCH, help="keys in one transaction")
        parser.add_argument("--pending", action="store_true", help="only say how many keys are left to do")
        parser.add_argument(
            "--retire",
            metavar="KEY",
            help="destroy a key of the keyring file that nothing uses; backups made under it become unreadable",
        )
        parser.add_argument(
            "--even-now", action="store_true", help="retire although a running step may hold a data key under it"
        )

    def handle(self, *, new_key: bool, batch: int, pending: bool, retire: str, even_now: bool, **_: Any) -> None:
        try:
            if retire:
                rotation.retire(retire, even_now=even_now)
                self.stdout.write(f"Key {retire} is destroyed.")
            elif pending:
                self.stdout.write(f"{rotation.pending():,} data keys are under another key than the present one.")
            else:
                self._rotate(batch, new_key=new_key)
        except (KeyProviderError, ServiceError) as error:
            raise CommandError(f"{error}\nWhat was done so far stays; run the command again.") from error

    def _rotate(self, batch: int, *, new_key: bool) -> None:
        if new_key:
            self.stdout.write(f"New key {rotation.new_key().key_id}. Back the keyring up now.")
        total, started = rotation.pending(), time.monotonic()
        result = rotation.rotate(batch=batch, progress=_meter(total, started) if sys.stderr.isatty() else None)
        where = f"{result.to.provider} {result.to.key_id} {result.to.version}".strip()
        self.stdout.write(f"{result.rewrapped:,} data keys are now under {where} ({time.monotonic() - started:.1f} s).")
        for name in result.damaged:
            self.stderr.write(f"DAMAGED: the wrapped key of {name} does not verify; it stays as it is.")
        if result.damaged:
            sys.exit(1)


def _meter(total: int, started: float) -> Callable[[int], None]:
    def show(done: int) -> None:
        rate = done / max(time.monotonic() - started, 1e-6)
        left = max(total - done, 0) / max(rate, 1e-6)
        sys.stderr.write(f"{done:,} of {total:,} keys, {rate:,.0f}/s, {left:.0f} s left \r")
        sys.stderr.flush()

    return show
