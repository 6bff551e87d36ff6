"""The processes that steps run in: forked ahead of need, each used once.

Children are forked from a clean server process (``multiprocessing``'s forkserver) that has imported the steps and
nothing of Django, so they hold no database connection and no key, in their environment neither. Forking an interpreter
of that size and taking it down again cost tens of milliseconds, so one child always waits ready, and a
thread forks the next and buries the dead while the worker goes on.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from queue import SimpleQueue
from types import ModuleType
from typing import Any

from pipelines.engine import child
from pipelines.engine.bare import bare_environment

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["pipelines.engine.preload"])
_STARTING = threading.Lock()
_TRIES = 3


class Child:
    """A process that waits for one job and then answers through ``pipe``."""

    def __init__(self) -> None:
        self.pipe, theirs = _CONTEXT.Pipe(duplex=True)
        self._process = _CONTEXT.Process(target=child.main, args=(theirs,), daemon=True)
        with _STARTING, _no_main_module(), bare_environment():
            self._process.start()
        theirs.close()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def sentinel(self) -> int:
        """Ready for ``multiprocessing.connection.wait`` once the process is gone."""
        return self._process.sentinel

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def give(self, job: Mapping[str, Any]) -> None:
        """Hand over the one job. Raises OSError when the process is gone."""
        self.pipe.send_bytes(json.dumps(job).encode())

    def end(self) -> int | None:
        """Kill what is left of the process and wait until it is gone; returns its exit code."""
        with _STARTING:  # forking asks all processes how they ended, and each answer can be read only once
            if self.alive:
                self._process.kill()  # tearing down a large interpreter in order takes time, and nothing is left to say
            self._process.join()
        self.pipe.close()
        return self._process.exitcode

    def end_later(self) -> None:
        """``end``, off the caller's path: for a child that has answered and does nothing more."""
        self._process.kill()
        _CHORES.put(self.end)


def start(job: Mapping[str, Any]) -> Child:
    """A child that has been given ``job``. Raises OSError when none can be had."""
    for attempt in range(_TRIES):
        found = _take()
        try:
            found.give(job)
        except OSError:  # it died while it waited
            found.end()
            if attempt + 1 == _TRIES:
                raise
            continue
        return found
    raise AssertionError("unreachable")


def prepare_later() -> None:
    """Fork the next child, off the caller's path. Best when this one has ended: a fork holds up its siblings."""
    _CHORES.put(_prepare)


def warm_up() -> None:
    """Have the first child ready: the server imports the steps, which takes seconds."""
    _helper()
    _prepare()


def _take() -> Child:
    _helper()
    with _WAITING:
        ready = _SPARES.pop() if _SPARES else None
    return ready or Child()


def _prepare() -> None:
    """Have one child in waiting."""
    with _PREPARING:
        if _SPARES:
            return
        spare = Child()
        with _WAITING:
            _SPARES.append(spare)


_SPARES: list[Child] = []
_WAITING = threading.Lock()
_PREPARING = threading.Lock()
_CHORES: SimpleQueue[Callable[[], object]] = SimpleQueue()
_HELPERS: list[threading.Thread] = []


def _helper() -> None:
    """Start the thread for what need not be waited for, once."""
    with _WAITING:
        if not _HELPERS:
            _HELPERS.append(threading.Thread(target=_work, name="step-children", daemon=True))
            _HELPERS[0].start()


def _work() -> None:
    while True:
        chore = _CHORES.get()
        try:
            chore()
        except OSError:  # no process or no descriptor to be had now: the next step asks again, and says so
            continue


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Keep multiprocessing from importing the worker's main module (Celery, pytest, manage.py) into every child."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
