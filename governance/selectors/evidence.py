"""The evidence on a model version, and what the policy's gates say to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from django.utils import timezone

from governance import rules, subjects
from governance.policy import Policy, Requirement
from governance.selectors import policies
from governance.waivers import selectors as waivers
from governance.waivers.models import Waiver
from pipelines.models import Evidence, ModelVersion
from pipelines.selectors import lineage
from security.measurement import Verdict
from security.vault.models import Artifact


@dataclass(frozen=True)
class Gate:
    """One requirement of the policy and what was found; ``reason`` says it in a clause (“2 pass, 1 fail”).

    ``rules``: what each rule on measurements said; ``broken``: the parts that shut it, as a waiver would name them;
    ``waivers``: those in effect for such parts.
    """

    kind: str
    must: str
    question: str
    why: str
    verdict: Verdict
    reason: str
    evidence: tuple[Evidence, ...]
    rules: tuple[rules.Outcome, ...] = ()
    broken: tuple[str, ...] = ()
    max_age_days: int | None = None
    waivers: tuple[Waiver, ...] = ()

    @property
    def ok(self) -> bool:
        return self.verdict is Verdict.PASS

    @property
    def waived(self) -> bool:
        """It does not pass, and a waiver is in effect for every part that shuts it. Counted apart from passes."""
        return not self.ok and bool(self.broken) and set(self.broken) <= {waiver.part for waiver in self.waivers}

    @property
    def holds(self) -> bool:
        """Whether it stands in no approval's way."""
        return self.ok or self.waived

    @property
    def present(self) -> bool:
        return bool(self.evidence)


@dataclass(frozen=True)
class Found:
    """What stands behind one model version now: its ancestry, evidence and policy. ``digests``: of their artifacts.

    ``approved_waivers``: those of the version that have not ended, for whatever subject.
    """

    version: ModelVersion
    ancestry: lineage.Ancestry
    evidence: tuple[Evidence, ...]
    policy: Policy
    digests: Mapping[UUID, str]
    approved_waivers: tuple[Waiver, ...] = ()

    @cached_property
    def subject(self) -> Mapping[str, Any]:
        """The subject that these make (``governance.subjects``)."""
        model = self.version.model
        return subjects.build(
            system=model.system.slug,
            model={"name": model.name, "number": self.version.number, "digest": self.version.artifact.digest},
            data=((self.digests[pk], kind) for pk, kind in self.ancestry.data.items()),
            evidence=((row.kind, self.digests[row.subject_id], row.digest) for row in self.evidence),
            policy={"tier": self.policy.tier, "digest": self.policy.digest},
        )

    @cached_property
    def digest(self) -> str:
        """The digest of the subject; made when first asked for, since most lines of a list never ask."""
        return subjects.digest(self.subject)

    @cached_property
    def waivers(self) -> tuple[Waiver, ...]:
        """The waivers in effect: approved for exactly this subject."""
        return tuple(row for row in self.approved_waivers if row.subject_digest == self.digest)


MODEL_VERSION_RELATED = ("model__system", "artifact", "step_run")


def found_for(versions: Iterable[ModelVersion], *, whole: bool = False) -> dict[UUID, Found]:
    """What stands behind each model version, in a constant number of queries.

    The model versions come with ``select_related(*MODEL_VERSION_RELATED)``. ``whole``: with the measurements, steps and
    reports of the evidence, which gates do not look at.
    """
    wanted = {version.pk: version for version in versions}
    if not wanted:
        return {}
    ancestries = lineage.ancestries(wanted.values())
    everything = {artifact for ancestry in ancestries.values() for artifact in ancestry.artifacts}
    on_artifact: dict[UUID, list[Evidence]] = defaultdict(list)
    for row in lineage.evidence_on(everything, whole=whole):
        on_artifact[row.subject_id].append(row)
    named = {pk for ancestry in ancestries.values() for pk in ancestry.data} | set(on_artifact)
    digests = dict(Artifact.objects.filter(pk__in=named).values_list("pk", "digest"))
    governing = policies.policies_for({version.model.system for version in wanted.values()})
    waived = waivers.active_for(wanted)
    return {
        pk: Found(
            version=version,
            ancestry=ancestries[pk],
            evidence=_standing_on(ancestries[pk], on_artifact),
            policy=governing[version.model.system],
            digests=digests,
            approved_waivers=tuple(waived.get(pk, ())),
        )
        for pk, version in wanted.items()
    }


def measured(found: Mapping[UUID, Found]) -> Mapping[UUID, Found]:
    """The same, with the measurements that rules look at; for who judges parts of it one after the other."""
    rows = (row for one in found.values() for row in one.evidence if row.kind in one.policy.measured_kinds)
    _read_measurements(rows)
    return found


def found(version: ModelVersion) -> Found:
    """``found_for`` of one, whole."""
    return found_for([version], whole=True)[version.pk]


def evidence_for(model_version: ModelVersion) -> list[Evidence]:
    """The evidence that stands on the model version or on anything that it was made from, by kind."""
    return list(found(model_version).evidence)


def gates(model_version: ModelVersion, policy: Policy | None = None) -> list[Gate]:
    """What each requirement of the policy (the system's own by default) says to the evidence, in the policy's order."""
    now = found(model_version)
    return gates_of([(policy or now.policy, now)])[0]


def gates_of(asked: Iterable[tuple[Policy, Found]]) -> list[list[Gate]]:
    """The gates of policies over what was found, with the waivers in effect; in one query at most."""
    pairs = list(asked)
    judged = judge_all((policy, found.evidence) for policy, found in pairs)
    return [
        [_with_waivers(gate, policy, found) for gate in gates]
        for (policy, found), gates in zip(pairs, judged, strict=True)
    ]


def judge(policy: Policy, evidence: Sequence[Evidence], now: datetime | None = None) -> list[Gate]:
    """The gates of a policy over a list of evidence, as they are at ``now``."""
    return judge_all([(policy, evidence)], now)[0]


def judge_all(asked: Iterable[tuple[Policy, Sequence[Evidence]]], now: datetime | None = None) -> list[list[Gate]]:
    """``judge`` of many, in one query at most: the measurements that a rule looks at and that were not read yet."""
    pairs, moment = list(asked), now or timezone.now()
    _read_measurements(row for policy, rows in pairs for row in rows if row.kind in policy.measured_kinds)
    made = []
    for policy, evidence in pairs:
        by_kind: dict[str, list[Evidence]] = defaultdict(list)
        for row in evidence:
            by_kind[row.kind].append(row)
        made.append([_gate(requirement, by_kind[requirement.kind], moment) for requirement in policy.evidence])
    return made


def _gate(requirement: Requirement, rows: Sequence[Evidence], now: datetime) -> Gate:
    seen = [
        rules.Seen(row.verdict, row.created_at, row.measurements, row.uses)
        if requirement.rules
        else rules.Seen(row.verdict, row.created_at)
        for row in rows
    ]
    said = rules.assess(requirement, seen, now)
    return Gate(
        kind=requirement.kind,
        must=requirement.must,
        question=requirement.question,
        why=requirement.why,
        verdict=said.verdict,
        reason=said.reason,
        evidence=tuple(rows),
        rules=said.outcomes,
        broken=said.broken,
        max_age_days=requirement.max_age_days,
    )


def _with_waivers(gate: Gate, policy: Policy, found: Found) -> Gate:
    """The gate with the waivers of its broken parts; under another policy than theirs they have no effect."""
    if not gate.broken or not found.approved_waivers or policy.digest != found.policy.digest:
        return gate
    return replace(gate, waivers=tuple(waiver for waiver in found.waivers if waiver.part in gate.broken))


def _read_measurements(rows: Iterable[Evidence]) -> None:
    """Fill in the measurements that a list left out; in one query for all that lack them."""
    bare = {row.pk: row for row in rows if "measurements" in row.get_deferred_fields()}
    if bare:
        for pk, measurements, uses in Evidence.objects.filter(pk__in=bare).values_list("pk", "measurements", "uses"):
            bare[pk].measurements, bare[pk].uses = measurements, uses


def content_of(evidence: Evidence) -> dict[str, Any]:
    """What the evidence's digest is the digest of (as the engine recorded it), so that anybody can recompute it."""
    return {
        "kind": evidence.kind,
        "subject": evidence.subject.digest,
        "uses": evidence.uses,
        "params": evidence.step_run.params,
        "measurements": evidence.measurements,
        "verdict": evidence.verdict,
        "report": evidence.report.digest if evidence.report else "",
    }


def _standing_on(ancestry: lineage.Ancestry, on_artifact: Mapping[UUID, list[Evidence]]) -> tuple[Evidence, ...]:
    rows = [row for artifact in ancestry.artifacts for row in on_artifact.get(artifact, ())]
    return tuple(sorted(rows, key=lambda row: (row.kind, row.created_at, row.pk)))
