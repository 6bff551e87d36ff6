"""Two texts side by side: rows for ``templates/components/diff.html``, with the changed words marked."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

CONTEXT_LINES = 3
WORDS = re.compile(r"\w+|\s+|[^\w\s]")
ALIKE = 0.4
Piece = tuple[str, bool]


@dataclass(frozen=True)
class Side:
    """One line of one text: its number from 1 and its pieces, each with whether it differs from the other side."""

    number: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Row:
    """One row: both sides, or one when a line was only added or removed; ``folded`` counts equal lines left out."""

    left: Side | None = None
    right: Side | None = None
    changed: bool = False
    folded: int = 0


def rows(left: str, right: str, *, context: int = CONTEXT_LINES) -> list[Row]:
    """Rows that show ``left`` against ``right`` with ``context`` equal lines around each change; none when equal."""
    old, new = left.splitlines(), right.splitlines()
    found: list[Row] = []
    shown = 0
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(context):
        found.extend(_fold(group[0][1] - shown))
        for tag, i1, i2, j1, j2 in group:
            found.extend(_block(tag, old[i1:i2], new[j1:j2], i1, j1))
        shown = group[-1][2]
    return [*found, *_fold(len(old) - shown)] if found else []


def _fold(count: int) -> list[Row]:
    return [Row(folded=count)] if count > 0 else []


def _block(tag: str, old: Sequence[str], new: Sequence[str], old_start: int, new_start: int) -> Iterator[Row]:
    for offset, (before, after) in enumerate(zip_longest(old, new)):
        marked = _mark(before, after) if tag == "replace" else (((before or "", False),), ((after or "", False),))
        yield Row(
            left=None if before is None else Side(old_start + offset + 1, marked[0]),
            right=None if after is None else Side(new_start + offset + 1, marked[1]),
            changed=tag != "equal",
        )


def _mark(before: str | None, after: str | None) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """The two lines in pieces; lines with little in common are not marked word by word."""
    old, new = WORDS.findall(before or ""), WORDS.findall(after or "")
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    if matcher.ratio() < ALIKE:
        return ((before or "", False),), ((after or "", False),)
    codes = matcher.get_opcodes()
    left = tuple(("".join(old[i1:i2]), tag != "equal") for tag, i1, i2, _, _ in codes if i2 > i1)
    right = tuple(("".join(new[j1:j2]), tag != "equal") for tag, _, _, j1, j2 in codes if j2 > j1)
    return left, right
