"""The NIST AI RMF 1.0 core as data, and which of its outcomes a set of evidence supports. Pure.

Titles are in our own words; the wording of the framework itself is NIST AI 100-1, tables 1 to 4.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

from security.measurement import Verdict

_FOLDER = Path(__file__).parents[1] / "catalogues"
State = Literal["supported", "partial", "missing", "needs-attestation"]


class EvidenceLike(Protocol):
    """What coverage needs to know of a piece of evidence."""

    @property
    def kind(self) -> str: ...

    @property
    def verdict(self) -> str: ...


@dataclass(frozen=True)
class EvidenceKind:
    """One word of the evidence vocabulary; ``producer``: pipeline, supply_chain, monitoring, registry, workflow …"""

    kind: str
    producer: str
    description: str


@dataclass(frozen=True)
class Subcategory:
    """One numbered outcome. ``evidence``: kinds that speak for it; ``support``: how far evidence can go (strong,
    partial, none); ``attestation``: whether a person's signed statement is needed as well; ``why``: the reason."""

    id: str
    function: str
    category: str
    title: str
    evidence: tuple[str, ...]
    support: str
    attestation: bool
    why: str


@dataclass(frozen=True)
class Coverage:
    """One outcome, the evidence that speaks for it, and the state that follows."""

    subcategory: Subcategory
    evidence: tuple[Any, ...]
    state: State


@cache
def subcategories() -> tuple[Subcategory, ...]:
    """The 72 subcategories in the framework's order."""
    return tuple(Subcategory(**{**row, "evidence": tuple(row["evidence"])}) for row in _load("ai_rmf_core.json"))


@cache
def evidence_kinds() -> dict[str, EvidenceKind]:
    """The evidence vocabulary by kind."""
    return {row["kind"]: EvidenceKind(**row) for row in _load("evidence_kinds.json")["kinds"]}


def coverage(evidence: Iterable[EvidenceLike]) -> list[Coverage]:
    """Every subcategory with the evidence that speaks for it and the state that follows from it."""
    given = list(evidence)
    made = []
    for subcategory in subcategories():
        matching = tuple(row for row in given if row.kind in subcategory.evidence)
        made.append(Coverage(subcategory, matching, state_of(subcategory, [row.verdict for row in matching])))
    return made


def state_of(subcategory: Subcategory, verdicts: list[str]) -> State:
    """The state of one subcategory.

    1. What no evidence can show needs a person's word.
    2. No evidence at all: missing.
    3. Evidence that does not all pass is partial, and so is passing evidence of a kind that only goes part of the way
       where nobody's word can add the rest.
    4. All passes: what also asks for a person's word needs that; strong support alone is supported.
    """
    if not subcategory.evidence:
        return "needs-attestation"
    if not verdicts:
        return "missing"
    if any(verdict != Verdict.PASS for verdict in verdicts):
        return "partial"
    if subcategory.attestation:
        return "needs-attestation"
    return "supported" if subcategory.support == "strong" else "partial"


def _load(name: str) -> Any:
    return json.loads((_FOLDER / name).read_text(encoding="utf-8"))
