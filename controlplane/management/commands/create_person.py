"""``manage.py create_person``: a person from the machine's own command line, above all the first administrator."""

from __future__ import annotations

import getpass
import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from security.access.services import bootstrap_admin
from security.errors import ServiceError
from security.identity.services import create_user

PASSWORD_VARIABLE = "COUNTERSIGN_NEW_PASSWORD"  # noqa: S105 - the name of a variable


class Command(BaseCommand):
    help = (
        "Create a person. With --admin the first administrator, who then gives out roles on the pages. "
        f"Asks for the password; without a terminal it is read from {PASSWORD_VARIABLE}."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username", help="what the person signs in with")
        parser.add_argument("--full-name", required=True, help="printed on signatures")
        parser.add_argument("--email", default="")
        parser.add_argument("--admin", action="store_true", help="the first administrator; refused once there is one")

    def handle(self, *, username: str, full_name: str, email: str, admin: bool, **_: Any) -> None:
        password = os.environ.get(PASSWORD_VARIABLE) or _ask()
        try:
            with transaction.atomic():
                user = create_user(
                    acting_user=None, username=username, full_name=full_name, email=email, password=password
                )
                if admin:
                    bootstrap_admin(user=user)
        except ServiceError as error:
            raise CommandError(error.message) from None
        role = "administrator" if admin else "person without a role yet"
        self.stdout.write(f"Created {user.username} ({user.full_name}), {role}.")


def _ask() -> str:
    try:
        password, again = getpass.getpass("Password: "), getpass.getpass("Again: ")
    except (EOFError, KeyboardInterrupt):
        raise CommandError("No password was given; nobody was created.") from None
    if password != again:
        raise CommandError("The two passwords differ; nobody was created.")
    return password
