"""AES-256-GCM-HKDF-1MB streaming encryption in Tink's wire format, pure; docs/formats/vault.md has it byte by byte.

Layout (Tink, "AES-GCM-HKDF streaming AEAD"): a 40-byte header ``0x28 ‖ salt(32) ‖ nonce prefix(7)``, then ciphertext
segments of 1 MiB, the first shortened by the header. Segment key = HKDF-SHA256(data key, salt, info = associated
data); nonce = prefix ‖ big-endian u32 segment number ‖ 0x01 for the last segment, 0x00 otherwise. The last-segment
flag makes truncation and appending fail, the number makes reordering fail, the associated data (the object's own
identity) makes a swap of two objects fail. GCM is not key-committing: readers also compare the plaintext's SHA-256.

The stream has no version of its own, so that Tink reads it as it is: the version stands beside the wrapped key.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION = 1
KEY_BYTES = 32
SEGMENT_BYTES = 1 << 20
TAG_BYTES = 16
HEADER_BYTES = 40
FIRST_PLAIN_BYTES = SEGMENT_BYTES - HEADER_BYTES - TAG_BYTES  # plaintext in the first segment
PLAIN_BYTES = SEGMENT_BYTES - TAG_BYTES  # and in every other full one
_PREFIX_BYTES = 7
_SMALL_BYTES = 1 << 16  # chunks below this are put together before they are divided


class DamagedError(Exception):
    """The stored object is not what was written: changed, cut, extended, reordered, swapped, or the wrong key."""


class Segment(NamedTuple):
    """One segment, of plaintext or of ciphertext with its tag, and its place."""

    number: int
    content: bytes
    last: bool


class Segments:
    """Opens single segments of one object, in any order.

    ``header`` is the object's first 40 bytes. Raises DamagedError for one that no writer of this format makes.
    """

    def __init__(self, header: bytes, *, key: bytes, associated_data: bytes) -> None:
        if len(header) != HEADER_BYTES or header[0] != HEADER_BYTES:
            raise DamagedError("the stored object has no valid header")
        self._prefix = header[1 + KEY_BYTES :]
        self._cipher = AESGCM(_segment_key(key, header[1 : 1 + KEY_BYTES], associated_data))

    def open(self, segment: Segment) -> bytes:
        """The plaintext of one segment. Raises DamagedError unless it is that one, whole, and last or not as said."""
        try:
            nonce = _nonce(self._prefix, segment.number, last=segment.last)
            return self._cipher.decrypt(nonce, segment.content, None)
        except (InvalidTag, ValueError, OverflowError):
            raise DamagedError(f"segment {segment.number} of the stored object does not verify") from None


class Sealer:
    """Seals the segments of one object; ``header`` is what stands before them.

    The salt makes the segment key, and so every nonce, unique to this sealer even under a repeated data key.
    """

    def __init__(self, *, key: bytes, associated_data: bytes) -> None:
        salt, self._prefix = os.urandom(KEY_BYTES), os.urandom(_PREFIX_BYTES)
        self.header = bytes([HEADER_BYTES]) + salt + self._prefix
        self._cipher = AESGCM(_segment_key(key, salt, associated_data))

    def seal(self, segment: Segment) -> bytes:
        """Its ciphertext and tag. Each number may be sealed once only."""
        nonce = _nonce(self._prefix, segment.number, last=segment.last)
        return self._cipher.encrypt(nonce, segment.content, None)


def encrypt(chunks: Iterable[bytes], *, key: bytes, associated_data: bytes) -> Iterator[bytes]:
    """Yield the ciphertext of ``chunks`` (any sizes) piece by piece, in memory of one segment and one chunk."""
    sealer = Sealer(key=key, associated_data=associated_data)
    yield sealer.header
    yield from map(sealer.seal, plain_segments(chunks))


def decrypt(source: BinaryIO, *, key: bytes, associated_data: bytes) -> Iterator[bytes]:
    """Yield the plaintext of ``source``, one authenticated segment at a time.

    Raises DamagedError at the first segment that does not verify; what was yielded before is authentic but, until the
    iterator ends without an error, not known to be complete.
    """
    segments = Segments(read_header(source), key=key, associated_data=associated_data)
    yield from map(segments.open, sealed_segments(source))


def plain_segments(chunks: Iterable[bytes]) -> Iterator[Segment]:
    """The content as it is divided into segments; a full one is given out once it is known not to be the last."""
    room, number, held, parts = FIRST_PLAIN_BYTES, 0, 0, list[memoryview]()
    for chunk in _of_some_size(chunks):
        rest = memoryview(chunk)
        while held + len(rest) > room:
            taken = room - held
            yield Segment(number, b"".join([*parts, rest[:taken]]), last=False)
            rest = rest[taken:]
            room, number, held, parts = PLAIN_BYTES, number + 1, 0, []
        parts.append(rest)
        held += len(rest)
    yield Segment(number, b"".join(parts), last=True)


def _of_some_size(chunks: Iterable[bytes]) -> Iterator[bytes | bytearray]:
    """The same content with small chunks put together; what its maker could still change is copied."""
    held = bytearray()
    for chunk in chunks:
        if not held and len(chunk) >= _SMALL_BYTES:
            yield bytes(chunk)
            continue
        held += chunk
        if len(held) >= _SMALL_BYTES:
            yield held
            held = bytearray()
    yield held


def sealed_segments(source: BinaryIO) -> Iterator[Segment]:
    """The segments of an object whose header has been read. That the last one is the last, opening it proves."""
    segment, number = _read(source, SEGMENT_BYTES - HEADER_BYTES), 0
    while True:
        following = _read(source, SEGMENT_BYTES) if len(segment) >= SEGMENT_BYTES - HEADER_BYTES else b""
        yield Segment(number, segment, last=not following)
        if not following:
            return
        segment, number = following, number + 1


def read_header(source: BinaryIO) -> bytes:
    """The first 40 bytes, or as many as there are."""
    return _read(source, HEADER_BYTES)


def segment_count(object_size: int) -> int:
    """How many segments an object of that many bytes has. Raises DamagedError for a size that no object can have."""
    count = -(-object_size // SEGMENT_BYTES)
    last = object_size - (count - 1) * SEGMENT_BYTES - (HEADER_BYTES if count == 1 else 0)
    if object_size < HEADER_BYTES + TAG_BYTES or last < TAG_BYTES:
        raise DamagedError(f"no stored object has {object_size} bytes: it was cut or extended")
    return count


def plain_size(object_size: int) -> int:
    """Bytes of plaintext in an object of that many bytes. Raises DamagedError for a size that no object can have."""
    return object_size - HEADER_BYTES - TAG_BYTES * segment_count(object_size)


def _read(source: BinaryIO, size: int) -> bytes:
    """Exactly ``size`` bytes unless the source ends."""
    part = source.read(size)
    if len(part) in (0, size):
        return part
    parts = bytearray(part)
    while len(parts) < size and (part := source.read(size - len(parts))):
        parts += part
    return bytes(parts)


def _segment_key(key: bytes, salt: bytes, associated_data: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise ValueError(f"a data key has {KEY_BYTES} bytes, not {len(key)}")
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=associated_data).derive(key)


def _nonce(prefix: bytes, number: int, *, last: bool) -> bytes:
    return prefix + number.to_bytes(4, "big") + (b"\x01" if last else b"\x00")
