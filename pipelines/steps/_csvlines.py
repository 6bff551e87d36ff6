"""Bytes of a CSV file to records with their line numbers, in constant memory and with an answer to each bad input."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipelines.steps.contract import StepError

_MARKS = {b"\xff\xfe": "UTF-16 (little endian)", b"\xfe\xff": "UTF-16 (big endian)"}
_UTF8_MARK = b"\xef\xbb\xbf"


@dataclass
class Lines:
    """Decoded lines of an open file; iterating reads at most ``limit`` + 1 bytes for one record.

    A record may span lines (a quoted line break); the reader calls ``record_done`` after each, so that a quote that
    never closes cannot swallow the file. ``number`` is the 1-based line last read, ``offset`` the bytes read so far.
    Raises StepError for a line over the limit, NUL bytes and bytes that the encoding does not allow.
    """

    file: BinaryIO
    encoding: str
    limit: int
    number: int = 0
    offset: int = 0
    record_bytes: int = 0
    record_line: int = 1

    def record_done(self) -> None:
        """The next line begins a new record."""
        self.record_bytes = 0
        self.record_line = self.number + 1

    def __iter__(self) -> Iterator[str]:
        while raw := self.file.readline(self.limit + 1):
            self.number += 1
            yield self._decode(raw)
            self.offset += len(raw)

    def _decode(self, raw: bytes) -> str:
        self.record_bytes += len(raw)
        if self.record_bytes > self.limit:
            raise StepError(
                f"line {self.record_line}: the record is longer than {self.limit} bytes; a quote may not be closed, "
                "the line breaks may be missing, or max_line_bytes is too small",
                param="max_line_bytes",
                details={"line": self.record_line},
            )
        if self.number == 1:
            raw = self._without_mark(raw)
        if b"\0" in raw:
            position = self.offset + raw.index(b"\0")
            raise StepError(
                f"line {self.number}: a NUL byte at byte {position}; this is not a text file, or it is UTF-16 "
                "(save it as UTF-8)",
                param="encoding",
                details={"line": self.number, "byte": position},
            )
        try:
            return raw.decode(self.encoding)
        except UnicodeDecodeError as error:
            position = self.offset + error.start
            raise StepError(
                f"line {self.number}: byte {position} is not valid {self.encoding}; name the file's encoding, "
                "for example latin-1 or cp1252",
                param="encoding",
                details={"line": self.number, "byte": position},
            ) from None

    def _without_mark(self, raw: bytes) -> bytes:
        if (name := _MARKS.get(raw[:2])) is not None:
            raise StepError(f"the file begins with the mark of {name}; save it as UTF-8", param="encoding")
        return raw.removeprefix(_UTF8_MARK)


@contextmanager
def _field_limit(limit: int) -> Iterator[None]:
    """The csv module keeps one limit for the whole process: set ours and put the old one back."""
    before = csv.field_size_limit(limit)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def records(lines: Lines, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Records as ``(line number of their first line, fields)``; blank lines are passed over.

    Raises StepError with the line for quoting that cannot be read, besides what ``Lines`` raises.
    """
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.record_done()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _unreadable(lines.record_line, str(error)) from None
        if fields:
            yield lines.record_line, fields


def _unreadable(line: int, reason: str) -> StepError:
    """The csv module's reasons hold no cell values, but they speak of Python; these are the ones that occur."""
    if "unexpected end of data" in reason:
        text = "a quote that is opened here is never closed"
    elif "expected after" in reason:
        text = 'characters follow a closing quote; a quote inside a field is written twice ("")'
    elif "new-line character" in reason:
        text = "a bare carriage return ends the line; save the file with line feeds"
    else:
        text = "the quoting cannot be read"
    return StepError(f"line {line}: {text}", details={"line": line})


@contextmanager
def open_lines(path: Path, encoding: str, limit: int) -> Iterator[Lines]:
    """Open ``path`` for ``records`` and close it afterwards. Raises StepError when it is empty."""
    if path.stat().st_size == 0:
        raise StepError("the file is empty; a header line and at least one row are needed", param="path")
    with path.open("rb") as file, _field_limit(limit):
        yield Lines(file, encoding, limit)
