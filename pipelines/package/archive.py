"""A ZIP with the same bytes whenever it is made of the same files: stored, without clock, names in order. Pure."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644 << 16
_UNIX = 3
_PIECE_BYTES = 256 * 1024


def stream(files: Mapping[str, Iterable[bytes]]) -> Iterator[bytes]:
    """The ZIP piece by piece, in memory of a few pieces. What a file's iterator raises ends it, without a directory."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            with archive.open(_entry(name), "w", force_zip64=True) as file:
                for piece in files[name]:
                    file.write(piece)
                    if sink.filled > _PIECE_BYTES:
                        yield sink.take()
    yield sink.take()


def _entry(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type, info.external_attr, info.create_system = zipfile.ZIP_STORED, _MODE, _UNIX
    return info


class _Sink(io.RawIOBase):
    """Keeps what the ZIP writer wrote until it is taken; cannot seek, so the writer does not try to."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self.filled = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self.filled += len(piece)
        return len(piece)

    def take(self) -> bytes:
        """Everything written since the last time."""
        taken = b"".join(self._pieces)
        self._pieces, self.filled = [], 0
        return taken
