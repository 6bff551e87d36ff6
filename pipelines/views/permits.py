"""Whether this reader may do something here, and if not, why not and who can: for buttons that explain themselves."""

from __future__ import annotations

from dataclasses import dataclass

from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.identity.models import User


@dataclass(frozen=True)
class Permit:
    """``why_not`` is empty exactly when the action is allowed. True in a template's ``if`` when allowed."""

    why_not: str = ""

    def __bool__(self) -> bool:
        return not self.why_not


def permit(user: User, action: Action, system: AISystem) -> Permit:
    """The answer of the access table, with its reason."""
    return Permit() if access.allowed(user, action, system) else Permit(access.denial(user, action, system))
