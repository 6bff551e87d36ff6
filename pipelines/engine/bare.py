"""The environment of step processes: without the secret key, the database's password and the store's credentials."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

# What an interpreter, its libraries and the steps need; everything else stays with the worker.
KEPT = (
    "PATH", "HOME", "LANG", "LC_", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "PYTHON", "VIRTUAL_ENV", "OMP_",
    "OPENBLAS_", "MKL_", "NUMBA_", "COVERAGE_", "COUNTERSIGN_STEP_PACKAGES",
)  # fmt: skip
_served = threading.Event()


def hide(environment: MutableMapping[str, str]) -> dict[str, str]:
    """Take every variable out that is not ``KEPT`` (names or beginnings of names); returns what was taken."""
    return {name: environment.pop(name) for name in list(environment) if not name.startswith(KEPT)}


@contextmanager
def bare_environment() -> Iterator[None]:
    """Start the server of step processes with nothing else in its environment, which every child can read.

    Only the first start hides anything: later ones find the server there. The caller holds the lock on starting.
    """
    if _served.is_set():
        yield
        return
    hidden = hide(os.environ)
    try:
        yield
        _served.set()
    finally:
        os.environ.update(hidden)
