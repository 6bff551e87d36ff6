"""A sign of life from each worker: a file whose time of change is at most a few seconds old while the worker runs.

Needed because the filesystem transport has no remote control to ask; also the container's health check.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from celery import signals
from django.conf import settings

PERIOD_SECONDS = 2.0
ALIVE_SECONDS = 10.0  # older than this, the worker is taken for dead


def folder() -> Path:
    """Where the files lie; one installation's workers on one machine."""
    return Path(settings.VAR) / "workers"


def alive(*, since: float = 0.0) -> list[str]:
    """Names of the workers that gave a sign within the last seconds, and after ``since`` (seconds since 1970)."""
    oldest = max(time.time() - ALIVE_SECONDS, since)
    return sorted(path.name for path in folder().glob("*") if _changed(path) > oldest)


def connect() -> None:
    """Begin when the worker takes its first messages, end when it shuts down."""
    signals.worker_ready.connect(_begin, dispatch_uid="countersign-heartbeat")
    signals.worker_shutdown.connect(_end, dispatch_uid="countersign-heartbeat")


def _begin(**_: Any) -> None:
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in folder().glob("*"):  # of workers that were killed
        if _changed(path) < time.time() - 3600:
            path.unlink(missing_ok=True)
    _own_file().touch()
    threading.Thread(target=_beat, name="heartbeat", daemon=True).start()


def _beat() -> None:
    with suppress(FileNotFoundError):  # the end takes the file away
        while True:
            os.utime(_own_file())
            time.sleep(PERIOD_SECONDS)


def _end(**_: Any) -> None:
    _own_file().unlink(missing_ok=True)


def _own_file() -> Path:
    return folder() / f"{platform.node()}-{os.getpid()}"


def _changed(path: Path) -> float:
    """When the file was last touched, 0.0 when it is gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
