"""A database that several threads can use at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection


@contextmanager
def usable_by_threads(folder: Path) -> Iterator[None]:
    """SQLite's test database, which is in memory, is copied to a file below ``folder``; others stay as they are.

    Threads that begin inside have connections of their own to the same data, as processes have in an installation.
    """
    if connection.vendor != "sqlite" or not connection.is_in_memory_db():
        yield
        return
    memory, name, path = connection.connection, connection.settings_dict["NAME"], folder / "shared.sqlite3"
    copy = sqlite3.connect(path)
    memory.backup(copy)
    copy.close()
    connection.connection, connection.settings_dict["NAME"] = None, str(path)
    try:
        yield
    finally:
        connection.close()
        connection.connection, connection.settings_dict["NAME"] = memory, name
