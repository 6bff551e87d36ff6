"""``manage.py vault_scrub``: verify what lies in the store, and collect what nobody knows of."""

from __future__ import annotations

import re
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from security.errors import ServiceError
from security.vault import orphans, scrubbing
from security.vault.models import Artifact

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}


class Command(BaseCommand):
    help = (
        "Verify every stored object against its digests, and its key at its provider. What is damaged or missing opens "
        "a finding, what is whole again closes it. Status 1 when something is wrong."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--rate", type=_rate, help="bytes a second, as 50M (default: as fast as it goes)")
        parser.add_argument("--seconds", type=float, help="stop after so long; the next scrub goes on from there")
        parser.add_argument("--orphans", action="store_true", help="delete objects without a row, once they are old")
        parser.add_argument("--older-than", type=float, metavar="SECONDS", help="how old (default: 8 days)")
        parser.add_argument("--even-most", action="store_true", help="delete them although they are most of the store")

    def handle(
        self, *, rate: float, seconds: float, orphans: bool, older_than: float, even_most: bool, **_: Any
    ) -> None:
        try:
            result = self._scrub(rate or float("inf"), seconds)
            if orphans:
                self._collect(older_than, even_most=even_most)
        except ServiceError as error:
            raise CommandError(error.message) from error
        if result.faults:
            sys.exit(1)

    def _scrub(self, rate: float, seconds: float | None) -> scrubbing.Scrubbed:
        total, started = Artifact.objects.count(), time.monotonic()
        result = scrubbing.scrub(rate=rate, seconds=seconds, progress=_meter(total) if sys.stderr.isatty() else None)
        took = max(time.monotonic() - started, 1e-6)
        self.stdout.write(
            f"{result.artifacts:,} of {total:,} artifacts verified, {result.bytes:,} bytes in {took:.1f} s "
            f"({result.bytes / took / 1e6:,.0f} MB/s). {result.opened} findings opened, {result.closed} closed."
        )
        if result.keys_unchecked:
            self.stdout.write(f"The keys of {result.keys_unchecked:,} could not be checked: their provider is away.")
        for row, fault in result.faults:
            self.stderr.write(f"{fault.kind.label}: artifact {row.pk} of {row.system.slug}: {fault.detail}.")
        return result

    def _collect(self, older_than: float | None, *, even_most: bool) -> None:
        age = timedelta(seconds=settings.VAULT_ORPHAN_SECONDS if older_than is None else older_than)
        done = orphans.collect(older_than=age, even_most=even_most)
        self.stdout.write(
            f"{done.deleted:,} of {done.objects:,} objects had no row and are gone ({done.bytes:,} bytes)."
        )


def _rate(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kMG]?)", text)
    if found is None or not float(found[1]):
        raise ArgumentTypeError("give it as bytes a second: 50000000, or 50M")
    return float(found[1]) * _UNITS[found[2]]


def _meter(total: int) -> Callable[[scrubbing.Scrubbed], None]:
    started = time.monotonic()

    def show(result: scrubbing.Scrubbed) -> None:
        took = max(time.monotonic() - started, 1e-6)
        left = max(total - result.artifacts, 0) * took / max(result.artifacts, 1)
        speed = result.bytes / took / 1e6
        sys.stderr.write(f"{result.artifacts:,} of {total:,} artifacts, {speed:,.0f} MB/s, {left:.0f} s left \r")
        sys.stderr.flush()

    return show
