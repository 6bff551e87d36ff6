"""The log in the database: written with its change, numbered afterwards, append-only, and honest about damage."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from security.canonical import urn
from security.errors import UnavailableError
from security.log import checkpoints, keys, merkle, pressure, selectors, sequencer, tree, triggers
from security.log.checkpoints import Checkpoint
from security.log.checks import Kind
from security.log.entries import EntryError
from security.log.events import Event
from security.log.models import AuditEvent, Leaf, Node, Pending, Personal, StoredCheckpoint
from security.log.services import NotInTransactionError, erase, record, together
from security.log.verification import verify
from tests.support.attackers import exchange, no_triggers, rewrite, write

pytestmark = pytest.mark.django_db


@pytest.fixture
def attacker():
    with no_triggers():
        yield


@pytest.fixture
def no_sequencer(settings):
    """Nobody numbers unless the test says so."""
    settings.LOG_SEQUENCER = "process"


def found() -> tuple[int, str]:
    damage = verify().damage
    assert damage is not None
    return damage.index, damage.kind


def checkpoint() -> Checkpoint:
    return checkpoints.open_signed(selectors.latest().note, keys.verifiers()[0]).checkpoint


# ------------------------------------------------------------------------------------------------------- recording


def test_the_entry_is_fixed_before_it_has_a_number(no_sequencer) -> None:
    with transaction.atomic():
        event = record(Event.RUN_CREATED, acting_user=None, subject=urn("run", 1))
    stored = AuditEvent.objects.get(pk=event.pk)
    assert (stored.index, Pending.objects.count()) == (None, 1)
    sequencer.number_all()
    numbered = AuditEvent.objects.get(pk=event.pk)
    assert (numbered.index, numbered.entry, Pending.objects.count()) == (0, stored.entry, 0)
    assert bytes(numbered.leaf.hash) == merkle.leaf_hash(stored.entry.encode())


def test_an_event_rolls_back_with_its_change_and_leaves_no_gap() -> None:
    write(1)
    with suppress(RuntimeError), transaction.atomic():
        write(2)
        raise RuntimeError
    write(1)
    verified = verify()
    assert (verified.ok, verified.entries, Pending.objects.count()) == (True, 2, 0)


@pytest.mark.django_db(transaction=True)
def test_recording_outside_a_transaction_is_refused() -> None:
    with pytest.raises(NotInTransactionError):
        record(Event.RUN_CREATED, acting_user=None, subject=urn("run", 1))


def test_an_entry_over_64_kib_is_refused_where_it_is_recorded() -> None:
    with pytest.raises(EntryError, match="store an artifact"), together():
        record(Event.RUN_CREATED, acting_user=None, subject=urn("run", 1), payload={"text": "x" * 70_000})
    assert AuditEvent.objects.count() == 0


def test_events_recorded_together_are_written_in_order_with_one_statement(no_sequencer) -> None:
    with CaptureQueriesContext(connection) as few, together():
        write(20)
    inserts = [query["sql"] for query in few.captured_queries if "INSERT INTO" in query["sql"]]
    assert len([sql for sql in inserts if "log_event" in sql]) == 1
    assert len(inserts) == (1 if connection.vendor == "postgresql" else 2)
    sequencer.number_all()
    assert [e.subject for e in AuditEvent.objects.order_by("index")] == [urn("run", n) for n in range(20)]
    assert verify().ok


def test_events_recorded_together_vanish_with_an_error() -> None:
    with suppress(RuntimeError), together():
        write(3)
        raise RuntimeError
    write(1)
    assert (selectors.head()[0], verify().ok) == (1, True)


def test_together_inside_together_writes_once() -> None:
    with together():
        write(1)
        with together():
            write(2)
    assert verify().entries == 3


def test_a_backlog_over_its_bound_refuses_more_and_says_what_to_do(settings, no_sequencer) -> None:
    settings.LOG_MAX_BACKLOG, settings.LOG_WAIT_SECONDS = 3, 0.1
    for _ in range(4):
        pressure.forget()
        write(1)
    pressure.forget()
    with pytest.raises(UnavailableError, match=r"manage\.py log_sequencer"):
        write(1)
    assert AuditEvent.objects.count() == 4
    sequencer.number_all()
    write(1)
    assert AuditEvent.objects.count() == 5


# ------------------------------------------------------------------------------------------------------- the tree


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 600])
def test_the_signed_root_is_that_of_the_entries(size: int) -> None:
    with together():
        write(size)
    leaves = [merkle.leaf_hash(e.entry.encode()) for e in AuditEvent.objects.order_by("index")]
    assert checkpoint() == Checkpoint(keys.verifiers()[0].name, size, merkle.root_of(leaves))
    assert Node.objects.count() == size // 256
    for index in {0, size // 2, size - 1}:
        proof = selectors.inclusion_proof(index, size)
        merkle.verify_inclusion(leaves[index], index, size, proof, checkpoint().root)


def test_a_proof_in_a_log_of_many_tiles_reads_few_of_them() -> None:
    with together():
        write(1500)
    with CaptureQueriesContext(connection) as asked:
        proof = selectors.inclusion_proof(3, 1500)
    assert len(asked) == 2  # leaf hashes and nodes
    assert len(proof) == 11
    with pytest.raises(ValueError, match="no leaf"):
        selectors.inclusion_proof(1500, 1500)


def test_a_proof_over_a_tile_that_is_not_whole_is_refused(attacker) -> None:
    with together():
        write(300)
    Leaf.objects.filter(index=7).delete()
    with pytest.raises(tree.TreeError, match="not whole"):
        selectors.inclusion_proof(3, 300)


def test_every_checkpoint_is_consistent_with_every_other() -> None:
    for count in (1, 3, 260, 7):
        with together():
            write(count)
    signed = [
        checkpoints.open_signed(row.note, keys.verifiers()[0]).checkpoint
        for row in StoredCheckpoint.objects.order_by("size")
    ]
    assert [each.size for each in signed] == [1, 4, 264, 271]
    for old in signed:
        for new in signed:
            if old.size <= new.size:
                proof = selectors.consistency_proof(old.size, new.size)
                merkle.verify_consistency(old.size, new.size, proof, old.root, new.root)


def test_a_checkpoint_says_when_it_was_signed() -> None:
    write(1)
    signed = selectors.signed(selectors.latest())
    assert abs(signed.time - timezone.now()) < timedelta(seconds=5)


def test_nothing_is_built_on_a_damaged_tree(attacker, no_sequencer) -> None:
    write(3)
    sequencer.number_all()
    Leaf.objects.filter(index=1).update(hash=bytes(32))
    write(1)
    with pytest.raises(tree.TreeError, match=r"run manage\.py verify_log"):
        sequencer.number()
    assert (selectors.head()[0], Pending.objects.count()) == (3, 1)


def test_an_event_that_is_queued_again_is_not_numbered_again(no_sequencer) -> None:
    write(2)
    sequencer.number_all()
    Pending.objects.create(event_id=AuditEvent.objects.get(index=0).pk)
    sequencer.number_all()
    assert (Leaf.objects.count(), Pending.objects.count(), verify().ok) == (2, 0, True)


# ------------------------------------------------------------------------------------------------------- append-only


@pytest.mark.parametrize("model", [AuditEvent, Leaf, Node, StoredCheckpoint])
def test_the_database_refuses_to_change_or_delete_what_the_log_holds(model) -> None:
    with together():
        write(300)
    column = {"AuditEvent": "system", "Leaf": "hash", "Node": "hash", "StoredCheckpoint": "note"}[model.__name__]
    value = bytes(32) if column == "hash" else "other"
    assert triggers.installed(connection)
    rows = model._base_manager.all()
    for attempt in (lambda: rows.update(**{column: value}), lambda: rows._raw_delete(rows.db)):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            attempt()
    assert verify().ok


def test_an_event_leaves_the_queue_only_with_a_number(no_sequencer) -> None:
    write(1)
    rows = Pending.objects.all()
    with pytest.raises(DatabaseError, match="no number yet"), transaction.atomic():
        rows._raw_delete(rows.db)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        rows.update(event_id="00000000-0000-0000-0000-000000000000")
    sequencer.number_all()
    assert Pending.objects.count() == 0


def test_personal_values_can_go_but_not_change() -> None:
    with transaction.atomic():
        record(Event.RUN_CREATED, acting_user=None, subject=urn("run", 1), personal={"name": "Ada"})
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        Personal.objects.update(values='{"name":"Eve"}')


@pytest.mark.postgresql("SQLite has no TRUNCATE")
@pytest.mark.parametrize("table", triggers.TABLES)
def test_postgresql_refuses_to_truncate(table: str) -> None:
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {table}")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {table} CASCADE")


def test_a_trigger_that_is_gone_is_seen() -> None:
    assert triggers.installed(connection)
    with connection.cursor() as cursor:
        on = " ON log_leaf" if connection.vendor == "postgresql" else ""
        name = "log_leaf_no_change" if connection.vendor == "postgresql" else "log_leaf_no_delete"
        cursor.execute(f"DROP TRIGGER {name}{on}")
    assert not triggers.installed(connection)
    triggers.install(connection)
    assert triggers.installed(connection)


# ------------------------------------------------------------------------------------------------------- damage


def test_an_honest_log_has_no_damage() -> None:
    write(10)
    verified = verify(kept=[checkpoint()])
    assert (verified.ok, verified.entries, verified.size, verified.signed) == (True, 10, 10, 10)
    assert verified.root.hex() == selectors.head()[1]


def test_an_edited_column_is_found(attacker) -> None:
    write(10)
    AuditEvent.plain.filter(leaf__index=4).update(actor="urn:countersign:user:someone-else")
    assert found() == (4, Kind.EDITED)


def test_an_edited_entry_is_found(attacker) -> None:
    write(10)
    rewrite(4)
    assert found() == (4, Kind.EDITED)


def test_an_entry_edited_with_its_leaf_hash_is_found_by_the_signed_root(attacker) -> None:
    write(10)
    rewrite(4, with_hash=True)
    assert found() == (4, Kind.ROOT)


@pytest.mark.parametrize("index", [0, 100, 255, 256, 299])
def test_an_entry_edited_with_its_leaf_hash_is_found_though_many_were_signed_at_once(attacker, index: int) -> None:
    with together():
        write(300)
    rewrite(index, with_hash=True)
    assert found() == (index // 256 * 256 if index < 256 else 0, Kind.ROOT)


def test_a_removed_number_is_found(attacker) -> None:
    write(10)
    Leaf.objects.filter(index=4).delete()
    assert found() == (4, Kind.MISSING)


def test_a_removed_event_is_found(attacker) -> None:
    write(10)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE log_leaf DROP CONSTRAINT IF EXISTS "
                           + _foreign_key())  # fmt: skip
    rows = AuditEvent.plain.filter(leaf__index=4)
    AuditEvent.plain.filter(pk__in=list(rows.values_list("pk", flat=True)))._raw_delete(rows.db)
    assert found() == (4, Kind.LOST)
    if connection.vendor == "sqlite":
        Leaf.objects.filter(index=4).delete()  # or the test's own end refuses the dangling row


def _foreign_key() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT conname FROM pg_constraint WHERE conrelid = 'log_leaf'::regclass AND contype = 'f'")
        return str(cursor.fetchone()[0])


def test_a_cut_off_tail_is_found(attacker) -> None:
    write(10)
    Leaf.objects.filter(index__gte=8).delete()
    assert found() == (8, Kind.CHECKPOINT)


def test_exchanged_entries_are_found(attacker) -> None:
    with together():
        write(10)
    exchange(3, 4)
    assert found() == (3, Kind.REORDERED)


def test_entries_exchanged_without_their_hashes_are_found(attacker) -> None:
    write(10)
    exchange(3, 7, with_hash=False)
    assert found()[0] == 3


def test_a_changed_node_is_found(attacker) -> None:
    with together():
        write(600)
    Node.objects.filter(level=8, index=1).update(hash=bytes(32))
    assert found() == (256, Kind.NODE)


def test_a_node_too_many_or_too_few_is_found(attacker) -> None:
    with together():
        write(300)
    Node.objects.create(level=16, index=0, hash=bytes(32))
    assert found() == (300, Kind.NODE)
    Node.objects.all().delete()
    assert found() == (0, Kind.NODE)


def test_a_checkpoint_signed_by_another_key_is_found(attacker) -> None:
    write(5)
    other = keys.notes.Signer.generate(keys.verifiers()[0].name)
    StoredCheckpoint.objects.filter(size=3).update(note=checkpoints.sign(checkpoint(), other))
    assert found() == (2, Kind.SIGNATURE)


def test_a_checkpoint_under_another_size_is_found(attacker) -> None:
    write(5)
    StoredCheckpoint.objects.filter(size=3).update(note=selectors.latest().note)
    assert found() == (2, Kind.CHECKPOINT)


def test_a_missing_checkpoint_is_found(attacker) -> None:
    write(5)
    StoredCheckpoint.objects.filter(size=3).delete()
    assert found() == (3, Kind.CHECKPOINT)


def test_numbers_beyond_the_last_checkpoint_are_found(attacker) -> None:
    write(5)
    StoredCheckpoint.objects.filter(size=5).delete()
    assert found() == (4, Kind.CHECKPOINT)


def test_an_event_with_two_numbers_is_found(attacker) -> None:
    write(5)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE log_leaf DROP CONSTRAINT log_leaf_event_id_key")
        else:
            cursor.execute("ALTER TABLE log_leaf RENAME TO before")
            cursor.execute("CREATE TABLE log_leaf AS SELECT * FROM before")
    sequencer._insert("log_leaf", ("index", "event_id", "hash"), _again(2))
    log, clock = keys.signers()
    text = Checkpoint(log.name, 6, tree.frontier(6).root()).text()
    StoredCheckpoint.objects.create(size=6, previous=5, note=keys.notes.sign(text, log, clock))
    assert found() == (5, Kind.TWICE)


def _again(index: int) -> list[tuple[int, object, bytes]]:
    with connection.cursor() as cursor:
        cursor.execute('SELECT event_id, hash FROM log_leaf WHERE "index" = %s', [index])
        event_id, leaf = cursor.fetchone()
    return [(5, event_id, leaf)]


def test_an_event_that_waits_for_too_long_is_found(settings, no_sequencer) -> None:
    write(2)
    assert verify().ok
    settings.LOG_LATE_SECONDS = 0
    damage = verify().damage
    assert (damage.index, damage.kind) == (0, Kind.UNNUMBERED)
    assert "taken out of the queue" not in damage.detail


def test_an_event_that_was_taken_out_of_the_queue_is_found(settings, attacker, no_sequencer) -> None:
    write(2)
    Pending.objects.all().delete()
    settings.LOG_LATE_SECONDS = 0
    assert "taken out of the queue" in verify().damage.detail


def test_an_event_removed_before_it_was_numbered_is_found(attacker, no_sequencer) -> None:
    write(2)
    AuditEvent.plain.first().delete()
    assert found() == (0, Kind.LOST)


# ----------------------------------------------------------------------------------------------- kept checkpoints


def test_a_rewritten_log_is_found_by_a_kept_checkpoint(attacker) -> None:
    """Whoever has the database and the log's key writes a whole new history; only who remembers can tell."""
    write(10)
    kept = checkpoint()
    for model in (Leaf, Node, StoredCheckpoint, AuditEvent):
        model._base_manager.all().delete()
    write(12)
    assert verify().ok
    damage = verify(kept=[kept]).damage
    assert (damage.index, damage.kind) == (9, Kind.FORK)


@pytest.mark.parametrize("kept_at", [6, 8, 10])
def test_a_log_restored_from_yesterdays_backup_is_found_by_any_checkpoint_kept_since(attacker, kept_at: int) -> None:
    write(5)
    early = checkpoint()
    write(kept_at - 5, first=5)
    kept = checkpoint()
    write(10 - kept_at, first=kept_at)
    later = list(AuditEvent.plain.filter(leaf__index__gte=5).values_list("pk", flat=True))
    Leaf.objects.filter(index__gte=5).delete()
    AuditEvent.plain.filter(pk__in=later).delete()
    StoredCheckpoint.objects.filter(size__gt=5).delete()
    assert verify(kept=[early]).ok
    damage = verify(kept=[early, kept]).damage
    assert (damage.index, damage.kind) == (5, Kind.ROLLED_BACK)
    write(20)  # and it is not hidden by what is recorded afterwards
    damage = verify(kept=[early, kept]).damage
    assert (damage.index, damage.kind) == (kept_at - 1, Kind.FORK)


def test_only_what_follows_a_kept_checkpoint_is_read_again(attacker) -> None:
    with together():
        write(700)
    since = checkpoint()
    write(20, first=700)
    verified = verify(since=since)
    assert (verified.ok, verified.size, verified.entries) == (True, 720, 720 - 512)
    rewrite(710)
    assert verify(since=since).damage.index == 710


def test_an_older_part_that_was_changed_since_it_was_checked_is_found_where_it_is_the_trees_edge(attacker) -> None:
    with together():
        write(300)
    since = checkpoint()
    Node.objects.update(hash=bytes(32))
    damage = verify(since=since).damage
    assert (damage.index, damage.kind) == (299, Kind.FORK)


# ------------------------------------------------------------------------------------------------------- erasure


def test_personal_values_are_committed_to_and_can_be_erased(people) -> None:
    with transaction.atomic():
        event = record(Event.RUN_CREATED, acting_user=None, subject=urn("run", 1), personal={"name": "Ada Okafor"})
    assert "Ada" not in event.entry
    assert selectors.opened([event])[event.id.hex].values == {"name": "Ada Okafor"}
    assert verify().ok
    assert erase(acting_user=people.admin, subjects=[urn("run", 1)]) == 1
    opened = selectors.opened([event])[event.id.hex]
    assert (opened.sealed, opened.values, Personal.objects.count()) == (True, None, 0)
    erasure = AuditEvent.objects.get(event="personal:erased")
    assert event.id.hex in erasure.entry
    assert verify().ok
    assert erase(acting_user=people.admin, subjects=[urn("run", 1)]) == 0


def test_personal_values_that_vanish_without_an_erasure_are_damage() -> None:
    with transaction.atomic():
        record(Event.RUN_CREATED, acting_user=None, subject=urn("run", 1), personal={"name": "Ada"})
    Personal.objects.all().delete()
    assert found() == (0, Kind.PERSONAL)


def test_personal_values_that_were_exchanged_are_damage(attacker) -> None:
    with transaction.atomic():
        record(Event.RUN_CREATED, acting_user=None, subject=urn("run", 1), personal={"name": "Ada"})
    Personal.objects.update(values='{"name":"Eve"}')
    assert found() == (0, Kind.PERSONAL)


# ------------------------------------------------------------------------------------------------------- clocks


def test_a_clock_that_was_set_back_is_said_and_is_no_damage(monkeypatch) -> None:
    write(2)
    earlier = timezone.now() - timedelta(hours=3)
    monkeypatch.setattr("security.log.services.datetime", _Clock(earlier))
    monkeypatch.setattr("security.log.identifiers.time.time_ns", lambda: int(earlier.timestamp() * 1e9))
    write(2)
    verified = verify()
    assert (verified.ok, verified.entries) == (True, 4)
    assert "entry 2 is 10,800 s older" in verified.notices[0]


class _Clock:
    def __init__(self, moment) -> None:
        self.moment = moment

    def now(self, zone):
        return self.moment.astimezone(zone)
