"""Work on the pieces of a stream in threads side by side, in order, with a bounded number of pieces on the way.

``hashlib`` and ``cryptography`` let other threads run while they work on a large piece, so that two hashes and a cipher
of one stream take the time of the slowest of them where there are cores for it. Source and consumer stay in the
caller's thread: neither a database connection nor a store's file is used by any other.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import reduce
from itertools import chain as joined
from itertools import islice
from typing import Any

from security.vault.stream import Segment

ON_THE_WAY = 8  # pieces between source and consumer: the bound of the memory
_END = object()


class Digest:
    """SHA-256 and number of the bytes that were added, in that order; as a stage, it gives on what it got."""

    def __init__(self) -> None:
        self.size = 0
        self._hash = hashlib.sha256()

    def add(self, piece: bytes) -> bytes:
        self.size += len(piece)
        self._hash.update(piece)
        return piece

    def of_segment(self, segment: Segment) -> Segment:
        self.add(segment.content)
        return segment

    def hexdigest(self) -> str:
        """In hexadecimal."""
        return self._hash.hexdigest()


class _Failed:
    """What a stage raised, on its way to the caller."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def worked(source: Iterable[Any], stages: Sequence[Callable[[Any], Any]]) -> Generator[Any, None, None]:
    """Yield what becomes of each piece of ``source`` when it has gone through ``stages``, each in a thread of its own.

    A source of one piece is worked on in the caller's thread. What a stage raises is raised here, after the pieces
    before it; then, or when the caller stops, or the source fails, the threads end.
    """
    pieces = iter(source)
    first = list(islice(pieces, 2))
    if len(first) < 2:
        yield from (reduce(lambda piece, stage: stage(piece), stages, piece) for piece in first)
        return
    yield from _side_by_side(joined(first, pieces), stages)


def _side_by_side(pieces: Iterator[Any], stages: Sequence[Callable[[Any], Any]]) -> Generator[Any, None, None]:
    queues = [queue.SimpleQueue[Any]() for _ in range(len(stages) + 1)]
    threads = [
        threading.Thread(target=_work, args=(stage, queues[n], queues[n + 1]), name="vault-stage", daemon=True)
        for n, stage in enumerate(stages)
    ]
    for thread in threads:
        thread.start()
    entry, done, waiting = queues[0], queues[-1], 0
    try:
        for piece in pieces:
            entry.put(piece)
            waiting += 1
            if waiting == ON_THE_WAY:
                yield _taken(done)
                waiting -= 1
        for _ in range(waiting):
            yield _taken(done)
    finally:
        entry.put(_END)
        for thread in threads:
            thread.join()


def _work(stage: Callable[[Any], Any], taking: queue.SimpleQueue[Any], giving: queue.SimpleQueue[Any]) -> None:
    """Until the end: a failure goes on to the caller, and nothing is worked on after it."""
    failed = False
    while (piece := taking.get()) is not _END:
        if not failed and not isinstance(piece, _Failed):
            try:
                piece = stage(piece)
            except BaseException as error:
                piece = _Failed(error)
        failed = failed or isinstance(piece, _Failed)
        giving.put(piece)
    giving.put(_END)


def _taken(done: queue.SimpleQueue[Any]) -> Any:
    piece = done.get()
    if isinstance(piece, _Failed):
        raise piece.error
    return piece
