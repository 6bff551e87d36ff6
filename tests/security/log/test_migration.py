"""An installation that has a hash chain gets a tree: the same leaves in the same order, or nothing at all."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from security.canonical import canonical_json
from security.log import merkle, sequencer, triggers
from security.log.models import AuditEvent, Leaf, Node, StoredCheckpoint
from security.log.services import timestamp
from security.log.verification import chain_damage, verify
from tests.support.attackers import write

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE, AFTER = ("log", "0002_append_only"), ("log", "0006_outside")


def migrate(target: tuple[str, str]) -> Any:
    executor = MigrationExecutor(connection)
    executor.migrate([target])
    return executor.loader.project_state([target]).apps


@pytest.fixture
def before():
    """The tables as they were, empty; the present ones again afterwards."""
    executor = MigrationExecutor(connection)
    triggers.remove(connection)
    with connection.schema_editor() as editor:
        for name in (
            "cosignature",
            "timestampanswer",
            "delivery",
            "personal",
            "node",
            "leaf",
            "pending",
            "storedcheckpoint",
            "auditevent",
        ):
            editor.delete_model(executor.loader.project_state([AFTER]).apps.get_model("log", name))
    recorder = executor.recorder
    for name in ("0003_outbox_and_tree", "0004_carry_over", "0005_append_only_tree", "0006_outside"):
        recorder.record_unapplied("log", name)
    state = MigrationExecutor(connection).loader.project_state([BEFORE]).apps
    with connection.schema_editor() as editor:
        editor.create_model(state.get_model("log", "AuditEvent"))
        editor.create_model(state.get_model("log", "LogHead"))
    triggers.install(connection)
    yield state
    if AFTER not in recorder.applied_migrations():
        triggers.remove(connection)
        for table in ("log_auditevent", "log_chainedevent"):
            if table in connection.introspection.table_names():
                with connection.cursor() as cursor:
                    cursor.execute(f"DELETE FROM {table}")
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM log_loghead")
        migrate(AFTER)


def chain(state: Any, count: int) -> str:
    """Events as the release before wrote them; returns the head."""
    head, rows = hashlib.sha256(b"").hexdigest(), []
    for index in range(count):
        now = timezone.now()
        columns = {
            "index": index,
            "event": "run:created",
            "actor": "urn:countersign:system:engine",
            "subject": f"urn:countersign:run:{index}",
            "system": "credit",
        }
        entry = canonical_json({**columns, "payload": {"n": index}, "time": timestamp(now)})
        leaf = hashlib.sha256(b"\x00" + entry).digest()
        after = hashlib.sha256(b"\x02" + bytes.fromhex(head) + leaf).hexdigest()
        model = state.get_model("log", "AuditEvent")
        rows.append(model(**columns, time=now, entry=entry.decode(), previous=head, chain=after))
        head = after
    state.get_model("log", "AuditEvent").objects.bulk_create(rows)
    state.get_model("log", "LogHead").objects.create(id=1, size=count, chain=head)
    return head


@pytest.mark.parametrize("count", [0, 1, 700])
def test_the_chain_is_carried_over_and_goes_on(before: Any, count: int) -> None:
    head = chain(before, count) if count else ""
    leaves = [
        merkle.leaf_hash(entry.encode())
        for entry in before.get_model("log", "AuditEvent").objects.order_by("index").values_list("entry", flat=True)
    ]
    migrate(AFTER)
    assert triggers.installed(connection)
    assert "log_chainedevent" not in connection.introspection.table_names()
    assert [bytes(each) for each in Leaf.objects.order_by("index").values_list("hash", flat=True)] == leaves
    assert Node.objects.count() == count // 256
    unsigned = verify()
    assert (unsigned.damage, unsigned.size, unsigned.signed) == (None, count, 0)
    sequencer.number_all()
    assert StoredCheckpoint.objects.count() == (1 if count else 0)
    write(3)
    verified = verify()
    assert (verified.damage, verified.size, verified.signed) == (None, count + 3, count + 3)
    assert [event.subject for event in AuditEvent.objects.order_by("index")][:count] == [
        f"urn:countersign:run:{index}" for index in range(count)
    ]
    if count:
        assert chain_damage(count, head) is None  # what auditors noted before is still good


@pytest.mark.parametrize(
    "attack",
    [
        lambda rows, heads: rows.filter(index=3).update(entry="{}"),
        lambda rows, heads: rows.filter(index=3).delete(),
        lambda rows, heads: rows.filter(index__gte=8).delete(),
    ],
)
def test_a_damaged_chain_is_not_carried_over(before: Any, attack: Any) -> None:
    chain(before, 10)
    triggers.remove(connection)
    attack(before.get_model("log", "AuditEvent").objects.all(), before.get_model("log", "LogHead").objects.all())
    triggers.install(connection)
    with pytest.raises(RuntimeError, match="not carried over"):
        migrate(AFTER)
    assert AuditEvent.objects.count() == 0
