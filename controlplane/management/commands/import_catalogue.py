"""``manage.py import_catalogue FILE``: an OSCAL catalogue from the machine's own command line, or the built-in ones."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.frameworks.oscal import MAX_BYTES
from governance.frameworks.services.catalogues import import_catalogue, load_builtin, parse
from security.errors import ServiceError


class Command(BaseCommand):
    help = "Import an OSCAL catalogue (JSON, 1.1 or 1.2), or with --builtin those that this release ships."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", nargs="?", type=Path, help="the catalogue; at most 16 MiB")
        parser.add_argument("--key", default="", help="of its series; made from the title if left out")
        parser.add_argument("--source", default="", help="where it is from, for people to read")
        parser.add_argument("--builtin", action="store_true", help="bring in what this release ships")

    def handle(self, *, file: Path | None, key: str, source: str, builtin: bool, **_: Any) -> None:
        if builtin == (file is not None):
            raise CommandError("Give either a file or --builtin.")
        if file is None:
            new = load_builtin()
            self.stdout.write("\n".join(f"Loaded {row}." for row in new) or "All of them are here already.")
            return
        try:
            made = import_catalogue(acting_user=None, document=parse(_content(file)), key=key, source=source)
        except ServiceError as error:
            places = [f"  {found['field']} {found['detail']}" for found in error.extra.get("errors", ())]
            raise CommandError("\n".join([f"Nothing was imported: {error.message}", *places])) from None
        row = made.catalogue
        word = "Imported" if made.created else "Here already:"
        self.stdout.write(f"{word} {row.title} {row.version} as {row.key}, {row.control_count:,} controls.")


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from None
