"""The streaming format: round trips, an independent reader, and every kind of damage."""

from __future__ import annotations

import io
import random

import pytest

from security.vault.stream import HEADER_BYTES, SEGMENT_BYTES, TAG_BYTES, DamagedError, decrypt, encrypt

KEY = bytes(range(32))
FIRST = SEGMENT_BYTES - HEADER_BYTES - TAG_BYTES
NEXT = SEGMENT_BYTES - TAG_BYTES
SIZES = [0, 1, 100, FIRST - 1, FIRST, FIRST + 1, FIRST + NEXT, FIRST + NEXT + 1, 3 * SEGMENT_BYTES + 17]


def seal(plain: bytes, *, key: bytes = KEY, aad: bytes = b"object-1", pieces: int = 65_536) -> bytes:
    chunks = [plain[at : at + pieces] for at in range(0, len(plain), pieces)]
    return b"".join(encrypt(chunks, key=key, associated_data=aad))


def opened(sealed: bytes, *, key: bytes = KEY, aad: bytes = b"object-1") -> bytes:
    return b"".join(decrypt(io.BytesIO(sealed), key=key, associated_data=aad))


@pytest.mark.parametrize("size", SIZES)
def test_what_goes_in_comes_out(size: int):
    plain = random.Random(size).randbytes(size)
    assert opened(seal(plain)) == plain


@pytest.mark.parametrize("size", SIZES)
def test_tink_reads_what_we_write_and_we_read_what_tink_writes(size: int):
    tink = pytest.importorskip("tink", reason="the tink package is the independent oracle; install requirements-dev")
    from tests.support.tink_oracle import tink_decrypt, tink_encrypt

    assert tink is not None
    plain = random.Random(size).randbytes(size)
    assert tink_decrypt(seal(plain), key=KEY, aad=b"object-1") == plain
    assert opened(tink_encrypt(plain, key=KEY, aad=b"object-1")) == plain


def test_a_flipped_bit_anywhere_is_found():
    sealed = seal(random.Random(1).randbytes(FIRST + NEXT + 1000))
    places = [*range(HEADER_BYTES), *(random.Random(2).randrange(len(sealed)) for _ in range(40)), len(sealed) - 1]
    for place in places:
        damaged = bytearray(sealed)
        damaged[place] ^= 1 << (place % 8)
        with pytest.raises(DamagedError):
            opened(bytes(damaged))


@pytest.mark.parametrize("keep", [0, 10, HEADER_BYTES, HEADER_BYTES + 5, SEGMENT_BYTES, 2 * SEGMENT_BYTES, -1])
def test_a_cut_object_is_found(keep: int):
    with pytest.raises(DamagedError):
        opened(seal(bytes(3 * SEGMENT_BYTES))[:keep])


def test_an_extended_object_is_found():
    sealed = seal(bytes(FIRST + NEXT))
    for extra in (b"x", sealed[-SEGMENT_BYTES:]):
        with pytest.raises(DamagedError):
            opened(sealed + extra)


def test_reordered_and_spliced_segments_are_found():
    one, two = seal(bytes(4 * SEGMENT_BYTES)), seal(bytes(4 * SEGMENT_BYTES), aad=b"object-2")
    at = [slice(n * SEGMENT_BYTES, (n + 1) * SEGMENT_BYTES) for n in range(4)]
    swapped = one[at[0]] + one[at[2]] + one[at[1]] + one[3 * SEGMENT_BYTES :]
    spliced = one[at[0]] + two[at[1]] + one[2 * SEGMENT_BYTES :]
    for damaged in (swapped, spliced):
        with pytest.raises(DamagedError):
            opened(damaged)


def test_a_swapped_object_is_found():
    with pytest.raises(DamagedError):
        opened(seal(b"secret", aad=b"object-2"))


def test_the_wrong_key_is_found():
    with pytest.raises(DamagedError):
        opened(seal(b"secret"), key=bytes(32))
