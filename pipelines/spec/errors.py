"""What is wrong with a specification, where, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

MAX_ERRORS = 100  # nobody reads more, and a hostile text must not make us write more
MAX_TEXT = 400


@dataclass(frozen=True)
class SpecError:
    """One thing that is wrong. ``line`` and ``column`` count from 1 and are ``None`` where there is no text.

    ``step`` is the step's name, ``parameter`` the dotted path below it (``with`` parameters by their bare name, ports
    as ``inputs.<port>``) or the run parameter; ``hint`` says what would be right. Text values are never repeated.
    """

    message: str
    line: int | None = None
    column: int | None = None
    step: str = ""
    parameter: str = ""
    hint: str = ""

    def __str__(self) -> str:
        where = f"line {self.line}, column {self.column}: " if self.line else ""
        step = f"step {self.step!r}: " if self.step else ""
        return f"{where}{step}{self.message}" + (f" ({self.hint})" if self.hint else "")

    def as_dict(self) -> dict[str, Any]:
        """The error as JSON for an API answer."""
        return asdict(self)


def _readable(error: SpecError) -> SpecError:
    """The same error with names of absurd length cut."""
    message, step, parameter, hint = map(_cut, (error.message, error.step, error.parameter, error.hint))
    return replace(error, message=message, step=step, parameter=parameter, hint=hint)


def _cut(words: str) -> str:
    return words if len(words) <= MAX_TEXT else words[: MAX_TEXT - 1] + "…"


class SpecErrors(Exception):  # noqa: N818 - it carries many errors, which is the point of the name
    """Everything that is wrong with one specification (the first hundred), in the order of its lines."""

    def __init__(self, errors: Iterable[SpecError]) -> None:
        unique = dict.fromkeys(map(_readable, islice(errors, MAX_ERRORS)))
        self.errors = sorted(unique, key=lambda e: (e.line is None, e.line or 0, e.column or 0))
        super().__init__("\n".join(str(error) for error in self.errors))


def did_you_mean(wrong: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """A hint that names the nearest known name, or lists what there is (at most twelve)."""
    names = sorted(set(known))
    near = difflib.get_close_matches(wrong, names, n=1, cutoff=0.55) if len(wrong) <= 120 else []
    if near:
        return f"did you mean {near[0]!r}?"
    if not names:
        return otherwise
    return "there is " + ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
