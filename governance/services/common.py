"""What every service of the third floor asks first: may this person know of it, and is their text a text."""

from __future__ import annotations

from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.errors import InvalidError, MissingError
from security.identity.models import User

MAX_TEXT = 5000


def must_see(acting_user: User, system: AISystem, noun: str = "review") -> None:
    """What somebody may not view does not exist for them. Raises MissingError."""
    if not access.allowed(acting_user, Action.VIEW, system):
        raise MissingError(f"There is no such {noun}, or you have no role in its system.")


def text(given: str, field: str, *, required: bool = True, limit: int = MAX_TEXT) -> str:
    """The text without white space around it. Raises InvalidError for one that is empty, too long or no text."""
    cleaned = given.strip()
    if required and not cleaned:
        raise InvalidError("A signature needs a reason, in your own words.", field=field)
    if len(cleaned) > limit:
        raise InvalidError(f"At most {limit:,} characters, please; this has {len(cleaned):,}.", field=field)
    if "\x00" in cleaned:
        raise InvalidError("The text holds a NUL character, which no text has.", field=field)
    return cleaned
