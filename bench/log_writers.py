"""Inside the installation: 8 processes commit events, and bare rows of the same size; prints how fast as JSON.

``bare``: a transaction that inserts one row into a table with a primary key, through the same Django connection.
``integrated``: events that were recorded in a transaction each *and* numbered, hashed into the tree and signed, from
the first commit to the last checkpoint, with one sequencer working beside the writers.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import django

django.setup()

from django.conf import settings
from django.db import connection, connections, transaction

from bench.filling import fill_log
from bench.people import cast
from security.canonical import urn
from security.log import keys, selectors, sequencer, verification
from security.log.events import Event
from security.log.models import Pending
from security.log.services import record

WRITERS = 8
ROUNDS = 3  # of both, in turn, so that both meet the same machine
CALLS = 300
PROOFS = 300
_FORK = multiprocessing.get_context("fork")


def main(commits: int, stored: int) -> None:
    """``commits`` per writer and round; ``stored`` events in the log of which proofs are made and which is verified."""
    engineer, system = cast()
    settings.LOG_SEQUENCER = "process"
    keys.signers()
    sequencer.number_all()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_bare (id uuid PRIMARY KEY, entry text)")
    rounds = []
    for _ in range(ROUNDS):
        bare = commits * WRITERS / _together(_bare, commits)
        rounds.append((bare, commits * WRITERS / _together(_record, commits, number=True)))
    bare, ours = (statistics.median(each) for each in zip(*rounds, strict=True))
    alone, audited = _overhead()
    fill_log(system, engineer, max(0, stored - selectors.head()[0]))
    verified, used = _verify()
    proofs = [_ms(lambda index=index: _proof(index)) for index in range(PROOFS)]
    size = selectors.head()[0]
    print(
        json.dumps(
            [
                {"case": "bare single-row commits, 8 writers", "per_second": round(bare)},
                {"case": "events integrated, 8 writers", "per_second": round(ours), "ratio": round(ours / bare, 2)},
                {"case": "what recording adds to a transaction", "ms": round(audited - alone, 2)},
                {"case": f"verify {size:,} entries, one core", "per_second": round(verified / used)},
                {"case": f"inclusion proof of {size:,}", "ms": round(statistics.median(proofs), 2)},
            ]
        )
    )


def _together(work: Callable[[int], None], commits: int, *, number: bool = False) -> float:
    """Seconds from the start of all writers to the last commit, and with ``number`` to the last checkpoint."""
    connections.close_all()
    ready = _FORK.Barrier(WRITERS + 1)
    writers = [_FORK.Process(target=_writer, args=(work, commits, ready)) for _ in range(WRITERS)]
    for process in writers:
        process.start()
    done = _FORK.Event()
    numberer = _FORK.Process(target=_numberer, args=(done,))
    if number:
        numberer.start()
    ready.wait()
    started = time.perf_counter()
    for process in writers:
        process.join()
        if process.exitcode:
            raise SystemExit("a writer failed")
    done.set()
    if number:
        numberer.join()
    taken = time.perf_counter() - started
    if Pending.objects.exists():
        raise SystemExit("events wait though the sequencer ended")
    return taken


def _writer(work: Callable[[int], None], commits: int, ready: Any) -> None:
    connection.ensure_connection()
    ready.wait()
    work(commits)


def _numberer(done: Any) -> None:
    """The sequencer as ``manage.py log_sequencer`` runs it, but ending once all is written and numbered."""
    while not done.is_set() or Pending.objects.exists():
        sequencer.number_all()
        time.sleep(0.2)


def _bare(commits: int) -> None:
    text = "x" * 340  # as long as an entry
    for _ in range(commits):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("INSERT INTO bench_bare VALUES (%s, %s)", [uuid4(), text])


def _record(commits: int) -> None:
    for number in range(commits):
        with transaction.atomic():
            _one(number)


def _one(number: int) -> None:
    payload = {"step": "train", "verdict": "pass"}
    record(Event.STEP_SUCCEEDED, acting_user=None, subject=urn("step", number), system="bench", payload=payload)


def _overhead() -> tuple[float, float]:
    """Median milliseconds of a transaction that changes one row, without and with an event; numbering in a thread."""
    settings.LOG_SEQUENCER = "thread"
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO bench_bare VALUES (%s, %s)", [key := uuid4(), ""])

    def change() -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE bench_bare SET entry = %s WHERE id = %s", ["y", key])

    def alone() -> None:
        with transaction.atomic():
            change()

    def audited() -> None:
        with transaction.atomic():
            change()
            _one(0)

    pairs = [(_ms(alone), _ms(audited)) for _ in range(CALLS)]
    settings.LOG_SEQUENCER = "process"
    sequencer.number_all()
    without, added = zip(*pairs, strict=True)
    return statistics.median(without), statistics.median(added)


def _verify() -> tuple[int, float]:
    """Entries, and seconds of this process's own processor time."""
    started = time.process_time()
    found = verification.verify()
    if not found.ok:
        raise SystemExit(f"the log does not verify: {found.damage}")
    return found.entries, time.process_time() - started


def _proof(index: int) -> None:
    size = selectors.head()[0]
    selectors.inclusion_proof(index * 7919 % size, size)


def _ms(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - started)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
