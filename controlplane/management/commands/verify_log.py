"""``manage.py verify_log``: check the whole audit log and name the first damage."""

from __future__ import annotations

import os
import re
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from security.log import checkpoints, keys, verification
from security.log import selectors as log
from security.log.checkpoints import Checkpoint
from security.log.verification import Verification

CHAIN_HEAD = re.compile(r"(\d+):([0-9a-f]{64})")


class Command(BaseCommand):
    help = "Verify the audit log. Status 1 and the first bad number when anything in it is not as it was signed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--expect",
            action="append",
            default=[],
            metavar="FILE",
            help="a signed checkpoint that was kept elsewhere: the log must still be of that tree (can be repeated; "
            "SIZE:HASH, a head of the chain that came before the tree, is understood too)",
        )
        parser.add_argument("--since", metavar="FILE", help="a checkpoint up to which all was checked: read on from it")
        parser.add_argument("--save", metavar="FILE", help="write the last checkpoint to this file, to keep elsewhere")
        parser.add_argument("--jobs", type=int, default=0, help="processes (default: one for each core on a large log)")
        parser.add_argument("--quiet", action="store_true", help="print nothing unless there is damage")

    def handle(
        self, *, expect: list[str], since: str | None, save: str | None, jobs: int, quiet: bool, **_: Any
    ) -> None:
        try:
            chains = [(int(head[1]), head[2]) for text in expect if (head := CHAIN_HEAD.fullmatch(text))]
            kept = [_checkpoint(text) for text in expect if not CHAIN_HEAD.fullmatch(text)]
            start, size = _checkpoint(since) if since else None, log.progress()[0]
            began = time.monotonic()
            show = _meter(size, began) if sys.stderr.isatty() and not quiet else None
            found = verification.verify(kept=kept, since=start, jobs=jobs or _jobs(size), progress=show)
        except keys.LogKeyError as error:
            raise CommandError(f"The signatures cannot be checked: {error}") from None
        damage = found.damage or next((wrong for head in chains if (wrong := verification.chain_damage(*head))), None)
        if damage is not None:
            self.stderr.write(
                f"DAMAGED at entry {damage.index}: {damage.kind}. {damage.detail}.\n"
                f"{found.entries:,} entries were read. Keep the database as it is and compare it with a backup."
            )
            sys.exit(1)
        if save and (last := log.latest()):
            Path(save).write_text(last.note, encoding="utf-8")
        if not quiet:
            self.stdout.write(_good(found, expect, time.monotonic() - began))


def _checkpoint(path: str) -> Checkpoint:
    """A kept checkpoint whose signature verifies. Raises CommandError."""
    try:
        return checkpoints.open_signed(Path(path).read_bytes(), keys.verifiers()[0]).checkpoint
    except OSError as error:
        raise CommandError(f"{path} cannot be read ({type(error).__name__}); give the file of a checkpoint.") from None
    except ValueError as error:
        raise CommandError(f"{path} is no checkpoint of this log: {error}.") from None


def _jobs(size: int) -> int:
    return len(os.sched_getaffinity(0)) if size >= 2 * verification.CHUNK and hasattr(os, "sched_getaffinity") else 1


def _good(found: Verification, expect: list[str], seconds: float) -> str:
    rate = found.entries / seconds if seconds else 0.0
    lines = [f"{found.entries:,} entries verified in {seconds:.1f} s ({rate:,.0f}/s)."]
    lines += [f"Note: {notice}." for notice in found.notices]
    if expect:
        lines.append("The log is still of every tree that was kept.")
    else:
        lines.append("Not checked: that this is the log somebody saw earlier. Keep the checkpoint (--save FILE) where "
                     "this server cannot reach it, and give it next time (--expect FILE).")  # fmt: skip
    return "\n".join([*lines, f"Now {found.size:,} entries, root {found.root.hex()}"])


def _meter(size: int, began: float) -> Callable[[int], None]:
    def show(done: int) -> None:
        rate = done / max(time.monotonic() - began, 1e-6)
        left = max(size - done, 0) / rate if rate else 0
        end = "\n" if done >= size else "\r"
        sys.stderr.write(f"{done:,} of {size:,} entries, {rate:,.0f}/s, {left:.0f} s left {end}")
        sys.stderr.flush()

    return show
