"""The events of a period, streamed: JSON Lines, CSV and HTML in constant memory, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from django.utils.html import format_html

from governance.documents import visible
from governance.documents.facts import period
from governance.documents.formats import page, sheet
from security.canonical import canonical_json

Given = Mapping[str, Any]
_AT_ONCE = 200
_HEADS = ("entry", "time (UTC)", "event", "who", "actor", "subject", "recorded (JSON)")


def json_lines(facts: Given, outline: Callable[[Given], Given]) -> Iterator[bytes]:
    """The facts in the first line, then one line for each event with ``index``, ``leaf`` and ``entry``, as a bundle's
    ``log.jsonl`` has them."""
    yield canonical_json(dict(facts)) + b"\n"
    for some in _batches(period.entries(facts)):
        lines = [{name: row[name] for name in ("index", "leaf", "entry")} for row in some]
        yield b"".join(canonical_json(line) + b"\n" for line in lines)


def csv(facts: Given, outline: Callable[[Given], Given]) -> Iterator[bytes]:
    """One row for each event."""
    members = ("index", "time", "event", "name", "actor", "subject", "entry")
    rows = ([row[name] for name in members] for row in period.entries(facts))
    return sheet.write(_HEADS, rows)


def html(facts: Given, outline: Callable[[Given], Given]) -> Iterator[bytes]:
    """The summary, then a table of every event."""
    before, after = page.around(outline(facts), facts, title="Every event", heads=_HEADS[:6])
    yield before
    for some in _batches(period.entries(facts)):
        yield "".join(_row(row) for row in some).encode()
    yield after


def _row(row: Given) -> str:
    name, subject = visible.for_screen(row["name"]), visible.for_screen(row["subject"])
    return format_html(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td><code>{}</code></td><td><code>{}</code></td></tr>\n",
        row["index"], row["time"], row["event"], name, row["actor"], subject,
    )  # fmt: skip


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while some := list(islice(rows, _AT_ONCE)):
        yield some
