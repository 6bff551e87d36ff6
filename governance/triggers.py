"""Triggers that make policies, votes, catalogues and attestations insert-only, for both databases.

Installed by a migration. The test database's own flush takes them away on purpose (``tests/conftest.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from django.db.backends.base.base import BaseDatabaseWrapper

TABLES = {
    "governance_vote": "votes",
    "governance_policyversion": "published policies",
    "policymaking_draftsignature": "signatures under policies",
    "waivers_waiver": "waivers",
    "waivers_waiverdecision": "decisions on waivers",
    "waivers_waiveruse": "uses of waivers",
    "frameworks_catalogue": "catalogues",
    "frameworks_group": "catalogues",
    "frameworks_control": "catalogues",
    "frameworks_crosswalk": "crosswalks",
    "frameworks_crosswalklink": "crosswalks",
    "frameworks_attestation": "attestations",
    "frameworks_withdrawal": "withdrawals of attestations",
}
_POSTGRESQL_EVENTS = {"no_change": "UPDATE OR DELETE", "no_truncate": "TRUNCATE"}
_SQLITE_EVENTS = {"no_update": "UPDATE", "no_delete": "DELETE"}


def install(connection: BaseDatabaseWrapper, tables: Mapping[str, str] = TABLES) -> None:
    """Create the triggers on those of ``tables`` (name → what its rows are) that exist; harmless twice."""
    remove(connection, tables)
    build = _postgresql if connection.vendor == "postgresql" else _sqlite
    with connection.cursor() as cursor:
        for table, what in _existing(connection, tables).items():
            for statement in build(table, f"{what} are insert-only"):
                cursor.execute(statement)


def remove(connection: BaseDatabaseWrapper, tables: Iterable[str] = TABLES) -> None:
    """Drop the triggers (the test database's flush and documented emergencies only)."""
    postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        for table in _existing(connection, dict.fromkeys(tables, "")):
            for name in _POSTGRESQL_EVENTS if postgresql else _SQLITE_EVENTS:
                on_table = f" ON {table}" if postgresql else ""
                cursor.execute(f"DROP TRIGGER IF EXISTS {table}_{name}{on_table}")


def _existing(connection: BaseDatabaseWrapper, tables: Mapping[str, str]) -> dict[str, str]:
    """Those of the tables that migrations have made by now."""
    there = set(connection.introspection.table_names())
    return {table: what for table, what in tables.items() if table in there}


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
