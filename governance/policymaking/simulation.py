"""What a draft would change: its gates over the model versions that are under its policy now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from governance.policy import Policy
from governance.selectors import approvals, evidence, policies
from governance.selectors.evidence import MODEL_VERSION_RELATED, Gate
from pipelines.models import ModelVersion
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.identity.models import User
from security.measurement import Verdict

LOOKED_AT = 200  # lineage and evidence are read for each, so the work of one answer has a bound


@dataclass(frozen=True)
class Flip:
    """A gate that would say something else; empty where the policy does not ask for it."""

    kind: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True)
class Line:
    """One model version: what would flip, whether its gates would all pass, and whether an approval would be void."""

    version: ModelVersion
    flips: Sequence[Flip]
    passed: bool
    passes: bool
    void: bool


@dataclass(frozen=True)
class Simulation:
    """The versions for which something would change, and how many were looked at (``more``: there are older ones)."""

    lines: Sequence[Line]
    looked_at: int
    more: bool

    @property
    def changed(self) -> list[Line]:
        """Those whose gates would say something else."""
        return [line for line in self.lines if line.flips]

    @property
    def void(self) -> list[Line]:
        """Those whose approval would hold no more: a newly published policy voids each, since each binds the old."""
        return [line for line in self.lines if line.void]

    @property
    def lost(self) -> list[Line]:
        """Those whose gates pass now and would not."""
        return [line for line in self.lines if line.passed and not line.passes]

    @property
    def gained(self) -> list[Line]:
        """Those whose gates do not pass now and would."""
        return [line for line in self.lines if line.passes and not line.passed]


def simulate(user: User, policy: Policy) -> Simulation:
    """``policy`` over the newest model versions that ``user`` may see and that are under the policy of its name.

    A constant number of queries, however many versions there are.
    """
    systems = list(access.visible(user, Action.VIEW, AISystem.objects.all()))
    governed = [system for system, now in policies.policies_for(systems).items() if now.key == policy.key]
    rows = ModelVersion.objects.filter(model__system__in=governed).select_related(*MODEL_VERSION_RELATED)
    newest = list(rows.defer("step_run__log", "step_run__measurements").order_by("-created_at")[: LOOKED_AT + 1])
    versions = newest[:LOOKED_AT]
    found = evidence.found_for(versions)
    held = approvals.approvals_of(versions, found=found)
    before = evidence.gates_of((found[one.pk].policy, found[one.pk]) for one in versions)
    after = evidence.judge_all((policy, found[one.pk].evidence) for one in versions)
    lines = [
        _line(version, was, now, void=held[version.pk].active and found[version.pk].policy.digest != policy.digest)
        for version, was, now in zip(versions, before, after, strict=True)
    ]
    return Simulation(lines, len(versions), len(newest) > LOOKED_AT)


def _line(version: ModelVersion, before: Sequence[Gate], after: Sequence[Gate], *, void: bool) -> Line:
    old, new = ({gate.kind: gate for gate in gates} for gates in (before, after))
    flips = [_flip(kind, old.get(kind), new.get(kind)) for kind in dict.fromkeys([*old, *new])]
    return Line(
        version=version,
        flips=[flip for flip in flips if flip.before != flip.after],
        passed=all(gate.holds for gate in before),
        passes=all(gate.holds for gate in after),
        void=void,
    )


def _flip(kind: str, before: Gate | None, after: Gate | None) -> Flip:
    return Flip(kind, _word(before), _word(after), after.reason if after else "not asked for any more")


def _word(gate: Gate | None) -> str:
    return str(Verdict(gate.verdict)) if gate else ""
