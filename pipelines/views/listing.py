"""A text with line numbers and the errors at their lines, long stretches without any folded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

CONTEXT_LINES = 4


@dataclass
class Line:
    """One line, or ``folded`` lines that are left out. ``errors`` are as ``SpecError.as_dict`` gives them."""

    number: int = 0
    text: str = ""
    folded: int = 0
    errors: list[Mapping[str, Any]] = field(default_factory=list)


def listing(text: str, errors: Iterable[Mapping[str, Any]] = ()) -> list[Line]:
    """The lines of ``text``; with errors only those near one. An error without a place stands at the first line."""
    lines = [Line(number, content) for number, content in enumerate(text.split("\n"), 1)]
    placed = list(errors)
    for error in placed:
        at = min(max(error.get("line") or 1, 1), len(lines))
        lines[at - 1].errors.append(error)
    return _folded(lines) if placed else lines


def _folded(lines: list[Line]) -> list[Line]:
    """Only lines near an error, and how many are left out between them."""
    wrong = [line.number for line in lines if line.errors]
    near = {number for middle in wrong for number in range(middle - CONTEXT_LINES, middle + CONTEXT_LINES + 1)}
    kept: list[Line] = []
    for line in lines:
        if line.number in near:
            kept.append(line)
        elif kept and kept[-1].folded:
            kept[-1].folded += 1
        else:
            kept.append(Line(folded=1))
    return kept
