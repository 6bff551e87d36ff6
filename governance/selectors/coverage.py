"""Framework coverage of one model version: the evidence of its runs, and the facts that this system itself holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from governance import frameworks
from governance.models import PASSED, ReviewState
from governance.selectors import evidence
from governance.selectors.reviews import reviews
from governance.selectors.standing import Standing, standing
from pipelines.models import ModelVersion
from security.canonical import urn
from security.log.models import AuditEvent
from security.measurement import Verdict, combine


@dataclass(frozen=True)
class Fact:
    """Evidence that is no step's report but a fact of the registry or the workflow; ``page`` and ``key`` show it."""

    kind: str
    verdict: str
    summary: str
    page: str
    key: str


def coverage_of(model_version: ModelVersion) -> list[frameworks.Coverage]:
    """The 72 subcategories for one model version. Nothing here is typed in: no evidence, no support."""
    found = evidence.found(model_version)
    submitted = reviews().filter(model_version=model_version).exclude(state=ReviewState.WITHDRAWN)
    latest = submitted.order_by("-submitted_at").first()
    facts = list(_registry_facts(model_version, found))
    if latest is not None:
        facts.extend(_review_facts(standing(latest)))
    return frameworks.coverage([*found.evidence, *facts])


def _registry_facts(version: ModelVersion, found: evidence.Found) -> Iterator[Fact]:
    key, passed = str(version.pk), Verdict.PASS.value
    yield Fact("model_inventory", passed, f"{version} is in the registry", "model-version", key)
    recorded = AuditEvent.objects.filter(subject=urn("model-version", version.pk)).count()
    if recorded:
        yield Fact("audit_log", passed, f"{recorded} events about it in the transparency log", "audit", key)
    gates = combine(gate.verdict for gate in evidence.judge(found.policy, found.evidence))
    yield Fact("gate_results", gates.value, f"the gates of the {found.policy.tier} policy", "model-version", key)
    if found.ancestry.data:
        count = len(found.ancestry.data)
        yield Fact("lineage_graph", passed, f"made from {count} tables and files on record", "lineage", key)
        yield Fact("data_digest", passed, f"{count} tables and files with their digests", "lineage", key)
    if version.model.system.purpose.strip():
        yield Fact(
            "use_case_record", passed, "the intended purpose is written down", "system", version.model.system.slug
        )


def _review_facts(now: Standing) -> Iterator[Fact]:
    """What a review adds: the published policy, and once it is approved the decisions and their independence."""
    key, passed = str(now.review.pk), Verdict.PASS.value
    yield Fact("policy_bundle", passed, f"published policy {now.review.policy_version}", "review", key)
    yield Fact("risk_tier_record", passed, f"tier {now.policy.tier}", "review", key)
    if all(now.eligible.get(step.role) for step in now.policy.approvals):
        yield Fact("role_assignment", passed, "people hold the roles that the policy asks for", "review", key)
    if now.votes and not now.stale:
        decided = passed if now.state in PASSED else Verdict.INCONCLUSIVE.value
        yield Fact("approval_record", decided, f"{len(now.votes)} signed decisions", "review", key)
        yield Fact("approval_signature", decided, "signatures after giving the password again", "review", key)
        apart = all(vote.voter_id not in now.excluded for vote in now.votes)
        verdict = passed if apart else Verdict.FAIL.value
        yield Fact("separation_of_duties_check", verdict, "nobody who built it decided on it", "review", key)
