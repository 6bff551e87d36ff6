"""What a policy is: the evidence that must exist, rules on its measurements, approvals that are needed. Pure.

The built-in policies are the YAML files in ``governance/policies``; a published one is a ``PolicyVersion``. Format 1 is
what was published before rules on measurements, ages, conditions and waivers existed: it is read as it always was, and
its digest stays what it was.
"""

from __future__ import annotations

from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.spec.loading import parse
from security.canonical import digest_of
from security.measurement import Threshold

Tier = Literal["high", "medium", "low"]
TIERS: tuple[Tier, ...] = ("high", "medium", "low")
BUILTIN = (*TIERS, "financial-model-risk")
FORMAT = 2
_FOLDER = Path(__file__).parent / "policies"
_FORMAT_1 = {"tier", "title", "why", "validity_days", "evidence", "approvals"}
_FORMAT_1_EVIDENCE = {"kind", "must", "subjects", "question", "why"}
_NAME = r"^[a-z][a-z0-9-]{0,39}$"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MetricRule(_Strict):
    """A rule on one measurement of a kind of evidence.

    ``checks``: only results of these steps (``evaluate.classification``), since a regression has no ROC AUC; where
    there is none of them the rule says nothing, and without any named it speaks of every result of the kind.
    ``slice``: the group it speaks of (column → value); without one, every measurement of that name must satisfy it.
    ``on``: the point estimate, or the ``low`` or ``high`` bound of its interval. ``severity``: a ``warn`` is shown and
    shuts no gate. ``id`` is unique in the policy; waivers name it.
    """

    id: str = Field(pattern=_NAME)
    checks: tuple[str, ...] = ()
    metric: str = Field(min_length=1, max_length=120)
    slice: dict[str, str] | None = None
    comparator: Literal["at-least", "at-most"]
    threshold: float = Field(allow_inf_nan=False)
    on: Literal["value", "low", "high"] = "value"
    severity: Literal["block", "warn"] = "block"
    why: str

    @cached_property
    def limit(self) -> Threshold:
        """The rule as measurements are judged by."""
        bound = {"min" if self.comparator == "at-least" else "max": self.threshold}
        return Threshold(metric=self.metric, slice=self.slice, on=self.on, **bound)


class Requirement(_Strict):
    """One kind of evidence. ``must``: ``pass`` (exists and passes), ``exist`` (any verdict), ``pass-if-present``.

    ``subjects``: ``every`` result on the model and on what lies upstream of it must pass, or ``any`` one of them.
    ``max_age_days``: an older result says nothing any more. ``rules``: what its measurements must satisfy besides.
    """

    kind: str = Field(pattern=r"^[a-z][a-z_]*$")
    must: Literal["pass", "exist", "pass-if-present"]
    subjects: Literal["every", "any"] = "every"
    max_age_days: int | None = Field(default=None, ge=1, le=3650)
    rules: tuple[MetricRule, ...] = ()
    question: str
    why: str

    @property
    def parts(self) -> tuple[str, ...]:
        """What a waiver can name: the requirement itself (its kind), and each of its blocking rules."""
        return (self.kind, *(part_name(self.kind, rule) for rule in self.rules if rule.severity == "block"))


class ApprovalStep(_Strict):
    """``people`` distinct persons must approve in ``role``."""

    role: Literal["validator", "risk-officer"]
    people: int = Field(ge=1, le=9)
    why: str


class StandingCondition(_Strict):
    """Something that every approval under the policy obliges to, within ``days`` of its issue."""

    text: str = Field(min_length=1, max_length=500)
    days: int = Field(ge=1, le=3650)


class WaiverLimits(_Strict):
    """How long a waiver may last, and how often one may be renewed."""

    max_days: int = Field(ge=1, le=3650)
    renewals: int = Field(ge=0, le=9)


class TierLimits(_Strict):
    """The most that a policy of a tier may allow (``governance/policies/limits.yaml``)."""

    validity_days: int = Field(ge=1)
    waiver_days: int = Field(ge=0)
    waiver_renewals: int = Field(ge=0)


class Policy(_Strict):
    """The rules of one tier, or of one use within it.

    ``name``: that of the tier for its own policy, another for one that is assigned to systems by their use.
    ``validity_days``: how long an approval holds; ``deadline_days``: how long a review may stay open (None: any time);
    ``waivers``: None where no rule can be waived.
    """

    format: Literal[1, 2] = 1
    name: str = Field(default="", pattern=r"^$|" + _NAME)
    tier: Tier
    title: str
    why: str
    validity_days: int = Field(ge=1, le=3650)
    deadline_days: int | None = Field(default=None, ge=1, le=3650)
    conditions: tuple[StandingCondition, ...] = Field(default=(), max_length=20)
    waivers: WaiverLimits | None = None
    evidence: tuple[Requirement, ...] = Field(min_length=1)
    approvals: tuple[ApprovalStep, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _no_repetition(self) -> Self:
        for name, values in (
            ("evidence kind", [r.kind for r in self.evidence]),
            ("rule id", [rule.id for r in self.evidence for rule in r.rules]),
            ("role", [s.role for s in self.approvals]),
        ):
            if len(values) != len(set(values)):
                raise ValueError(f"the {self.key} policy names the same {name} twice")
        return self

    @model_validator(mode="after")
    def _format(self) -> Self:
        if self.format == 1:
            extra = [r for r in self.evidence if r.rules or r.max_age_days is not None]
            if self.name or self.deadline_days or self.conditions or self.waivers or extra:
                raise ValueError(f"a policy that says more than format 1 could says format: {FORMAT}")
        elif not self.name:
            raise ValueError("a policy has a name: that of its tier, or one of its own")
        elif self.name in TIERS and self.name != self.tier:
            raise ValueError(f"the policy named {self.name} is that of the tier {self.name}, not of {self.tier}")
        return self

    @property
    def key(self) -> str:
        """The name that versions of the policy have in common."""
        return self.name or self.tier

    def content(self) -> dict[str, Any]:
        """The JSON that is published and digested."""
        whole = self.model_dump(mode="json")
        if self.format == FORMAT:
            return whole
        evidence = [{name: row[name] for name in row if name in _FORMAT_1_EVIDENCE} for row in whole["evidence"]]
        return {name: whole[name] for name in whole if name in _FORMAT_1} | {"evidence": evidence}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical content."""
        return digest_of(self.content())

    @cached_property
    def measured_kinds(self) -> frozenset[str]:
        """The kinds of evidence whose measurements a rule looks at."""
        return frozenset(requirement.kind for requirement in self.evidence if requirement.rules)

    def parts(self) -> tuple[str, ...]:
        """All that a waiver can name under this policy, in its order."""
        return tuple(part for requirement in self.evidence for part in requirement.parts)


def part_name(kind: str, rule: MetricRule) -> str:
    """``holdout_metrics/better-than-chance``: how a waiver, and a gate that does not pass, name a rule."""
    return f"{kind}/{rule.id}"


@cache
def limits() -> dict[str, TierLimits]:
    """The most that a policy of each tier may allow."""
    raw = parse((_FOLDER / "limits.yaml").read_bytes()).data
    return {tier: TierLimits.model_validate(raw[tier]) for tier in TIERS}


def beyond_limits(policy: Policy) -> list[tuple[str, str]]:
    """(field, sentence) for everything in which a policy allows more than its tier does; checked before publishing."""
    most, found = limits()[policy.tier], []
    pairs = [("validity_days", policy.validity_days, most.validity_days, "days")]
    if policy.waivers is not None:
        pairs += [
            ("waivers.max_days", policy.waivers.max_days, most.waiver_days, "days"),
            ("waivers.renewals", policy.waivers.renewals, most.waiver_renewals, "renewals"),
        ]
    for field, value, limit, unit in pairs:
        if value > limit:
            found.append((field, f"{value} {unit}, where the tier {policy.tier} allows {limit} at most"))
    return found


@cache
def builtin(name: str) -> Policy:
    """The policy of that name that this release ships: of a tier, or one of ``BUILTIN``."""
    if name not in BUILTIN:
        raise ValueError(f"this release ships no policy named {name!r}")
    return Policy.model_validate(parse((_FOLDER / f"{name}.yaml").read_bytes()).data)
