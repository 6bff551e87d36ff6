"""Framework coverage of model versions: the evidence of their runs, and the facts that this system itself holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db.models import Count

from governance import frameworks
from governance.frameworks import builtin, states
from governance.frameworks.models import Attestation
from governance.frameworks.selectors import attestations
from governance.models import PASSED, Review, ReviewState
from governance.selectors import evidence
from governance.selectors.evidence import Found
from governance.selectors.standing import REVIEW_RELATED, Standing, standings
from pipelines.models import ModelVersion
from security.canonical import digest_of, urn
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
    created_at: datetime | None = None


def coverage_of(model_version: ModelVersion) -> list[frameworks.Coverage]:
    """The 72 subcategories for one model version. Nothing here is typed in: no evidence and no signature, no support.

    What people have signed on the built-in catalogue's controls counts as ``governance.frameworks.states`` has it.
    """
    found = evidence.found(model_version)
    facts = facts_for({model_version.pk: found})[model_version.pk]
    system = model_version.model.system
    signed = {name: row for (_, name), row in attestations.words([system], builtin.AI_RMF).items()}
    rows = frameworks.coverage([*found.evidence, *facts])
    return [_with_word(row, signed.get(builtin.identifier(row.subcategory.id))) for row in rows]


def _with_word(row: frameworks.Coverage, word: Attestation | None) -> frameworks.Coverage:
    outcome = row.subcategory
    if word is None or word.control_digest != digest_of({"id": builtin.identifier(outcome.id), "title": outcome.title}):
        return row
    standing: dict[str, bool] = {}
    for one in row.evidence:
        standing[one.kind] = standing.get(one.kind, True) and one.verdict == Verdict.PASS
    state = states.judged(outcome, standing, word.statement)
    return replace(row, state="supported" if state == "satisfied" else state)


def facts_for(found: Mapping[UUID, Found]) -> dict[UUID, list[Fact]]:
    """The facts about each model version (by id, with what ``evidence.found_for`` gave), in a constant number of
    queries."""
    if not found:
        return {}
    found = evidence.measured(found)
    subjects = {urn("model-version", pk): pk for pk in found}
    counted = AuditEvent.objects.filter(subject__in=list(subjects)).order_by().values_list("subject")
    recorded = {subjects[subject]: count for subject, count in counted.annotate(Count("pk"))}
    reviews = Review.objects.filter(model_version__in=list(found)).exclude(state=ReviewState.WITHDRAWN)
    reviews = reviews.select_related(*REVIEW_RELATED).defer("model_version__step_run__log")
    newest = {review.model_version_id: review for review in reviews.order_by("submitted_at")}
    now = {one.review.model_version_id: one for one in standings(newest.values(), found=found).values()}
    return {
        pk: [*_registry_facts(one, recorded.get(pk, 0)), *(_review_facts(now[pk]) if pk in now else ())]
        for pk, one in found.items()
    }


def _registry_facts(found: Found, recorded: int) -> Iterator[Fact]:
    version = found.version
    key, passed = str(version.pk), Verdict.PASS.value
    yield Fact("model_inventory", passed, f"{version} is in the registry", "model-version", key, version.created_at)
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
    at = now.review.submitted_at
    yield Fact("policy_bundle", passed, f"published policy {now.review.policy_version}", "review", key, at)
    yield Fact("risk_tier_record", passed, f"tier {now.policy.tier}", "review", key, at)
    if all(now.eligible.get(step.role) for step in now.policy.approvals):
        yield Fact("role_assignment", passed, "people hold the roles that the policy asks for", "review", key)
    if now.votes and not now.stale:
        decided, at = passed if now.state in PASSED else Verdict.INCONCLUSIVE.value, _last_vote(now)
        yield Fact("approval_record", decided, f"{len(now.votes)} signed decisions", "review", key, at)
        yield Fact("approval_signature", decided, "signatures after giving the password again", "review", key, at)
        apart = all(vote.voter_id not in now.excluded for vote in now.votes)
        verdict = passed if apart else Verdict.FAIL.value
        yield Fact("separation_of_duties_check", verdict, "nobody who built it decided on it", "review", key, at)


def _last_vote(now: Standing) -> datetime:
    return max(vote.signed_at for vote in now.votes)
