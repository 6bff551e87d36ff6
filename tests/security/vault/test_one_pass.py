"""Storing takes one pass and memory that does not grow with the artifact, and its threads end with it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import transaction

from security.vault import services as vault
from security.vault.sidebyside import ON_THE_WAY, worked
from tests.support.api import stored
from tests.support.people import People

ROOT = Path(__file__).resolve().parents[3]
PIECE = hashlib.shake_256(b"piece").digest(1 << 20)


@pytest.mark.parametrize("count", [0, 1, 2, ON_THE_WAY, 3 * ON_THE_WAY])
def test_work_side_by_side_keeps_the_order_and_loses_nothing(count: int):
    """The first stage is slow for every other piece: a piece that overtook another would be seen."""
    seen: list[int] = []

    def first(piece: int) -> int:
        time.sleep(0.002 * (piece % 2))
        return piece + 1

    def second(piece: int) -> int:
        seen.append(piece)
        return piece * 2

    assert list(worked(range(count), (first, second))) == [2 * (n + 1) for n in range(count)]
    assert seen == [n + 1 for n in range(count)]


def test_a_stage_that_fails_ends_the_work_after_the_pieces_before_it():
    done: list[int] = []

    def failing(piece: int) -> int:
        if piece == 5:
            raise ValueError("this one")
        return piece

    before, given = threading.active_count(), list[int]()
    with pytest.raises(ValueError, match="this one"):
        given.extend(worked(range(1000), (failing, lambda piece: done.append(piece) or piece)))
    assert given == done == [0, 1, 2, 3, 4]
    assert threading.active_count() == before


def test_a_slow_consumer_holds_the_source_back():
    taken: list[int] = []
    pieces = worked((taken.append(n) or n for n in range(1000)), (lambda piece: piece,))
    assert next(pieces) == 0
    time.sleep(0.05)
    assert len(taken) <= ON_THE_WAY + 1
    pieces.close()


@pytest.mark.parametrize("sizes", [[1] * 3000, [65_535] * 40, [1 << 20, 3, 5 << 20, 0, 7], [70_000, 1, 1, 70_000]])
def test_a_content_in_chunks_of_any_size_is_the_same_content(people: People, sizes: list[int]):
    """Chunks that their maker uses again: what is stored is what they held when they were given."""
    chunk, whole = bytearray(), hashlib.sha256()

    def chunks() -> Iterator[bytes]:
        for n, size in enumerate(sizes):
            chunk[:] = hashlib.shake_256(n.to_bytes(4, "big")).digest(size)
            whole.update(chunk)
            yield chunk  # type: ignore[misc]

    with transaction.atomic():
        put = vault.put(chunks())
        artifact = vault.keep(put, acting_user=None, system=people.system, media_type="application/x")
    sealed = Path(vault.store().path(put.object_name)).read_bytes()
    assert (put.digest, put.size) == (whole.hexdigest(), sum(sizes))
    assert (put.object_sha256, put.object_size) == (hashlib.sha256(sealed).hexdigest(), len(sealed))
    assert hashlib.sha256(vault.read(artifact)).hexdigest() == whole.hexdigest()


def test_a_source_that_fails_half_way_leaves_neither_threads_nor_objects(db: None):
    def failing() -> Iterator[bytes]:
        yield from [PIECE] * 6
        raise RuntimeError("the source broke")

    before = threading.active_count()
    with pytest.raises(RuntimeError, match="the source broke"):
        vault.put(failing())
    assert threading.active_count() == before
    assert [path for path in Path(vault.store().location).rglob("*") if path.is_file()] == []


def test_a_reader_who_stops_half_way_leaves_no_thread(people: People):
    artifact = stored(people.system, PIECE * 5)
    before = threading.active_count()
    pieces = vault.chunks_of(artifact)
    next(pieces)
    next(pieces)
    pieces.close()
    assert threading.active_count() == before


PROGRAM = """
import sys
from itertools import chain
from pathlib import Path
from security.vault import stream
from security.vault.sidebyside import Digest, worked
from security.vault.storage import AtomicFileStorage, ChunkedFile

def pieces(count):
    for n in range(count):
        yield bytes([n % 251]) * (1 << 20)

def peak():  # of this program alone: ru_maxrss would count the process that it was forked from
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

def there_and_back(count):
    plain, back, sealer = Digest(), Digest(), stream.Sealer(key=bytes(32), associated_data=b"a")
    sealed = worked(stream.plain_segments(pieces(count)), (plain.of_segment, sealer.seal))
    store.save("x/%d" % count, ChunkedFile(chain([sealer.header], sealed)))
    with store.open("x/%d" % count) as source:
        segments = stream.Segments(stream.read_header(source), key=bytes(32), associated_data=b"a")
        for piece in worked(stream.sealed_segments(source), (segments.open, back.add)):
            pass
    assert back.hexdigest() == plain.hexdigest()
    Path(store.path("x/%d" % count)).unlink()

import django
from django.conf import settings
settings.configure()
store = AtomicFileStorage(location=sys.argv[1])
there_and_back(8)
small = peak()
there_and_back(400)
print(small, peak())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux's /proc")
def test_memory_does_not_grow_with_the_artifact(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    small, large = (int(kilobytes) / 1024 for kilobytes in done.stdout.split())
    assert large < 200  # MiB, of the whole process
    assert large - small < 16
