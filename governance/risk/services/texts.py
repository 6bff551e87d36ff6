"""What people write in their own words: checked for what no text holds, never changed otherwise."""

from __future__ import annotations

from security.errors import InvalidError

MAX_TEXT = 5000
MAX_LINE = 200


def text(given: str, field: str, *, required: bool = True, longest: int = MAX_TEXT) -> str:
    """The text without white space around it. Raises InvalidError: empty, too long, or with a NUL character."""
    cleaned = given.strip()
    if required and not cleaned:
        raise InvalidError("Write this in your own words: whoever reads it later has nothing else.", field=field)
    if len(cleaned) > longest:
        raise InvalidError(f"At most {longest:,} characters, please; this has {len(cleaned):,}.", field=field)
    if "\x00" in cleaned:
        raise InvalidError("The text holds a NUL character, which no text has.", field=field)
    return cleaned


def line(given: str, field: str) -> str:
    """A text that is one line of at most 200 characters."""
    return " ".join(text(given, field, longest=MAX_LINE).split())
