"""The application under the role of docs/operations.md: it can do its work, and cannot touch what the log holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.db import ProgrammingError, connection, transaction

from governance.services.reviews import submit, vote
from security.access.services import create_system, grant_role
from security.access.table import Role
from security.canonical import urn
from security.log import selectors, sequencer, triggers
from security.log.events import Event
from security.log.models import AuditEvent
from security.log.services import erase, record
from security.log.verification import verify
from tests.support.absent import absent
from tests.support.models import make_model_version
from tests.support.people import PASSWORD, People

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.postgresql("SQLite has no roles"),
]
COLUMN = {
    "log_event": "entry",
    "log_leaf": "hash",
    "log_node": "hash",
    "log_checkpoint": "note",
    "log_cosignature": "line",
    "log_timestamp": "answer",
}
OPERATIONS = Path(__file__).resolve().parents[3] / "docs" / "operations.md"


@pytest.fixture
def role() -> str:
    """A role with exactly the documented grants; the test goes on as this role."""
    found = re.search(r"```sql least-privilege\n(.*?)```", OPERATIONS.read_text(), re.DOTALL)
    assert found is not None
    name = "countersign_app_of_a_test"
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user")
        if not cursor.fetchone()[0]:
            absent("the tests' database user may not create roles (CREATEROLE)")
        cursor.execute(found[1].replace("countersign_app", name))
        cursor.execute(f"GRANT {name} TO CURRENT_USER")
        cursor.execute(f"SET LOCAL ROLE {name}")
        cursor.execute("SELECT current_user")
        assert cursor.fetchone()[0] == name
    return name  # the test's transaction is rolled back, and the role with it


def test_the_application_can_do_its_work(people: People, role: str) -> None:
    create_system(acting_user=people.admin, slug="fresh", name="Fresh", purpose="testing")
    grant_role(acting_user=people.admin, user=people.nobody, role=Role.AUDITOR, system=people.system)
    version = make_model_version(people.system, people.engineer)
    review = submit(acting_user=people.engineer, model_version=version)
    vote(acting_user=people.validator, review=review, decision="reject", reason="No.", password=PASSWORD)
    record(Event.RUN_CREATED, acting_user=None, subject=urn("run", 1), personal={"name": "Ada"})
    erase(acting_user=people.admin, subjects=[urn("run", 1)])
    assert sequencer.number_all() == 0  # each was numbered when it was recorded, under this role
    assert selectors.head()[0] == AuditEvent.objects.count() > 10
    assert verify().ok


@pytest.mark.parametrize("table", triggers.KEPT)
@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE {table} SET {column} = {column}",
        "DELETE FROM {table}",
        "TRUNCATE {table} CASCADE",
        "ALTER TABLE {table} DISABLE TRIGGER ALL",
        "DROP TRIGGER {table}_no_change ON {table}",
        "DROP TABLE {table} CASCADE",
        "ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL",
    ],
)
def test_the_application_cannot_change_what_the_log_holds(people: People, role: str, table: str, attack: str) -> None:
    column = COLUMN[table]
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), transaction.atomic():
        connection.cursor().execute(attack.format(table=table, column=column))


@pytest.mark.parametrize(
    "attack",
    [
        "SET session_replication_role = replica",
        "CREATE OR REPLACE FUNCTION log_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        "UPDATE log_pending SET event_id = event_id",
        "UPDATE log_personal SET salt = salt",
    ],
)
def test_the_application_cannot_get_around_the_triggers(people: People, role: str, attack: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), transaction.atomic():
        connection.cursor().execute(attack)
