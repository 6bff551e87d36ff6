"""The pure rules: what a gate says, who fills which seat, whether enough people are there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from governance.policy import ApprovalStep, Requirement
from security.measurement import Verdict, combine

P = TypeVar("P")


def gate_verdict(requirement: Requirement, verdicts: Sequence[str]) -> Verdict:
    """What a requirement says to the verdicts of all the evidence of its kind.

    1. No evidence passes only where the policy asks for evidence that need not exist.
    2. ``exist`` asks for its existence alone.
    3. Otherwise every result must pass, or with ``subjects: any`` one of them; an unknown verdict is inconclusive.
    """
    if not verdicts:
        return Verdict.PASS if requirement.must == "pass-if-present" else Verdict.INCONCLUSIVE
    if requirement.must == "exist":
        return Verdict.PASS
    known = [_verdict(verdict) for verdict in verdicts]
    if requirement.subjects == "any" and Verdict.PASS in known:
        return Verdict.PASS
    return combine(known)


def gate_reason(requirement: Requirement, verdicts: Sequence[str]) -> str:
    """One clause for a person: what was found."""
    kind = requirement.kind.replace("_", " ")
    if not verdicts:
        return f"no {kind}, and none is required" if requirement.must == "pass-if-present" else f"no {kind} exists"
    counts = {verdict: list(verdicts).count(verdict) for verdict in dict.fromkeys(verdicts)}
    return ", ".join(f"{count} {verdict or 'without a verdict'}" for verdict, count in counts.items())


def enough_people(steps: Iterable[ApprovalStep], eligible: Mapping[str, Collection[P]]) -> bool:
    """Whether every seat can be given to a different person (a bipartite matching by augmenting paths)."""
    seats = [step.role for step in steps for _ in range(step.people)]
    sitting: dict[P, int] = {}

    def seat(number: int, asked: set[P]) -> bool:
        for person in eligible.get(seats[number], ()):
            if person in asked:
                continue
            asked.add(person)
            if person not in sitting or seat(sitting[person], asked):
                sitting[person] = number
                return True
        return False

    return all(seat(number, set()) for number in range(len(seats)))


def _verdict(text: str) -> Verdict:
    try:
        return Verdict(text)
    except ValueError:
        return Verdict.INCONCLUSIVE
