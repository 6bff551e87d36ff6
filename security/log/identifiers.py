"""Identifiers of events: UUIDv7 (RFC 9562 §5.7), rising within one process even when its clock is set back."""

from __future__ import annotations

import os
import threading
import time
from uuid import UUID

_COUNTER_BITS = 12
_lock = threading.Lock()
_last = 0  # milliseconds since 1970, then the counter


def new_id() -> UUID:
    """A fresh UUIDv7: 48 bits of milliseconds, a 12-bit counter (RFC 9562 §6.2, method 1), 62 random bits."""
    global _last  # noqa: PLW0603 - the counter of the process
    with _lock:
        _last = max(_last + 1, time.time_ns() // 1_000_000 << _COUNTER_BITS)
        return _uuid7(_last, int.from_bytes(os.urandom(8), "big"))


def carried_over(index: int) -> UUID:
    """The id of an event that had a number before it had an id: at time 0, so that it sorts before all others."""
    return _uuid7(0, index)


def _uuid7(moment: int, rest: int) -> UUID:
    milliseconds, counter = moment >> _COUNTER_BITS, moment & (1 << _COUNTER_BITS) - 1
    return UUID(int=milliseconds << 80 | 7 << 76 | counter << 64 | 2 << 62 | rest & (1 << 62) - 1)


def _renew_lock() -> None:
    global _lock  # noqa: PLW0603 - a fork may have copied it while another thread held it
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)
