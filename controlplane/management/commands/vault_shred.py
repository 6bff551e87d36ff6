"""``manage.py vault_shred``: destroy the key of one artifact, or make earlier erasures again after a restore."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from security.errors import ServiceError
from security.identity.models import User
from security.vault import shredding
from security.vault.models import Artifact


class Command(BaseCommand):
    help = (
        "Erase an artifact by destroying its data key. There is no way back: its bytes cannot be read again, its "
        "digest and history stay. With --reapply: make the erasures again that a restored database does not know of."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("artifact", nargs="?", help="the artifact's id")
        parser.add_argument("--by", metavar="USERNAME", help="who decided it; needs the right in the artifact's system")
        parser.add_argument("--ground", choices=[ground.value for ground in shredding.Ground], help="why")
        parser.add_argument("--reapply", action="store_true", help="after a restore: shred again what was shredded")

    def handle(self, *, artifact: str, by: str, ground: str, reapply: bool, **_: Any) -> None:
        if reapply:
            self.stdout.write(f"{shredding.reapply():,} artifacts were shredded again.")
            return
        if not (artifact and by and ground):
            raise CommandError("Name the artifact, --by and --ground; or say --reapply.")
        person = User.objects.filter(username=by).first()
        if person is None:
            raise CommandError(f"There is no person {by!r}.")
        try:
            row = Artifact.objects.select_related("system").get(pk=artifact)
            shredding.shred(acting_user=person, artifact=row, ground=ground)
        except (Artifact.DoesNotExist, ValidationError):
            raise CommandError(f"There is no artifact {artifact!r}; give its id, not its digest.") from None
        except ServiceError as error:
            raise CommandError(error.message) from error
        self.stdout.write(
            f"The key of artifact {row.digest} is destroyed. Copies of the key are in backups of the database until "
            "the key-encryption key is rotated and retired: see docs/operations.md, Erasure."
        )
