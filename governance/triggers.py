"""Triggers that make policies and signatures insert-only, for both databases.

Installed by a migration. The test database's own flush takes them away on purpose (``tests/conftest.py``).
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db.backends.base.base import BaseDatabaseWrapper

TABLES = {
    "governance_vote": "votes",
    "governance_grantact": "signatures",
    "governance_policyversion": "published policies",
}
_POSTGRESQL_EVENTS = {"no_change": "UPDATE OR DELETE", "no_truncate": "TRUNCATE"}
_SQLITE_EVENTS = {"no_update": "UPDATE", "no_delete": "DELETE"}


def install(connection: BaseDatabaseWrapper) -> None:
    """Create the triggers; harmless when they exist already."""
    remove(connection)
    build = _postgresql if connection.vendor == "postgresql" else _sqlite
    with connection.cursor() as cursor:
        for table in _existing(connection):
            for statement in build(table, f"{TABLES[table]} are insert-only"):
                cursor.execute(statement)


def remove(connection: BaseDatabaseWrapper) -> None:
    """Drop the triggers (the test database's flush and documented emergencies only)."""
    postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        for table in _existing(connection):
            for name in _POSTGRESQL_EVENTS if postgresql else _SQLITE_EVENTS:
                on_table = f" ON {table}" if postgresql else ""
                cursor.execute(f"DROP TRIGGER IF EXISTS {table}_{name}{on_table}")


def _existing(connection: BaseDatabaseWrapper) -> list[str]:
    """The tables that there are already: earlier migrations install this too."""
    there = connection.introspection.table_names()
    return [table for table in TABLES if table in there]


def _sqlite(table: str, message: str) -> Iterator[str]:
    for name, event in _SQLITE_EVENTS.items():
        yield f"CREATE TRIGGER {table}_{name} BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, '{message}'); END"


def _postgresql(table: str, message: str) -> Iterator[str]:
    yield (
        f"CREATE OR REPLACE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{message}'; END $$"
    )
    for name, event in _POSTGRESQL_EVENTS.items():
        yield (
            f"CREATE TRIGGER {table}_{name} BEFORE {event} ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()"
        )
