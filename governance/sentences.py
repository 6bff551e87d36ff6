"""The sentence a model version is decided by. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from governance.policy import Policy
from governance.selectors.evidence import Gate
from security.measurement import Verdict, combine

PARTS = {"model": "the model", "data": "the data", "evidence": "the evidence", "policy": "the policy"}


@dataclass(frozen=True)
class Sentence:
    """A verdict (``Verdict`` or empty: not decided), one sentence, and what it rests on."""

    verdict: str
    headline: str
    parts: tuple[str, ...]


def gates_text(gates: Sequence[Gate]) -> str:
    """``7 of 9 gates pass``."""
    return f"{sum(gate.ok for gate in gates)} of {len(gates)} gates pass"


def gates_parts(gates: Iterable[Gate]) -> tuple[str, ...]:
    """The gates that do not pass, by what they say: ``fails: fairness metrics``."""
    words = {Verdict.FAIL: "fails", Verdict.INCONCLUSIVE: "inconclusive"}
    found = []
    for verdict, word in words.items():
        here = [gate for gate in gates if gate.verdict is verdict]
        there, missing = [g for g in here if g.present], [g for g in here if not g.present]
        found += [f"{word}: {_kinds(there)}"] if there else []
        found += [f"missing: {_kinds(missing)}"] if missing else []
    return tuple(found)


def reason(gate: Gate) -> str:
    """What was found for a gate, in a clause; where existence is all that is asked, that it is there."""
    return "on record" if gate.must == "exist" and gate.present else gate.reason


def needed(policy: Policy) -> str:
    """Who must sign: ``1 validator and 1 risk officer``."""
    return " and ".join(
        f"{step.people} {step.role.replace('-', ' ')}{'' if step.people == 1 else 's'}" for step in policy.approvals
    )


def signatures(count: int) -> str:
    """``1 signature``, ``2 signatures``."""
    return f"{count} signature{'' if count == 1 else 's'}"


def undecided(gates: Sequence[Gate], open_seats: int, *, submitted: bool) -> Sentence:
    """Of a version in review, or not submitted yet."""
    verdict = combine(gate.verdict for gate in gates)
    if submitted:
        rest = f"approval needs {signatures(open_seats)} more" if open_seats else "every signature is there"
        if verdict is not Verdict.PASS:
            rest = f"it cannot be approved as it stands; {rest}"
    else:
        rest = f"not submitted for review; approval will need {signatures(open_seats)}"
    return Sentence("" if verdict is Verdict.PASS else str(verdict), f"{gates_text(gates)}; {rest}", gates_parts(gates))


def held(status: str, until: datetime, gates: Sequence[Gate], changed: Sequence[str], reason: str = "") -> Sentence:
    """Of a version that has been approved, by the status of its approval (``selectors.approvals.statuses``)."""
    day = f"{until.astimezone(UTC):%d %B %Y}".lstrip("0")
    sentence = {
        "active": (Verdict.PASS, f"Approved until {day}; {gates_text(gates)}"),
        "void": (Verdict.FAIL, f"The approval no longer holds: {changes(changed)} changed after it was signed"),
        "suspended": (Verdict.FAIL, "The approval is suspended; it does not hold until it is reinstated"),
        "superseded": (Verdict.INCONCLUSIVE, "Superseded by a newer approval of this model"),
        "revoked": (Verdict.FAIL, "The approval was revoked"),
        "expired": (Verdict.FAIL, f"The approval ran out on {day}"),
    }[status]
    parts = (*([f"reason: {reason}"] if reason else []), *gates_parts(gates))
    return Sentence(str(sentence[0]), sentence[1], parts)


def closed(state: str, gates: Sequence[Gate], changed: Sequence[str]) -> Sentence:
    """Of a review that ended without an approval."""
    verdict, words = {
        "rejected": (str(Verdict.FAIL), "Rejected"),
        "superseded": (str(Verdict.INCONCLUSIVE), f"Superseded: {changes(changed)} changed after it was submitted"),
        "withdrawn": ("", "Withdrawn before it was decided"),
        "lapsed": (str(Verdict.INCONCLUSIVE), "Lapsed: nobody decided before its deadline"),
        "changes-requested": (str(Verdict.INCONCLUSIVE), "Changes were asked for; it must be submitted again"),
    }.get(state, ("", state.replace("-", " ").capitalize()))
    return Sentence(verdict, f"{words}; {gates_text(gates)}", gates_parts(gates))


def changes(parts: Sequence[str]) -> str:
    """``the data and the evidence``."""
    return " and ".join(PARTS.get(part, part) for part in parts) or "something"


def _kinds(gates: Iterable[Gate]) -> str:
    return ", ".join(gate.kind.replace("_", " ") for gate in gates)
