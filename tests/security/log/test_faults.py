"""The log under many writers, late commits, killed processes, full disks and flipped bits."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection, connections, transaction

from security.access.models import AISystem
from security.canonical import urn
from security.log import selectors, sequencer
from security.log.checks import Kind
from security.log.events import Event
from security.log.models import AuditEvent, Leaf, Pending, StoredCheckpoint
from security.log.services import record, together
from security.log.verification import verify
from security.vault import services as vault
from security.vault.models import Artifact
from tests.support.attackers import no_triggers, write
from tests.support.databases import usable_by_threads
from tests.support.people import People

ROOT = Path(__file__).resolve().parents[3]
KILLS = int(os.environ.get("COUNTERSIGN_KILLS", "12"))
FLIPS = int(os.environ.get("COUNTERSIGN_FLIPS", "1000"))
postgresql_only = pytest.mark.postgresql("SQLite has one writer at a time")


@pytest.fixture
def shared(transactional_db: None, tmp_path: Path):
    with usable_by_threads(tmp_path):
        yield


def at_once(*works: Callable[[], None]) -> list[BaseException]:
    """Run all in threads with connections of their own; returns what was raised."""
    barrier, errors = threading.Barrier(len(works)), []

    def run(work: Callable[[], None]) -> None:
        try:
            barrier.wait()
            work()
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


# ------------------------------------------------------------------------------------------------------- writers


def test_many_writers_at_once_leave_no_gap_and_lose_nothing(shared: None, settings) -> None:
    """64 on PostgreSQL, 8 on SQLite, with two sequencers that take turns; a third of the transactions rolls back."""
    settings.LOG_SEQUENCER = "process"
    writers, each = (64, 6) if connection.vendor == "postgresql" else (8, 12)
    writing = threading.Event()

    def writer(number: int) -> None:
        for event in range(each):
            try:
                with transaction.atomic():
                    for part in range(1 + event % 2):
                        subject = urn("run", f"{number}-{event}-{part}")
                        record(Event.RUN_CREATED, acting_user=None, subject=subject)
                    if event % 3 == 2:
                        raise RuntimeError("rolled back")
            except RuntimeError:
                pass

    def numberer() -> None:
        while not writing.is_set():
            if sequencer.number(batch=7) is None:
                time.sleep(0.001)

    stop = threading.Timer(120, writing.set)
    stop.start()
    numberers = [threading.Thread(target=lambda: (numberer(), connections.close_all())) for _ in range(2)]
    for thread in numberers:
        thread.start()
    errors = at_once(*(lambda number=number: writer(number) for number in range(writers)))
    writing.set()
    stop.cancel()
    for thread in numberers:
        thread.join()
    assert errors == []
    sequencer.number_all()
    wanted = {
        urn("run", f"{number}-{event}-{part}")
        for number in range(writers)
        for event in range(each)
        if event % 3 != 2
        for part in range(1 + event % 2)
    }
    assert set(AuditEvent.objects.values_list("subject", flat=True)) == wanted
    assert sorted(Leaf.objects.values_list("index", flat=True)) == list(range(len(wanted)))
    verified = verify()
    assert (verified.damage, verified.size, verified.signed) == (None, len(wanted), len(wanted))


@postgresql_only
def test_an_event_that_is_committed_late_is_numbered_late_and_not_skipped(transactional_db: None) -> None:
    recorded, commit = threading.Event(), threading.Event()

    def late() -> None:
        with transaction.atomic():
            record(Event.RUN_CREATED, acting_user=None, subject=urn("run", "late"))
            recorded.set()
            assert commit.wait(10)

    thread = threading.Thread(target=lambda: (late(), connections.close_all()))
    thread.start()
    assert recorded.wait(10)
    write(3)
    before = selectors.head()[0]
    commit.set()
    thread.join()
    sequencer.number_all()
    found = AuditEvent.objects.get(subject=urn("run", "late"))
    assert (before, found.index) == (3, 3)
    assert found.id < AuditEvent.objects.get(index=0).id  # made before, committed after
    assert verify().ok


def test_two_sequencers_without_the_lock_cannot_fork(shared: None, settings, monkeypatch) -> None:
    """The lock taken away: the unique keys let one of them commit, and the other does nothing."""
    settings.LOG_SEQUENCER = "process"
    write(40)
    monkeypatch.setattr(sequencer, "_my_turn", lambda wait: True)
    errors = []

    def numberer() -> None:
        while Pending.objects.exists():
            try:
                sequencer.number(batch=3)
            except (IntegrityError, OperationalError) as error:
                errors.append(error)

    assert at_once(*[numberer] * 4) == []
    verified = verify()
    assert (verified.damage, verified.size) == (None, 40)
    sizes = list(StoredCheckpoint.objects.order_by("size").values_list("size", flat=True))
    assert list(StoredCheckpoint.objects.order_by("size").values_list("previous", flat=True)) == [0, *sizes[:-1]]


@postgresql_only
def test_who_does_not_get_the_lock_does_not_wait_for_it(transactional_db: None, settings) -> None:
    settings.LOG_SEQUENCER = "process"
    write(1)
    held, done = threading.Event(), threading.Event()

    def holder() -> None:
        with transaction.atomic():
            assert sequencer._my_turn(wait=True)
            held.set()
            done.wait(10)

    thread = threading.Thread(target=lambda: (holder(), connections.close_all()))
    thread.start()
    assert held.wait(10)
    assert sequencer.number() is None  # had it waited for its turn, it would have numbered the event
    done.set()
    thread.join()
    assert sequencer.number_all() == 1


def test_what_is_recorded_has_its_number_within_a_second(shared: None, settings) -> None:
    settings.LOG_SEQUENCER = "thread"
    write(3)
    deadline = time.monotonic() + 1
    while Pending.objects.exists():
        assert time.monotonic() < deadline, "not numbered within a second"
        time.sleep(0.01)
    assert selectors.head()[0] == 3
    assert verify().ok


# ------------------------------------------------------------------------------------------------------- kill -9


def test_killed_processes_leave_no_event_without_its_change_no_gap_and_no_fork(
    transactional_db: None, people: People, worker_env: dict[str, str], tmp_path: Path
) -> None:
    """Web, worker and sequencer at work together, killed at random points, COUNTERSIGN_KILLS times."""
    if connection.vendor == "sqlite":
        connection.close()
    env = {**worker_env, "LOG_SEQUENCER": "thread"}
    command = [sys.executable, "-m", "tests.support.mortal", "7", str(KILLS)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, done.stderr[-2000:]
    died = json.loads(done.stdout)
    assert set(died) == {"web", "worker", "sequencer"}, done.stderr[-2000:]
    assert sum(died.values()) == KILLS
    sequencer.number_all()
    verified = verify()
    assert (verified.damage, verified.signed) == (None, AuditEvent.objects.count())
    created = AuditEvent.objects.filter(event=Event.SYSTEM_CREATED).values_list("subject", flat=True)
    assert sorted(created) == sorted(urn("system", pk) for pk in AISystem.objects.values_list("pk", flat=True))
    stored = AuditEvent.objects.filter(event=Event.ARTIFACT_STORED).values_list("subject", flat=True)
    assert sorted(stored) == sorted(urn("artifact", pk) for pk in Artifact.objects.values_list("pk", flat=True))
    for artifact in Artifact.objects.all():
        assert sum(len(chunk) for chunk in vault.chunks_of(artifact)) == artifact.size
    assert len(created) > 2  # those of the cast
    assert len(stored) > 0


# ------------------------------------------------------------------------------------------------------- disk full


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="SQLite can be told how large its file may become")
def test_a_full_disk_refuses_the_change_and_its_event_together_and_nothing_is_lost(shared: None, settings) -> None:
    settings.LOG_SEQUENCER = "process"
    with together():
        write(400)  # their checkpoints, one by one, need more room than the queue gives back
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")  # what tests before this one have freed is no room
        cursor.execute("PRAGMA page_count")
        pages = cursor.fetchone()[0]
        cursor.execute(f"PRAGMA max_page_count = {pages}")
    try:
        written = _until_full(_large)
        assert AuditEvent.objects.count() == 400 + written
        _until_full(lambda number: sequencer.number(batch=1))
        assert selectors.head()[0] == Leaf.objects.count()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA max_page_count = 1073741823")
    sequencer.number_all()
    verified = verify()
    assert (verified.damage, verified.size) == (None, 400 + written)


def _large(number: int) -> None:
    with transaction.atomic():
        record(Event.RUN_CREATED, acting_user=None, subject=urn("run", f"more-{number}"), payload={"x": "y" * 999})


def _until_full(work: Callable[[int], object]) -> int:
    """How often it worked before the disk was full."""
    for number in range(500):
        try:
            work(number)
        except OperationalError as error:
            if "full" in str(error):
                return number
            raise
    pytest.fail("the disk was never full")


# ------------------------------------------------------------------------------------------------------- flipped bits

_COLUMNS = {
    "log_event": ("id", "time", "event", "actor", "subject", "system", "entry"),
    "log_leaf": ("index", "event_id", "hash"),
    "log_node": ("level", "index", "hash"),
    "log_checkpoint": ("size", "previous", "note"),
    "log_personal": ("event_id", "salt", "values"),
}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("entries", "tables", "flips"),
    [
        (12, ("log_event", "log_leaf", "log_checkpoint", "log_personal"), FLIPS - FLIPS // 20),
        (258, ("log_node", "log_leaf", "log_checkpoint"), FLIPS // 20),
    ],
    ids=["few entries", "more than a tile"],
)
def test_every_flipped_bit_of_the_stored_log_is_found_and_none_crashes(entries: int, tables, flips: int) -> None:
    """COUNTERSIGN_FLIPS random single-bit flips over events, numbers, nodes, checkpoints and personal values.

    Few entries, so that verifying them all after each flip is quick; a tile's stored hash needs 256.
    """
    with together():
        write(entries)
        record(Event.RUN_CREATED, acting_user=None, subject=urn("run", "p"), personal={"name": "Ada Okafor"})
    write(6)
    assert verify().ok
    chance, found, refused = random.Random(entries), 0, 0
    with no_triggers():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:  # or the database itself refuses most of them
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for number in range(flips):
            table = tables[number % len(tables)]
            column = chance.choice(_COLUMNS[table])
            try:
                with transaction.atomic():
                    flipped = _flip(table, column, chance)
                    damage = verify().damage
                    raise _Undone
            except _Undone:
                assert damage is not None, flipped
                assert damage.kind in Kind
                found += 1
            except DatabaseError:
                refused += 1  # the database would not store that
    assert found + refused == flips
    assert found > flips // 2
    assert verify().ok


class _Undone(Exception):  # noqa: N818 - it is not an error
    """The flip is taken back."""


def _flip(table: str, column: str, chance: random.Random) -> str:
    """Change one bit of one stored value; returns where."""
    quoted = connection.ops.quote_name(column)
    row = "ctid" if connection.vendor == "postgresql" else "rowid"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        offset = chance.randrange(cursor.fetchone()[0])
        as_bytes = f"CAST({quoted} AS BLOB)" if connection.vendor == "sqlite" else quoted
        cursor.execute(f"SELECT {row}, {quoted}, {as_bytes} FROM {table} ORDER BY {row} LIMIT 1 OFFSET {offset}")
        place, value, raw = cursor.fetchone()
        flipped = _flipped(value, raw, chance)
        as_text = connection.vendor == "sqlite" and isinstance(value, str)
        mark = "CAST(%s AS TEXT)" if as_text else "%s"
        cursor.execute(f"UPDATE {table} SET {quoted} = {mark} WHERE {row} = %s", [flipped, place])
    return f"{table}.{column} row {offset}"


def _flipped(value: Any, raw: Any, chance: random.Random) -> Any:
    if isinstance(value, int):
        return value ^ 1 << chance.randrange(15)
    if connection.vendor == "postgresql" and not isinstance(value, str | bytes | memoryview):
        if hasattr(value, "int"):
            return type(value)(int=value.int ^ 1 << chance.randrange(128))
        from datetime import timedelta

        return value + timedelta(microseconds=1 << chance.randrange(40))
    data = bytearray(value.encode() if isinstance(raw, str) else bytes(raw))
    if not data:
        raise DatabaseError("there is no bit in an empty value")
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    if connection.vendor == "postgresql" and isinstance(value, str):
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise DatabaseError("PostgreSQL stores no text that is not UTF-8") from None
    return bytes(data)


# ------------------------------------------------------------------------------------------------------- many processes


@pytest.mark.django_db(transaction=True)
def test_several_processes_find_what_one_finds(monkeypatch, worker_env: dict[str, str], settings) -> None:
    """The work shared by two processes, in stretches of 256 numbers."""
    monkeypatch.setattr("security.log.verification.CHUNK", 256)
    settings.LOG_SEQUENCER = "process"
    with together():
        write(900)
    sequencer.number_all()
    seen: list[int] = []
    verified = verify(jobs=2, progress=seen.append)
    assert (verified.damage, verified.size, verified.entries) == (None, 900, 900)
    assert seen == [256, 512, 768, 900]
    with no_triggers():
        AuditEvent.plain.filter(leaf__index=600).update(system="cradit")
    damage = verify(jobs=2).damage
    assert damage is not None
    assert (damage.index, damage.kind) == (600, Kind.EDITED)
