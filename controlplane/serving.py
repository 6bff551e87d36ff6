"""Starting the processes of one installation on one machine, watching them, and stopping every one of them.

Each program runs in a session of its own, so a Ctrl-C in the terminal reaches only the supervisor, which then stops
whole process groups. Nothing is restarted silently: when one program ends, all are stopped and its log is named.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import psutil

from controlplane import heartbeat

START_SECONDS = 120.0  # the heavy libraries of the steps take 5 to 20 seconds to import
STOP_SECONDS = 10.0  # then the group is killed; a step that was running is taken up again at the next start
_TICK_SECONDS = 0.2
_PR_SET_PDEATHSIG = 1


class StoppedError(Exception):
    """A signal asked for the end; ``signum`` says which."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class ProgramError(Exception):
    """A program ended or did not become ready; the message names it, how it ended, and its log."""


@dataclass(frozen=True)
class Program:
    """One command, its environment beside ours, and the log that its output is appended to."""

    name: str
    argv: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)


def web(folder: Path, *, host: str, port: int) -> Program:
    """Pages and API under gunicorn; its log lies in ``folder``."""
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    argv = [sys.executable, "-m", "gunicorn", "-c", "python:controlplane.gunicorn_conf", "--graceful-timeout", "2"]
    return Program("web", argv, folder / "web.log", {"WEB_BIND": bind})


def worker(folder: Path, *, concurrency: int = 2) -> Program:
    """The Celery worker and, inside it, the clock that calls the reaper.

    One process, whose threads supervise the steps' children, so that the heavy libraries are imported once.
    """
    argv = [sys.executable, "-m", "celery", "-A", "controlplane.celery", "worker", "--beat"]
    argv += ["--concurrency", str(concurrency), "--loglevel", "WARNING", "--without-gossip", "--without-mingle"]
    one_thread_each = {name: os.environ.get(name, "1") for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return Program("worker", argv, folder / "worker.log", one_thread_each)


class Supervisor:
    """``with Supervisor() as supervisor``: start programs, ``check`` now and then; leaving stops them all.

    Only from the main thread, since it takes over SIGINT, SIGTERM and SIGHUP while it is entered.
    """

    def __init__(self, *, cwd: Path, stop_seconds: float = STOP_SECONDS) -> None:
        self._cwd, self._stop_seconds = cwd, stop_seconds
        self._running: list[tuple[Program, subprocess.Popen[bytes]]] = []
        self._before: dict[int, Any] = {}
        self._asked = 0
        self._deferred = False
        self._hurry = False

    def __enter__(self) -> Self:
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[signum] = signal.signal(signum, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deferred = True  # from here on a signal makes the end come sooner, but never leaves it half-done
        try:
            self.stop()
        finally:
            for signum, handler in self._before.items():
                signal.signal(signum, handler)

    def start(self, program: Program) -> int:
        """Start one program; returns its process id."""
        program.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._deferred = True  # a signal between the fork and the list would leave an orphan
        try:
            with program.log.open("ab") as log:
                process = subprocess.Popen(  # noqa: S603 - our own command line, no shell
                    program.argv,
                    cwd=self._cwd,
                    env={**os.environ, **program.env},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509 - this process has no other thread yet
                )
            self._running.append((program, process))
        finally:
            self._deferred = False
        if self._asked:
            raise StoppedError(self._asked)
        return process.pid

    def check(self) -> None:
        """Raise ProgramError if a program has ended."""
        for program, process in self._running:
            if (code := process.poll()) is not None:
                raise ProgramError(
                    f"{program.name} ended ({_how(code)}). Read {program.log}.{_last_words(program.log)}"
                )

    def wait_until(self, ready: Callable[[], bool], what: str, *, seconds: float = START_SECONDS) -> None:
        """Wait for ``ready``. Raises ProgramError when a program ends first or the time is over."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                logs = ", ".join(str(program.log) for program, _ in self._running)
                raise ProgramError(f"{what} was not ready after {seconds:g} seconds. Read {logs}.")
            time.sleep(_TICK_SECONDS)

    def serve(self) -> None:
        """Watch until a signal (StoppedError) or the end of a program (ProgramError)."""
        while True:
            self.check()
            time.sleep(_TICK_SECONDS)

    def stop(self) -> None:
        """Ask every program to end, wait, then kill what is left of each group. Idempotent."""
        groups = [(process, _group(process.pid)) for _, process in self._running]
        for process, _ in groups:
            with suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + self._stop_seconds
        while any(process.poll() is None for process, _ in groups) and time.monotonic() < deadline and not self._hurry:
            time.sleep(0.05)
        for process, members in groups:
            _kill_group(process.pid, members)
            process.wait()
        self._running.clear()

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        self._hurry = bool(self._asked)
        self._asked = signum
        if not self._deferred:
            raise StoppedError(signum)


def web_ready(address: str) -> bool:
    """Whether the pages answer at ``address`` (http://host:port)."""
    try:
        with urllib.request.urlopen(f"{address}/healthz", timeout=2) as answer:  # noqa: S310 - our own http address
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def worker_ready(since: float) -> bool:
    """Whether a worker of this installation gave a sign of life after ``since`` (seconds since 1970)."""
    return bool(heartbeat.alive(since=since))


def _die_with(parent: int) -> Callable[[], None] | None:
    """On Linux, have the kernel end the child when the supervisor is killed without a chance to clean up."""
    if platform.system() != "Linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it was killed before the kernel knew
            os._exit(1)

    return ask


def _group(leader: int) -> list[psutil.Process]:
    """The leader and everything below it, taken before the leader ends and its children change parents."""
    try:
        process = psutil.Process(leader)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _kill_group(leader: int, members: Sequence[psutil.Process]) -> None:
    """Kill what is left: by group, and one by one what left the group (psutil checks that a pid was not reused)."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    for member in members:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs([member for member in members if member.pid != leader], timeout=5)


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def _last_words(log: Path, lines: int = 5) -> str:
    """The end of a log, indented, empty when there is none."""
    with suppress(OSError):
        found = log.read_text(errors="replace").splitlines()[-lines:]
        return "".join(f"\n  | {line[:300]}" for line in found)
    return ""
