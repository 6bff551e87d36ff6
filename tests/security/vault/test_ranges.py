"""Reading parts of an object: only their segments, and never past a length that was not authenticated."""

from __future__ import annotations

import io
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from security.errors import UnavailableError
from security.vault import services as vault
from security.vault.models import Artifact
from security.vault.ranges import RangeReader
from security.vault.stream import FIRST_PLAIN_BYTES, PLAIN_BYTES, SEGMENT_BYTES, DamagedError, encrypt
from tests.support.api import stored
from tests.support.people import People

KEY, AAD = bytes(range(32)), b"countersign-object:0"
SIZE = 6 * SEGMENT_BYTES + 12_345
PLAIN = random.Random(7).randbytes(SIZE)


@pytest.fixture(scope="module")
def sealed() -> bytes:
    return b"".join(encrypt([PLAIN], key=KEY, associated_data=AAD))


def reader(sealed: bytes, *, size: int | None = None, aad: bytes = AAD) -> RangeReader:
    size = len(sealed) if size is None else size
    return RangeReader(io.BytesIO(sealed), key=KEY, associated_data=aad, object_size=size)


@pytest.mark.parametrize("size", [0, 1, FIRST_PLAIN_BYTES, FIRST_PLAIN_BYTES + 1, FIRST_PLAIN_BYTES + PLAIN_BYTES])
def test_the_whole_can_be_read_at_every_border(size: int):
    whole = b"".join(encrypt([PLAIN[:size]], key=KEY, associated_data=AAD))
    assert reader(whole).read() == PLAIN[:size]


def test_any_range_is_the_same_as_of_the_plaintext(sealed: bytes):
    file, chance = reader(sealed), random.Random(11)
    for _ in range(200):
        start, length = chance.randrange(SIZE + 10), chance.choice([0, 1, 100, 70_000, SEGMENT_BYTES + 5])
        assert file.seek(start) == start
        assert file.read(length) == PLAIN[start : start + length]
    assert file.seek(-5, io.SEEK_END) == SIZE - 5
    assert file.read(99) == PLAIN[-5:]
    with pytest.raises(ValueError, match="byte -1"):
        file.seek(-1)


def test_a_range_decrypts_its_own_segments_and_the_last_one(sealed: bytes):
    file = reader(sealed)
    assert file.segments_read == 1  # the last, which proves the length
    file.seek(3 * SEGMENT_BYTES)
    file.read(10)
    assert file.segments_read == 2
    file.read(10)
    assert file.segments_read == 2
    file.seek(FIRST_PLAIN_BYTES - 5)
    assert file.read(10) == PLAIN[FIRST_PLAIN_BYTES - 5 : FIRST_PLAIN_BYTES + 5]
    assert file.segments_read == 4


def test_memory_is_bounded_by_four_segments(sealed: bytes):
    file = reader(sealed)
    assert file.read() == PLAIN
    assert sum(map(len, file._kept.values())) <= 4 * SEGMENT_BYTES


@pytest.mark.parametrize("keep", [0, 39, 56, SEGMENT_BYTES, 3 * SEGMENT_BYTES, -1, -SEGMENT_BYTES])
def test_a_cut_object_is_refused_before_any_range_is_read(sealed: bytes, keep: int):
    with pytest.raises(DamagedError):
        reader(sealed[:keep])  # a store and a row that agree on the wrong length
    with pytest.raises(DamagedError):
        reader(sealed[:keep], size=len(sealed))


def test_an_extended_object_is_refused(sealed: bytes):
    for extra in (b"x", bytes(SEGMENT_BYTES), sealed[-SEGMENT_BYTES:]):
        with pytest.raises(DamagedError):
            reader(sealed + extra)


def test_a_flipped_bit_is_refused_where_it_is_and_only_there(sealed: bytes):
    damaged = bytearray(sealed)
    damaged[2 * SEGMENT_BYTES + 77] ^= 4
    file = reader(bytes(damaged))
    assert file.read(1000) == PLAIN[:1000]
    file.seek(2 * SEGMENT_BYTES)
    with pytest.raises(DamagedError, match="segment 2"):
        file.read(1)


def test_reordered_segments_and_those_of_another_object_are_refused(sealed: bytes):
    other = b"".join(encrypt([PLAIN], key=KEY, associated_data=b"countersign-object:1"))
    at = [slice(n * SEGMENT_BYTES, (n + 1) * SEGMENT_BYTES) for n in range(7)]
    swapped = sealed[at[0]] + sealed[at[2]] + sealed[at[1]] + sealed[3 * SEGMENT_BYTES :]
    spliced = sealed[at[0]] + other[at[1]] + sealed[2 * SEGMENT_BYTES :]
    for damaged in (swapped, spliced):
        file = reader(damaged)
        file.seek(SEGMENT_BYTES + 10)
        with pytest.raises(DamagedError, match="segment 1"):
            file.read(1)
    with pytest.raises(DamagedError):
        reader(other)


@pytest.fixture
def table() -> pa.Table:
    """Eight incompressible columns of 1.6 MB each."""
    rows, chance = 200_000, random.Random(3)
    return pa.table({f"c{n}": pa.array(memoryview(chance.randbytes(8 * rows)).cast("q"), pa.int64()) for n in range(8)})


@pytest.fixture
def parquet(people: People, table: pa.Table) -> Artifact:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="none", use_dictionary=False)
    return stored(people.system, sink.getvalue(), "application/vnd.apache.parquet")


def test_a_parquet_column_is_read_without_fetching_the_file(parquet: Artifact, table: pa.Table):
    with vault.open_range(parquet) as file:
        column = pq.ParquetFile(file).read(columns=["c3"])
        assert column.equals(table.select(["c3"]))
        segments = -(-parquet.object_size // SEGMENT_BYTES)
        assert segments >= 12
        assert file.segments_read <= 4  # the footer's, and those that 1.6 MB can touch


def test_an_object_that_lost_its_end_is_refused_by_its_length_on_record(parquet: Artifact):
    path = vault.Path(vault.store().path(parquet.object_name))
    path.write_bytes(path.read_bytes()[: 2 * SEGMENT_BYTES])
    with pytest.raises(DamagedError, match="on record"):
        vault.open_range(parquet)


def test_a_format_of_a_later_release_is_named(parquet: Artifact):
    Artifact.objects.update(format=2)
    with pytest.raises(UnavailableError, match="format 2, and this release reads format 1"):
        vault.open_range(parquet)
    with pytest.raises(UnavailableError, match="format 2"):
        vault.read(parquet)
