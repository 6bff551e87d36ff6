"""Triggers that make policies and votes insert-only, for both databases.

Installed by the migrations that make the tables. The test database's own flush takes them away on purpose
(``tests/conftest.py``).
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db.backends.base.base import BaseDatabaseWrapper

TABLES = {
    "governance_vote": "votes",
    "governance_policyversion": "published policies",
    "policymaking_draftsignature": "signatures under policies",
    "waivers_waiver": "waivers",
    "waivers_waiverdecision": "decisions on waivers",
    "waivers_waiveruse": "uses of waivers",
}
_POSTGRESQL_EVENTS = {"no_change": "UPDATE OR DELETE", "no_truncate": "TRUNCATE"}
_SQLITE_EVENTS = {"no_update": "UPDATE", "no_delete": "DELETE"}


def install(connection: BaseDatabaseWrapper) -> None:
    """Create the triggers on the tables that there are; harmless when they exist already."""
    remove(connection)
    build = _postgresql if connection.vendor == "postgresql" else _sqlite
    there = _there(connection)
    with connection.cursor() as cursor:
        for table, what in there.items():
            for statement in build(table, f"{what} are insert-only"):
                cursor.execute(statement)


def remove(connection: BaseDatabaseWrapper) -> None:
    """Drop the triggers (the test database's flush and documented emergencies only)."""
    postgresql, there = connection.vendor == "postgresql", _there(connection)
    with connection.cursor() as cursor:
        for table in there:
            for name in _POSTGRESQL_EVENTS if postgresql else _SQLITE_EVENTS:
                on_table = f" ON {table}" if postgresql else ""
                cursor.execute(f"DROP TRIGGER IF EXISTS {table}_{name}{on_table}")


def _there(connection: BaseDatabaseWrapper) -> dict[str, str]:
    """Those of the tables that migrations have made so far."""
    names = set(connection.introspection.table_names())
    return {table: what for table, what in TABLES.items() if table in names}


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
