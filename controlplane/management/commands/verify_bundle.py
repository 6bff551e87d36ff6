"""``manage.py verify_bundle``: check the package of a model as anybody can, with this installation's key by default."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from pipelines.offline import verify_bundle
from security.log.keys import public_path


class Command(BaseCommand):
    help = "Verify the package of a model (a ZIP or a folder). Status 1 and what is wrong when anything is."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("package", help="the ZIP, or the folder it was unpacked into")
        parser.add_argument("--key", metavar="KEY.pem", help="public key of packages (default: this installation's)")

    def handle(self, *, package: str, key: str | None, **_: Any) -> None:
        own = public_path(Path(settings.MODEL_KEY))
        sys.exit(verify_bundle.main([package, "--key", key or str(own)]))
