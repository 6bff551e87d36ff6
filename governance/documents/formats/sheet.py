"""Sheets (CSV, RFC 4180) in which no cell is ever a formula, whatever somebody wrote in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from governance.documents import visible

# What spreadsheets take as the beginning of a formula, full-width forms included (OWASP, CSV injection).
_BEGINS = tuple("=+-@|%＝＋－＠")
_PIECE_CHARACTERS = 64 * 1024
BOM = "\ufeff"  # without it Excel reads UTF-8 as something else


def cell(value: Any) -> str:
    """A number as it is; text with an apostrophe before whatever could begin a formula, and without controls."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    text = visible.for_screen(str(value)).replace("\t", " ").replace("\n", " ")
    return f"'{text}" if text.lstrip().startswith(_BEGINS) else text


def write(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """The sheet in pieces of about 64 KiB, every cell in quotes; takes no more memory for more rows."""
    buffer = io.StringIO()
    buffer.write(BOM)
    lines = csv.writer(buffer, quoting=csv.QUOTE_ALL)
    lines.writerow([cell(head) for head in heads])
    for row in rows:
        lines.writerow([cell(value) for value in row])
        if buffer.tell() >= _PIECE_CHARACTERS:
            yield _taken(buffer)
    yield _taken(buffer)


def inventory(facts: Mapping[str, Any], outline: Callable[..., Any]) -> Iterator[bytes]:
    """A model inventory with one row for each model."""
    heads = ("model", "what it is for", "versions", "newest", "newest SHA-256", "gates passed", "gates", "standing",
             "in use", "in use SHA-256", "approved", "valid until", "review")  # fmt: skip
    rows = (
        [
            row["model"], row["description"], row["versions"], row["newest"]["number"], row["newest"]["digest"],
            row["newest"]["gates_passed"], row["newest"]["gates"], row["newest"]["state"], row["in_use"]["number"],
            row["in_use"]["digest"], row["approval"]["issued_at"], row["approval"]["valid_until"],
            row["approval"]["review"],
        ]
        for row in facts["content"]["models"]
    )  # fmt: skip
    return write(heads, rows)


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()
