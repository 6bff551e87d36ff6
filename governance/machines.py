"""What can happen to a review, to a grant (the approval that it issued) and to a condition of it, as data. Pure.

One machine is a table of (state, event) → state. Whatever is not in the table cannot happen. Services apply it under a
row lock and move the row only from the very version that they read (``governance.services.moves``).

What depends on the clock or on digests alone is not stored by these machines but computed at every read: that an open
review has ``lapsed`` or is ``superseded``, that a grant is ``expired``, ``superseded`` by a newer one, ``void`` because
what was signed has changed, or ``suspended`` by a condition that is overdue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from security.errors import ConflictError


class RequestEvent(StrEnum):
    APPROVE = "approve"
    APPROVE_WITH_CONDITIONS = "approve-with-conditions"
    REJECT = "reject"
    REQUEST_CHANGES = "request-changes"
    RESUBMIT = "resubmit"
    WITHDRAW = "withdraw"
    DEADLINE = "deadline"
    SUBJECT_CHANGED = "subject-changed"


class GrantEvent(StrEnum):
    SUSPEND = "suspend"
    REINSTATE = "reinstate"
    REVOKE = "revoke"


class ConditionEvent(StrEnum):
    REPORT = "report"
    RETURN = "return"
    CONFIRM = "confirm"


@dataclass(frozen=True)
class Machine:
    """The states of one kind of thing, and what leads from which to which. ``noun``: what a refusal calls it."""

    noun: str
    initial: str
    moves: Mapping[tuple[str, str], str]

    @property
    def states(self) -> tuple[str, ...]:
        """Every state, the initial one first."""
        return tuple(dict.fromkeys([self.initial, *(state for state, _ in self.moves), *self.moves.values()]))

    @property
    def terminal(self) -> tuple[str, ...]:
        """The states that nothing leads out of."""
        return tuple(state for state in self.states if not self.events(state))

    def events(self, state: str) -> tuple[str, ...]:
        """What can happen in a state."""
        return tuple(event for before, event in self.moves if before == state)

    def after(self, state: str, event: str) -> str:
        """The state that ``event`` leads to. Raises ConflictError where the table has no such move."""
        try:
            return self.moves[state, event]
        except KeyError:
            raise ConflictError(self._refusal(state, event)) from None

    def _refusal(self, state: str, event: str) -> str:
        written, can = state.replace("-", " "), ", ".join(self.events(state)).replace("-", " ")
        rest = f"what can happen to it now: {can}" if can else "that is final"
        return f"This {self.noun} is {written} already, so “{event.replace('-', ' ')}” is not possible; {rest}."


def _moves(*rows: tuple[Iterable[str], str, str]) -> dict[tuple[str, str], str]:
    return {(state, event): target for states, event, target in rows for state in states}


_PENDING = ("in-review", "changes-requested")

REQUEST = Machine(
    "review",
    "in-review",
    _moves(
        (["in-review"], RequestEvent.APPROVE, "approved"),
        (["in-review"], RequestEvent.APPROVE_WITH_CONDITIONS, "approved-with-conditions"),
        (["in-review"], RequestEvent.REJECT, "rejected"),
        (["in-review"], RequestEvent.REQUEST_CHANGES, "changes-requested"),
        (["changes-requested"], RequestEvent.RESUBMIT, "superseded"),
        (_PENDING, RequestEvent.WITHDRAW, "withdrawn"),
        (_PENDING, RequestEvent.DEADLINE, "lapsed"),
        (_PENDING, RequestEvent.SUBJECT_CHANGED, "superseded"),
    ),
)
GRANT = Machine(
    "approval",
    "active",
    _moves(
        (["active"], GrantEvent.SUSPEND, "suspended"),
        (["suspended"], GrantEvent.REINSTATE, "active"),
        (["active", "suspended"], GrantEvent.REVOKE, "revoked"),
    ),
)
CONDITION = Machine(
    "condition",
    "open",
    _moves(
        (["open"], ConditionEvent.REPORT, "reported"),
        (["reported"], ConditionEvent.RETURN, "open"),
        (["reported"], ConditionEvent.CONFIRM, "met"),
    ),
)
