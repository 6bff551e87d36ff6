"""``manage.py doctor``: check this installation and say how to mend what is wrong."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from controlplane import doctor
from controlplane.doctor import Status

_SIGNS = {Status.OK: "✓", Status.WARN: "!", Status.FAIL: "✗", Status.UNKNOWN: "?"}


class Command(BaseCommand):
    help = "Check this installation and say how to mend what is wrong. Status 1 when something is."
    requires_system_checks = ()  # what Django would stop at is what people come here with

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON array instead of lines")
        parser.add_argument(
            "--restore-triggers", action="store_true", help="first put the append-only triggers of the log back"
        )

    def handle(self, *, json: bool, restore_triggers: bool, **_: Any) -> None:
        if restore_triggers:
            doctor.restore_triggers()
        findings = []
        for finding in doctor.examine():
            findings.append(finding)
            if not json:
                self._show(finding)
        failed = [finding for finding in findings if finding.status is Status.FAIL]
        if json:
            self.stdout.write(_as_json(findings))
        else:
            self.stdout.write(f"{len(findings)} checks, {len(failed)} failed.")
        if failed:
            sys.exit(1)

    def _show(self, finding: doctor.Finding) -> None:
        self.stdout.write(f"{_SIGNS[finding.status]} {finding.check:<16} {finding.detail}")
        if finding.mend and finding.status is not Status.OK:
            self.stdout.write(f"  {'':<16} → {finding.mend}")


def _as_json(findings: list[doctor.Finding]) -> str:
    return json.dumps([finding.as_json() for finding in findings], indent=2)
