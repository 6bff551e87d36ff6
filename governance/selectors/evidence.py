"""The evidence on a model version, and what the policy's gates say to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from governance import rules, subjects
from governance.policy import Policy, builtin
from governance.selectors import policies
from pipelines.models import Evidence, ModelVersion
from pipelines.selectors import lineage
from security.measurement import Verdict
from security.vault.models import Artifact


@dataclass(frozen=True)
class Gate:
    """One requirement of the policy and what was found; ``reason`` says it in a clause (“2 pass, 1 fail”)."""

    kind: str
    must: str
    question: str
    why: str
    verdict: Verdict
    reason: str
    evidence: tuple[Evidence, ...]

    @property
    def ok(self) -> bool:
        return self.verdict is Verdict.PASS

    @property
    def present(self) -> bool:
        return bool(self.evidence)


@dataclass(frozen=True)
class Found:
    """What stands behind one model version now: its ancestry, evidence and policy. ``digests``: of their artifacts."""

    version: ModelVersion
    ancestry: lineage.Ancestry
    evidence: tuple[Evidence, ...]
    policy: Policy
    digests: Mapping[UUID, str]

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
    published = {tier: version.policy for tier, version in policies.current_versions().items()}
    return {pk: _found(version, ancestries[pk], on_artifact, digests, published) for pk, version in wanted.items()}


def found(version: ModelVersion) -> Found:
    """``found_for`` of one, whole."""
    return found_for([version], whole=True)[version.pk]


def evidence_for(model_version: ModelVersion) -> list[Evidence]:
    """The evidence that stands on the model version or on anything that it was made from, by kind."""
    return list(found(model_version).evidence)


def gates(model_version: ModelVersion, policy: Policy | None = None) -> list[Gate]:
    """What each requirement of the policy (the system's own by default) says to the evidence, in the policy's order."""
    now = found(model_version)
    return judge(policy or now.policy, now.evidence)


def judge(policy: Policy, evidence: Sequence[Evidence]) -> list[Gate]:
    """The gates of a policy over a list of evidence."""
    by_kind: dict[str, list[Evidence]] = defaultdict(list)
    for row in evidence:
        by_kind[row.kind].append(row)
    made = []
    for requirement in policy.evidence:
        rows = by_kind[requirement.kind]
        verdicts = [row.verdict for row in rows]
        made.append(
            Gate(
                kind=requirement.kind,
                must=requirement.must,
                question=requirement.question,
                why=requirement.why,
                verdict=rules.gate_verdict(requirement, verdicts),
                reason=rules.gate_reason(requirement, verdicts),
                evidence=tuple(rows),
            )
        )
    return made


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


def _found(
    version: ModelVersion,
    ancestry: lineage.Ancestry,
    on_artifact: Mapping[UUID, list[Evidence]],
    digests: Mapping[UUID, str],
    published: Mapping[str, Policy],
) -> Found:
    rows = [row for artifact in ancestry.artifacts for row in on_artifact.get(artifact, ())]
    rows.sort(key=lambda row: (row.kind, row.created_at, row.pk))
    tier = policies.tier_of(version.model.system)
    return Found(version, ancestry, tuple(rows), published.get(tier) or builtin(tier), digests)
