"""What a check says: measurements with intervals, thresholds on them, and a verdict.

Empty, unknown or missing never passes: a threshold on a measurement that does not exist, is not finite, or has no
interval where one is asked for gives INCONCLUSIVE, and a gate accepts PASS only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Verdict(StrEnum):
    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Interval(BaseModel):
    """A confidence interval: ``low`` and ``high`` in the measurement's unit, ``level`` as a fraction (0.95)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    high: float
    level: float = Field(default=0.95, gt=0, lt=1)
    method: str = ""


class Measurement(BaseModel):
    """One number a check measured.

    ``unit``: ``"fraction"``, ``"rows"``, ``"nats"``, ``"seconds"`` ...; ``direction``: which way is better;
    ``n``: how many observations it rests on; ``slice``: the group it was measured on (column → value), empty for all.
    A value that could not be computed is ``None`` with the reason in ``note``; NaN and infinity are refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=120)
    value: float | None
    unit: str = "fraction"
    direction: Literal["higher_is_better", "lower_is_better", "none"] = "none"
    n: int = Field(ge=0)
    interval: Interval | None = None
    slice: dict[str, str] = Field(default_factory=dict)
    note: str = ""

    @model_validator(mode="after")
    def _finite(self) -> Self:
        for number in (self.value, *((self.interval.low, self.interval.high) if self.interval else ())):
            if number is not None and not math.isfinite(number):
                raise ValueError(f"measurement {self.name!r}: {number!r} is not a finite number; use None and a note")
        return self


class Threshold(BaseModel):
    """A rule on a measurement, as written in a spec or a policy: ``{metric: accuracy, min: 0.9, on: low}``.

    ``on`` chooses the point estimate or an interval bound; every measurement of that name must satisfy the rule,
    over all its slices unless ``slice`` names one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str = Field(min_length=1, max_length=120, description="name of the measurement")
    min: float | None = Field(default=None, description="smallest value that passes")
    max: float | None = Field(default=None, description="largest value that passes")
    on: Literal["value", "low", "high"] = Field(default="value", description="point estimate or interval bound")
    slice: dict[str, str] | None = Field(default=None, description="only this group (column to value)")
    min_n: int = Field(default=1, ge=1, description="fewer observations than this are inconclusive")

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a threshold needs min, max or both")
        return self

    def judge(self, measurement: Measurement) -> Verdict:
        """The verdict of this rule on one measurement of the right name."""
        if measurement.value is None or measurement.n < self.min_n:
            return Verdict.INCONCLUSIVE
        if self.on == "value":
            number = measurement.value
        elif measurement.interval is None:
            return Verdict.INCONCLUSIVE
        else:
            number = measurement.interval.low if self.on == "low" else measurement.interval.high
        inside = (self.min is None or number >= self.min) and (self.max is None or number <= self.max)
        return Verdict.PASS if inside else Verdict.FAIL


def judge(measurements: Sequence[Measurement], thresholds: Iterable[Threshold]) -> Verdict:
    """All thresholds over all measurements: FAIL if any fails, PASS only if there is at least one and all pass."""
    verdicts: list[Verdict] = []
    for rule in thresholds:
        matching = [m for m in measurements if m.name == rule.metric and (rule.slice is None or m.slice == rule.slice)]
        verdicts.extend(rule.judge(m) for m in matching)
        if not matching:
            verdicts.append(Verdict.INCONCLUSIVE)
    return combine(verdicts)


def combine(verdicts: Iterable[Verdict]) -> Verdict:
    """FAIL beats INCONCLUSIVE beats PASS; nothing at all is INCONCLUSIVE."""
    seen = set(verdicts)
    if Verdict.FAIL in seen:
        return Verdict.FAIL
    return Verdict.PASS if seen == {Verdict.PASS} else Verdict.INCONCLUSIVE
