"""Triggers that make the log's tables append-only, for both databases.

Events, numbers, nodes, checkpoints and what others signed of them can be neither changed nor deleted. A row of the
queue can be deleted once its event has a number, and not before; personal values can be deleted, but not changed.
Installed by migrations; tests that play the attacker, and the test database's own flush, take the triggers away.
"""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

KEPT = ("log_event", "log_leaf", "log_node", "log_checkpoint", "log_cosignature", "log_timestamp")
QUEUE = "log_pending"
ERASABLE = "log_personal"
BEFORE_NUMBERING = "log_auditevent"  # the table of installations that have not been migrated yet
TABLES = (*KEPT, QUEUE, ERASABLE)

_REFUSE = "the audit log is append-only"
_UNNUMBERED = "the event has no number yet"
_UNNUMBERED_FUNCTION = """
    CREATE OR REPLACE FUNCTION log_refuse_unnumbered() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF EXISTS (
            SELECT 1 FROM gone WHERE NOT EXISTS (SELECT 1 FROM log_leaf WHERE log_leaf.event_id = gone.event_id)
        ) THEN RAISE EXCEPTION 'the event has no number yet'; END IF;
        RETURN NULL;
    END $$
"""


def install(connection: BaseDatabaseWrapper) -> None:
    """Create the triggers on those of the tables that exist; harmless when they exist already."""
    remove(connection)
    make = _postgresql if connection.vendor == "postgresql" else _sqlite
    with connection.cursor() as cursor:
        for table in _existing(connection):
            for statement in make(table):
                cursor.execute(statement)


def remove(connection: BaseDatabaseWrapper) -> None:
    """Drop the triggers (tests and documented emergencies only)."""
    postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        for table in _existing(connection):
            on_table = f" ON {table}" if postgresql else ""
            for name in ("no_change", "no_truncate", "no_update", "no_delete"):
                cursor.execute(f"DROP TRIGGER IF EXISTS {table}_{name}{on_table}")


def installed(connection: BaseDatabaseWrapper) -> bool:
    """Whether every trigger is there, and on."""
    query = (
        "SELECT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
        " WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND c.relname = ANY(%s)"
        " AND c.relnamespace = current_schema()::regnamespace"
        if connection.vendor == "postgresql"
        else "SELECT tbl_name FROM sqlite_master WHERE type = 'trigger'"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [list(TABLES)] if connection.vendor == "postgresql" else [])
        found = [row[0] for row in cursor.fetchall()]
    return all(found.count(table) == _count(connection, table) for table in TABLES)


def _count(connection: BaseDatabaseWrapper, table: str) -> int:
    make = _postgresql if connection.vendor == "postgresql" else _sqlite
    return sum("CREATE TRIGGER" in statement for statement in make(table))


def _existing(connection: BaseDatabaseWrapper) -> list[str]:
    there = set(connection.introspection.table_names())
    return [table for table in (*TABLES, BEFORE_NUMBERING) if table in there]


def _sqlite(table: str) -> list[str]:
    refused = {"UPDATE": "", "DELETE": ""}
    if table == QUEUE:
        refused["DELETE"] = "WHEN NOT EXISTS (SELECT 1 FROM log_leaf WHERE event_id = OLD.event_id)"
    if table == ERASABLE:
        del refused["DELETE"]
    return [
        f"CREATE TRIGGER {table}_no_{operation.lower()} BEFORE {operation} ON {table} FOR EACH ROW {when}"
        f" BEGIN SELECT RAISE(ABORT, '{_UNNUMBERED if when else _REFUSE}'); END"
        for operation, when in refused.items()
    ]


def _postgresql(table: str) -> list[str]:
    operations = "UPDATE OR DELETE" if table in (*KEPT, BEFORE_NUMBERING) else "UPDATE"
    statements = [
        f"CREATE OR REPLACE FUNCTION log_refuse() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{_REFUSE}'; END $$",
        f"CREATE TRIGGER {table}_no_change BEFORE {operations} ON {table} FOR EACH STATEMENT"
        " EXECUTE FUNCTION log_refuse()",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT"
        " EXECUTE FUNCTION log_refuse()",
    ]
    if table == QUEUE:
        statements += [
            _UNNUMBERED_FUNCTION,
            f"CREATE TRIGGER {table}_no_delete AFTER DELETE ON {table} REFERENCING OLD TABLE AS gone"
            " FOR EACH STATEMENT EXECUTE FUNCTION log_refuse_unnumbered()",
        ]
    return statements
