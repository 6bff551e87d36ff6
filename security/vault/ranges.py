"""Reading parts of a stored object: a seekable file that fetches and decrypts the segments it is asked for, pure.

The object's length is authenticated first: opening decrypts the last segment with its last-segment flag, which only
the true end carries, so a cut or extended object is refused before any range of it is trusted. Not checked here is the
SHA-256 of the whole content, which takes the whole content: GCM does not commit to its key, so two keys could be made
to open one object differently, by somebody who can wrap data keys. Where that matters, read everything.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from typing import Any, BinaryIO

from security.vault.stream import (
    FIRST_PLAIN_BYTES,
    HEADER_BYTES,
    PLAIN_BYTES,
    SEGMENT_BYTES,
    DamagedError,
    Segment,
    Segments,
    plain_size,
    segment_count,
)

_KEPT_SEGMENTS = 4  # readers of Parquet jump between footer and columns


class RangeReader(io.RawIOBase):
    """The plaintext of ``source`` as a read-only file; ``segments_read`` counts what was fetched and decrypted.

    ``source`` is the stored object as a seekable binary file, ``object_size`` its length on record in bytes. Holds at
    most four decrypted segments of 1 MiB. Raises DamagedError, here for a wrong header, length or end, and at a read
    for any other segment that does not verify. Closing closes the source.
    """

    def __init__(self, source: BinaryIO, *, key: bytes, associated_data: bytes, object_size: int) -> None:
        super().__init__()
        self._source, self._object_size = source, object_size
        self._count, self.size = segment_count(object_size), plain_size(object_size)
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._position = self.segments_read = 0
        if source.seek(0, io.SEEK_END) != object_size:
            raise DamagedError(f"the stored object does not have the {object_size} bytes on record")
        self._segments = Segments(self._fetch(0, HEADER_BYTES), key=key, associated_data=associated_data)
        self._segment(self._count - 1)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to ``offset`` bytes of plaintext from the start, the position or the end. Raises ValueError before 0."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise ValueError(f"cannot seek to byte {start + offset}")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` from the position on; less than it holds only at the end."""
        view = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(view) and self._position < self.size:
            number, start = _place(self._position)
            part = memoryview(self._segment(number))[self._position - start :][: len(view) - filled]
            view[filled : filled + len(part)] = part
            filled, self._position = filled + len(part), self._position + len(part)
        return filled

    def close(self) -> None:
        if not self.closed:
            self._kept.clear()
            self._source.close()
        super().close()

    def _segment(self, number: int) -> bytes:
        """The plaintext of one segment, from those kept or from the store."""
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        start = number * SEGMENT_BYTES or HEADER_BYTES
        end = min((number + 1) * SEGMENT_BYTES, self._object_size)
        sealed = Segment(number, self._fetch(start, end - start), last=number == self._count - 1)
        self._kept[number] = self._segments.open(sealed)
        self.segments_read += 1
        if len(self._kept) > _KEPT_SEGMENTS:
            self._kept.popitem(last=False)
        return self._kept[number]

    def _fetch(self, start: int, length: int) -> bytes:
        self._source.seek(start)
        parts = bytearray()
        while len(parts) < length and (part := self._source.read(length - len(parts))):
            parts += part
        return bytes(parts)


def _place(position: int) -> tuple[int, int]:
    """``(number, first byte)`` of the segment that holds a byte of plaintext."""
    if position < FIRST_PLAIN_BYTES:
        return 0, 0
    number = 1 + (position - FIRST_PLAIN_BYTES) // PLAIN_BYTES
    return number, FIRST_PLAIN_BYTES + (number - 1) * PLAIN_BYTES
