"""How a process that helps with verification begins. Apart, since it is imported before Django is set up there."""

from __future__ import annotations

import django
from django.db import connection


def begin(database: str) -> None:
    """Set Django up, and take the same database as the one who asked."""
    django.setup()
    connection.settings_dict["NAME"] = database
