"""Finds a row's own identity in its free text: the name, number or address that stands in another column of the row.

No model is needed for it, and none is as sure: a note about Jane Doe says Jane, DOE, jane@... or her number written
with other dashes. Words of a name are found wherever they stand alone, so a note on Mr Will May loses every "will".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache

from security.privacy.spans import Span

# Above any recogniser's score: where both find a span, the column's name is the surer label.
SCORE = 2.0
_TITLES = frozenset({"mr", "mrs", "ms", "miss", "dr", "prof", "jr", "sr", "ii", "iii", "iv", "md", "phd", "dds", "dvm"})
_EXTENSION = re.compile(r"(?:x|ext\.?)\s*\d+\s*$", re.IGNORECASE)
_FEWEST_DIGITS = 7
_DIGITS = frozenset("0123456789")
_BETWEEN = frozenset("0123456789 \u00a0\t().-–/")
_LEAD = re.compile(r"(?:\+\d{1,3}[ .-]?|(?<!\d)1[ .-]?)?\(?$")


def fold(text: str) -> str:
    """``text`` without case and accents, character by character, so that positions stay the same."""
    if text.isascii():
        return text.lower()
    return "".join((unicodedata.normalize("NFKD", character).casefold() or character)[0] for character in text)


def find_identity(text: str, identity: Mapping[str, str | None], *, parts: bool = True) -> list[Span]:
    """Spans of ``text`` that show a value of ``identity`` (column → value), labelled with the column's name.

    With ``parts`` each word of a name and the part before an e-mail's @ count as well; without, whole values only.
    """
    if not identity:
        return []
    folded = fold(text)
    positions = [index for index, character in enumerate(text) if character in _DIGITS]
    digits = "".join(text[index] for index in positions)
    return [
        Span(start, end, label(column), SCORE)
        for column, value in identity.items()
        if value
        for form in _forms(value, parts)
        for start, end in (_numbers(form, folded, digits, positions) if form.isdigit() else _words(form, folded))
    ]


def _words(form: str, folded: str) -> Iterator[tuple[int, int]]:
    """Where ``form`` stands alone: no letter or digit touches it."""
    start = folded.find(form)
    while start >= 0:
        end = start + len(form)
        if not (folded[start - 1 : start].isalnum() or folded[end : end + 1].isalnum()):
            yield start, end
        start = folded.find(form, start + 1)


def _numbers(form: str, folded: str, digits: str, positions: list[int]) -> Iterator[tuple[int, int]]:
    """Where the digits of ``form`` follow each other with separators only between; a country code is included."""
    at = digits.find(form)
    while at >= 0:
        first, last = positions[at], positions[at + len(form) - 1]
        if all(character in _BETWEEN for character in folded[first:last]) and not folded[last + 1 : last + 2].isdigit():
            lead = _LEAD.search(folded[max(first - 8, 0) : first])
            yield first - (len(lead.group()) if lead else 0), last + 1
        at = digits.find(form, at + 1)


def label(column: str) -> str:
    """The name written in place of a column's value: upper case, underscores."""
    return re.sub(r"\W+", "_", column).strip("_").upper() or "IDENTITY"


@lru_cache(maxsize=10_000)
def _forms(value: str, parts: bool) -> tuple[str, ...]:
    """What to look for: the digits of a number, or the folded value and its words."""
    value = fold(value.strip())
    bare = _EXTENSION.sub("", value)
    digits = re.sub(r"[^0-9]", "", bare)
    if len(digits) >= _FEWEST_DIGITS and not re.search(r"[a-z]", bare):
        return (digits[-10:] if 10 < len(digits) < 13 else digits,)
    if len(value) < 2:
        return ()
    return tuple(dict.fromkeys([value, *(_parts(value) if parts else ())]))


def _parts(value: str) -> list[str]:
    if "@" in value:
        local = value.partition("@")[0]
        return [local] if len(local) >= 4 else []
    cleaned = [piece.strip(".,;") for piece in [*value.split(), *re.split(r"[\W_]+", value)]]
    return [piece for piece in cleaned if len(piece) >= 2 and piece not in _TITLES and not piece.isdigit()]
