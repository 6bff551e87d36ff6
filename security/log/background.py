"""The sequencer as a thread of a process that records: woken after a commit, it numbers until nothing waits, and ends.

The caller of the commit does not wait for it. It tries the sequencer's lock and never queues for it, so many processes
can have one each; what it could not number, because it was killed, is numbered by whoever comes next.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connections, transaction

from security.log import sequencer
from security.log.models import Pending

GATHER_SECONDS = 0.2  # commits of this time are numbered, signed and written together
IDLE_SECONDS = 20.0  # then the thread ends and gives its connection back
RETRY_SECONDS = 1.0
POLL_SECONDS = 0.2
STOP_SECONDS = 5.0
logger = logging.getLogger(__name__)


class _Sequencer:
    """The thread of this process, its bell, and whether the process is about to end."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.bell = threading.Event()
        self.thread: threading.Thread | None = None
        self.ending = False

    def wake(self) -> None:
        with self.lock:
            self.bell.set()
            if self.thread is None or not self.thread.is_alive():
                self.thread = threading.Thread(target=self._run, name="log sequencer", daemon=True)
                self.thread.start()

    def stop(self) -> None:
        self.ending = True
        self.bell.set()
        if self.thread is not None:
            self.thread.join(STOP_SECONDS)

    def _run(self) -> None:
        try:
            while self._rung():
                if not self.ending:
                    time.sleep(GATHER_SECONDS)
                self.bell.clear()
                try:
                    work_off(lambda: self.ending)
                except Exception as error:  # the database went away between two looks
                    logger.error("The audit log cannot be numbered: %s", error)
                    connections.close_all()
                if self.ending:
                    return
        finally:
            connections.close_all()

    def _rung(self) -> bool:
        if self.bell.wait(IDLE_SECONDS):
            return True
        with self.lock:  # nobody can ring between the look and the end
            if not self.bell.is_set():
                self.thread = None
                return False
            return True


_process = _Sequencer()


def after_commit() -> None:
    """See to it that what this transaction recorded is numbered once it is committed, as ``LOG_SEQUENCER`` says.

    ``thread``: by a thread of this process, so that nobody waits for it. ``inline``: before the call that committed
    returns. ``process``: by ``manage.py log_sequencer`` alone, which then is the only one to need the log's key.
    """
    if settings.LOG_SEQUENCER == "thread":
        transaction.on_commit(_process.wake, robust=True)
    elif settings.LOG_SEQUENCER == "inline":
        transaction.on_commit(sequencer.number_all, robust=True)


def work_off(ending: Callable[[], bool], *, retries: int = 5) -> None:
    """Number until nothing waits. What goes wrong is logged and tried again, ``retries`` times."""
    while Pending.objects.exists():
        try:
            done = sequencer.number()
        except Exception as error:
            logger.error("Events wait to be numbered in the audit log: %s", error)
            connections.close_all()
            retries -= 1
            if retries < 0 or ending():
                return
            time.sleep(RETRY_SECONDS)
            continue
        if done is None:  # somebody else is at it, who may have looked before our commit
            time.sleep(POLL_SECONDS / 10)
        elif not done.count:
            return


def follow(ending: threading.Event) -> None:
    """Number whatever anybody commits until ``ending`` is set; errors are logged and never end it."""
    while not ending.wait(POLL_SECONDS):
        try:
            work_off(ending.is_set)
        except Exception as error:  # the database went away between two looks
            logger.error("The audit log cannot be numbered: %s", error)
            connections.close_all()
            ending.wait(RETRY_SECONDS)


@contextmanager
def following() -> Iterator[None]:
    """Follow in a thread of this process until the block is left."""

    def run() -> None:
        try:
            follow(ending)
        finally:
            connections.close_all()

    ending = threading.Event()
    thread = threading.Thread(target=run, name="log sequencer", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join(STOP_SECONDS)


def _renew() -> None:
    global _process  # noqa: PLW0603 - threads do not survive a fork
    _process = _Sequencer()


os.register_at_fork(after_in_child=_renew)
atexit.register(lambda: _process.stop())  # noqa: PLW0108 - a fork puts another one there
