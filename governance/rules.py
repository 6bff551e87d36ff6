"""The pure rules: what a gate says, who fills which seat, whether enough people are there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pydantic import ValidationError

from governance.policy import ApprovalStep, MetricRule, Requirement, part_name
from security.measurement import Measurement, Verdict, combine

P = TypeVar("P")
_WORST_FIRST = {Verdict.FAIL: 0, Verdict.INCONCLUSIVE: 1, Verdict.PASS: 2}


@dataclass(frozen=True)
class Seen:
    """One piece of evidence as rules see it; ``measurements`` as they are stored, ``uses`` the step that made it."""

    verdict: str
    made_at: datetime
    measurements: Sequence[Mapping[str, Any]] = ()
    uses: str = ""


@dataclass(frozen=True)
class Outcome:
    """What one rule said: the measurement that decides (the worst of ``of``; None: there is none) and why."""

    part: str
    rule: MetricRule
    verdict: Verdict
    measurement: Measurement | None
    of: int
    reason: str

    @property
    def asked(self) -> str:
        """The rule in words: ``at least 0.6, lower bound``."""
        rule = self.rule
        bound = {"value": "", "low": ", lower bound", "high": ", upper bound"}[rule.on]
        where = f" ({', '.join(f'{key} = {value}' for key, value in rule.slice.items())})" if rule.slice else ""
        return f"{rule.comparator.replace('-', ' ')} {rule.threshold:g}{bound}{where}"

    @property
    def blocks(self) -> bool:
        """Whether it shuts the gate."""
        return self.rule.severity == "block" and self.verdict is not Verdict.PASS

    @property
    def warns(self) -> bool:
        """Whether it is to be shown as a warning."""
        return self.rule.severity == "warn" and self.verdict is not Verdict.PASS


@dataclass(frozen=True)
class Assessed:
    """What a requirement says: ``broken`` names the parts that shut the gate, as a waiver would."""

    verdict: Verdict
    reason: str
    outcomes: tuple[Outcome, ...]
    broken: tuple[str, ...]


def assess(requirement: Requirement, seen: Sequence[Seen], now: datetime) -> Assessed:
    """What a requirement says to all the evidence of its kind.

    1. A result older than ``max_age_days`` that would pass is inconclusive; where existence is asked, it is not there.
    2. The requirement itself: ``gate_verdict``.
    3. Every rule over the measurements of every result of the checks that it speaks of; of a measurement that is not
       there, not finite, or without the interval whose bound is asked for, the rule is inconclusive. With
       ``subjects: any`` the rules look at one result only: one that passes with them, else one that passes by itself.
    4. The gate is the worst of the requirement and its blocking rules. Without any evidence there is nothing for a rule
       to look at, and the requirement alone speaks.
    """
    verdicts = _verdicts_of_their_age(requirement, seen, now)
    own = gate_verdict(requirement, [verdict for verdict in verdicts if verdict is not None])
    outcomes = _outcomes(requirement, seen, verdicts)
    blocking = [outcome for outcome in outcomes if outcome.blocks]
    broken = ([requirement.kind] if own is not Verdict.PASS else []) + [outcome.part for outcome in blocking]
    old = _too_old(requirement, seen, now)
    reasons = [gate_reason(requirement, [one.verdict for one in seen])]
    reasons += [f"{old} older than {requirement.max_age_days} days"] if old else []
    reasons += [f"{outcome.rule.id}: {outcome.reason}" for outcome in blocking]
    verdict = combine([own, *(outcome.verdict for outcome in blocking)])
    return Assessed(verdict, "; ".join(reasons), outcomes, tuple(broken))


def judge_rule(kind: str, rule: MetricRule, results: Sequence[Seen]) -> Outcome | None:
    """What a rule says to the results that it speaks of, each of which must have the measurement; None without any."""
    meant = [one for one in results if not rule.checks or one.uses.partition("@")[0] in rule.checks]
    if not meant:
        return None
    matching = [[one for raw in result.measurements if (one := _matching(rule, raw))] for result in meant]
    judged = [(rule.limit.judge(one), one) for found in matching for one in found]
    verdicts = [verdict for verdict, _ in judged] + [Verdict.INCONCLUSIVE for found in matching if not found]
    verdict = combine(verdicts)
    worst = min(judged, key=lambda pair: (_WORST_FIRST[pair[0]], _margin(rule, pair[1])), default=None)
    if any(not found for found in matching) and verdict is not Verdict.FAIL:
        return Outcome(part_name(kind, rule), rule, verdict, None, len(judged), f"{rule.metric} was not measured")
    found = worst[1] if worst else None
    return Outcome(part_name(kind, rule), rule, verdict, found, len(judged), _said(rule, found))


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


def _verdicts_of_their_age(requirement: Requirement, seen: Sequence[Seen], now: datetime) -> list[str | None]:
    """The verdicts in their order; one that is too old is taken back, unless it is bad news (None: does not count)."""
    old = None if requirement.must == "exist" else Verdict.INCONCLUSIVE.value
    return [old if _is_old(requirement, one, now) and one.verdict != Verdict.FAIL else one.verdict for one in seen]


def _too_old(requirement: Requirement, seen: Sequence[Seen], now: datetime) -> int:
    return sum(_is_old(requirement, one, now) for one in seen)


def _is_old(requirement: Requirement, one: Seen, now: datetime) -> bool:
    days = requirement.max_age_days
    return days is not None and now - one.made_at > timedelta(days=days)


def _outcomes(requirement: Requirement, seen: Sequence[Seen], verdicts: Sequence[str | None]) -> tuple[Outcome, ...]:
    if not seen or not requirement.rules:
        return ()
    if requirement.subjects == "every":
        return _said_by_all(requirement, seen)
    good = [one for one, verdict in zip(seen, verdicts, strict=True) if verdict == Verdict.PASS.value] or seen
    tried = [_said_by_all(requirement, [one]) for one in good]
    return next((one for one in tried if not any(outcome.blocks for outcome in one)), tried[0])


def _said_by_all(requirement: Requirement, seen: Sequence[Seen]) -> tuple[Outcome, ...]:
    found = (judge_rule(requirement.kind, rule, seen) for rule in requirement.rules)
    return tuple(outcome for outcome in found if outcome is not None)


def _matching(rule: MetricRule, raw: Mapping[str, Any]) -> Measurement | None:
    """The measurement, if it is one and the rule speaks of it."""
    if raw.get("name") != rule.metric or (rule.slice is not None and raw.get("slice") != rule.slice):
        return None
    try:
        return Measurement.model_validate(raw)
    except ValidationError:
        return None


def _number(rule: MetricRule, one: Measurement) -> float | None:
    """The figure that the rule compares."""
    if rule.on == "value" or one.value is None:
        return one.value
    return getattr(one.interval, rule.on, None)


def _margin(rule: MetricRule, one: Measurement) -> float:
    """How far inside the rule it is; negative where it breaks it."""
    number = _number(rule, one)
    if number is None:
        return 0.0
    return number - rule.threshold if rule.comparator == "at-least" else rule.threshold - number


def _said(rule: MetricRule, one: Measurement | None) -> str:
    """``lower bound of roc_auc 0.58, at least 0.6 is asked``."""
    number = _number(rule, one) if one else None
    if one is None or one.value is None:
        return f"{rule.metric} was not measured"
    if number is None:
        return f"{rule.metric} has no interval"
    bound = {"value": "", "low": "lower bound of ", "high": "upper bound of "}[rule.on]
    where = f" ({', '.join(f'{key} {value}' for key, value in one.slice.items())})" if one.slice else ""
    return f"{bound}{rule.metric}{where} {number:.3g}, {rule.comparator.replace('-', ' ')} {rule.threshold:g} is asked"
