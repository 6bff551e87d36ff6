"""What evidence, a person's word and a crosswalk make of a control. Pure: nothing here is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from governance.frameworks.airmf import OutcomeLike, state_of

State = Literal["satisfied", "partial", "needs-attestation", "missing", "not-applicable"]
STATES: tuple[State, ...] = ("satisfied", "partial", "needs-attestation", "missing", "not-applicable")
# kind of evidence → whether all results of that kind pass; what is not there is not in it
Standing = Mapping[str, bool]
MET, NOT_APPLICABLE = "met", "not-applicable"


def judged(control: OutcomeLike, standing: Standing, word: str = "") -> State:
    """The state of one control; ``word`` is what a person has signed on it: ``met``, ``not-applicable`` or nothing.

    1. What a person signed as not applicable is not asked for.
    2. A result that does not pass leaves it partial, whatever anybody signs.
    3. Passing evidence of a kind that goes all the way, where no word is needed: satisfied.
    4. A word satisfies where one is needed, whether or not evidence passes beside it.
    5. Where evidence could show it and does not, a word alone makes it partial.
    """
    if word == NOT_APPLICABLE:
        return "not-applicable"
    verdicts = ["pass" if standing[kind] else "fail" for kind in control.evidence if kind in standing]
    bare = state_of(control, verdicts)
    if bare == "supported":
        return "satisfied"
    if word == MET and bare in ("missing", "needs-attestation"):
        return "satisfied" if control.attestation or not control.evidence else "partial"
    return bare


def together(states: Iterable[State]) -> State:
    """The state for a system from those for its models: theirs where they agree, else partial; of none: missing."""
    seen = set(states)
    if not seen:
        return "missing"
    return seen.pop() if len(seen) == 1 else "partial"


def through(own: State, sources: Iterable[State], *, full: bool) -> State:
    """The state of a control that nothing of its own speaks for, by the sources that a crosswalk names for it.

    ``full``: the sources, taken together, stand for the control, so all of them satisfied satisfy it. Otherwise, and
    where only some are, they make it partial at most. Sources that do not apply count for nothing.
    """
    counted = [state for state in sources if state != "not-applicable"]
    if full and counted and all(state == "satisfied" for state in counted):
        return "satisfied"
    return "partial" if any(state in ("satisfied", "partial") for state in counted) else own
