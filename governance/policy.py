"""What a policy is: per risk tier, the evidence that must exist and the approvals that are needed. Pure.

The built-in policies are the YAML files in ``governance/policies``; a published one is a ``PolicyVersion``.
"""

from __future__ import annotations

from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from security.canonical import digest_of

Tier = Literal["high", "medium", "low"]
TIERS: tuple[Tier, ...] = ("high", "medium", "low")
_FOLDER = Path(__file__).parent / "policies"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Requirement(_Strict):
    """One kind of evidence. ``must``: ``pass`` (exists and passes), ``exist`` (any verdict), ``pass-if-present``.

    ``subjects``: ``every`` result on the model and on what lies upstream of it must pass, or ``any`` one of them.
    """

    kind: str = Field(pattern=r"^[a-z][a-z_]*$")
    must: Literal["pass", "exist", "pass-if-present"]
    subjects: Literal["every", "any"] = "every"
    question: str
    why: str


class ApprovalStep(_Strict):
    """``people`` distinct persons must approve in ``role``."""

    role: Literal["validator", "risk-officer"]
    people: int = Field(ge=1, le=9)
    why: str


class Policy(_Strict):
    """The rules of one tier. ``validity_days``: how long an approval holds."""

    tier: Tier
    title: str
    why: str
    validity_days: int = Field(ge=1, le=3650)
    evidence: tuple[Requirement, ...] = Field(min_length=1)
    approvals: tuple[ApprovalStep, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _no_repetition(self) -> Self:
        for name, values in (
            ("evidence kind", [r.kind for r in self.evidence]),
            ("role", [s.role for s in self.approvals]),
        ):
            if len(values) != len(set(values)):
                raise ValueError(f"the {self.tier} policy names an {name} twice")
        return self

    def content(self) -> dict[str, Any]:
        """The JSON that is published and digested."""
        return self.model_dump(mode="json")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical content."""
        return digest_of(self.content())


@cache
def builtin(tier: Tier) -> Policy:
    """The policy that this release ships for a tier."""
    return Policy.model_validate(yaml.safe_load((_FOLDER / f"{tier}.yaml").read_text(encoding="utf-8")))
