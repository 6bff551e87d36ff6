"""Text that people wrote, made safe to look at: what would show as nothing, or turn a line around, is named instead.

``⟨U+202E⟩`` stands for a character that cannot be shown. The exact text is in the facts of the document.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

_PLAIN = ("\n", "\t")
_JOINERS = ("\u200c", "\u200d")  # scripts need them to join letters
_BREAK_AFTER = 24  # a word is longer than that: a digest, an address, or an attack on the layout
_ZERO_WIDTH_SPACE = "\u200b"
# What the fonts that come with Typst can show: Latin, Greek, Cyrillic, Armenian, Georgian, punctuation, symbols.
# tests/governance/documents/test_pdf.py sets every one of them.
_FONTS = """
20-7E A0-AC AE-377 37A-37F 384-38A 38C 38E-3A1 3A3-4FF 531-556 559-58A 10D0-10FF 1E00-1EFF 2010-2027 2030-2040
2044-2052 2054-205E 2070-2071 2074-208E 2090-209C 20A0-20C0 2100-211E 2120 2122 2126-2151 2153-2184 2190-23FF 2460-2606
2610-262F 2638-268B 2701-2704 2706-2709 270C-2714 2717-2726 27E6-27EF 27F0-27FF 2A00-2AFF FB00-FB06 FFFD
"""


def _covered() -> frozenset[int]:
    found: set[int] = set()
    for part in _FONTS.split():
        first, _, last = part.partition("-")
        found |= set(range(int(first, 16), int(last or first, 16) + 1))
    return frozenset(found)


COVERED = _covered()


def for_screen(text: str) -> str:
    """Controls, marks that turn the direction of writing, and halves of characters by their numbers."""
    return text if text.isascii() and text.isprintable() else "".join(_on_screen(one) for one in text)


def for_paper(text: str) -> str:
    """What the fonts of a PDF cannot show by its number; long words get places to break at."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(one if ord(one) in COVERED or one == "\n" else _named(one) for one in text.replace("\t", " "))
    return " ".join(_breakable(word) for word in text.split(" "))


def everywhere(value: Any, change: Callable[[str], str]) -> Any:
    """A JSON value with ``change`` done to every text in it that is not the name of a member."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: everywhere(one, change) for name, one in value.items()}
    if isinstance(value, list):
        return [everywhere(one, change) for one in value]
    return value


def _on_screen(one: str) -> str:
    if one in _PLAIN or one in _JOINERS:
        return one
    return _named(one) if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp") else one


def _named(one: str) -> str:
    return f"⟨U+{ord(one):04X}⟩"


def _breakable(word: str) -> str:
    if len(word) <= _BREAK_AFTER:
        return word
    pieces = [word[at : at + _BREAK_AFTER // 2] for at in range(0, len(word), _BREAK_AFTER // 2)]
    return _ZERO_WIDTH_SPACE.join(pieces)
