"""Facts about a past moment: which model versions could be used then, approved by whom, on which evidence.

Everything is read as it was: approvals by their times, evidence by when it was recorded and superseded, policies by
when they were published, the tier from the audit log. What was signed is compared with what stood then, so that an
approval that a change had voided does not count as held.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from governance import subjects
from governance.documents.facts import parts
from governance.models import Approval, PolicyVersion, Vote
from governance.policy import builtin
from governance.selectors.policies import tier_of
from pipelines.models import Evidence, ModelVersion
from pipelines.selectors import lineage
from security.access.models import AISystem
from security.canonical import urn
from security.log.models import AuditEvent
from security.vault.models import Artifact

_RELATED = ("model__system", "artifact", "step_run", "created_by")
# The events that say a system's tier, and the member of their payload that names it.
_TIERS = {"system:created": "tier", "tier:raised": "after", "tier:lowered": "after"}


def standing(system: AISystem, *, at: datetime) -> dict[str, Any]:
    """Every model version that was registered at ``at``, with the approval that it held then and whether that held.

    A constant number of queries, however many versions there are.
    """
    versions = list(
        ModelVersion.objects.filter(model__system=system, created_at__lte=at)
        .select_related(*_RELATED)
        .defer("step_run__log")
        .order_by("model__name", "number")
    )
    approvals = _approvals(versions, at)
    held = {pk: rows[-1] for pk, rows in approvals.items()}  # the newest alone decides
    tier = tier_at(system, at)
    then = _subjects([version for version in versions if version.pk in held], tier, at)
    signed = _signatures(held.values(), at)
    return {
        "at": parts.time(at),
        "tier": tier,
        "versions": [_line(version, held.get(version.pk), then, signed, at) for version in versions],
    }


def tier_at(system: AISystem, at: datetime) -> str:
    """The system's tier as the log has it: in the last event until then that names one; anything unknown is high."""
    about = AuditEvent.plain.filter(subject=urn("system", system.pk), event__in=_TIERS, time__lte=at)
    last = about.order_by("-time", "-id").values_list("event", "entry").first()
    if last is None:
        return tier_of(system)
    event, entry = last
    return tier_of(AISystem(tier=json.loads(entry)["payload"].get(_TIERS[event], "")))


def _approvals(versions: Iterable[ModelVersion], at: datetime) -> dict[UUID, list[Approval]]:
    """Version → its approvals that had been issued, oldest first."""
    found: dict[UUID, list[Approval]] = defaultdict(list)
    rows = Approval.objects.filter(model_version__in=list(versions), issued_at__lte=at)
    for row in rows.select_related("review__policy_version", "revoked_by").order_by("issued_at", "pk"):
        found[row.model_version_id].append(row)
    return found


def _subjects(versions: list[ModelVersion], tier: str, at: datetime) -> dict[UUID, Mapping[str, Any]]:
    """Version → what would have been submitted then (``governance.subjects``)."""
    ancestries = lineage.ancestries(versions)
    everything = {artifact for ancestry in ancestries.values() for artifact in ancestry.artifacts}
    stood = Q(superseded_by=None) | Q(superseded_by__created_at__gt=at)
    rows = Evidence.objects.filter(stood, subject__in=everything, created_at__lte=at)
    on_artifact: dict[UUID, list[tuple[str, str, str]]] = defaultdict(list)
    for subject, kind, of, digest in rows.values_list("subject", "kind", "subject__digest", "digest"):
        on_artifact[subject].append((kind, of, digest))
    named = {pk for ancestry in ancestries.values() for pk in ancestry.data}
    digests = dict(Artifact.objects.filter(pk__in=named).values_list("pk", "digest"))
    published = PolicyVersion.objects.filter(tier=tier, published_at__lte=at).order_by("-number").first()
    policy = published.digest if published else builtin(tier_of(AISystem(tier=tier))).digest
    return {
        version.pk: subjects.build(
            system=version.model.system.slug,
            model={"name": version.model.name, "number": version.number, "digest": version.artifact.digest},
            data=((digests[pk], kind) for pk, kind in ancestries[version.pk].data.items()),
            evidence=(row for artifact in ancestries[version.pk].artifacts for row in on_artifact[artifact]),
            policy={"tier": tier, "digest": policy},
        )
        for version in versions
    }


def _signatures(approvals: Iterable[Approval], at: datetime) -> dict[UUID, list[dict[str, Any]]]:
    found: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    rows = Vote.objects.filter(review__in=[row.review_id for row in approvals], signed_at__lte=at)
    for row in rows.order_by("signed_at", "pk"):
        found[row.review_id].append(parts.vote(row))
    return found


def _line(
    version: ModelVersion,
    approval: Approval | None,
    then: Mapping[UUID, Mapping[str, Any]],
    signed: Mapping[UUID, list[dict[str, Any]]],
    at: datetime,
) -> dict[str, Any]:
    line: dict[str, Any] = {"model": parts.version(version), "status": "none", "approval": None, "changed": []}
    if approval is None:
        return line
    subject, bound = then[version.pk], approval.review.subject
    status = _status(approval, subjects.digest(subject), at)
    ended = approval.revoked_at is not None and approval.revoked_at <= at
    line["status"] = status
    line["changed"] = subjects.changes(bound, subject) if status == "void" else []
    line["approval"] = {
        "id": str(approval.pk),
        "review": str(approval.review_id),
        "issued_at": parts.time(approval.issued_at),
        "valid_until": parts.time(approval.valid_until),
        "subject_digest": approval.subject_digest,
        "revoked_at": parts.time(approval.revoked_at) if ended else "",
        "revoked_by": parts.person(approval.revoked_by if ended else None),
        "revoked_reason": approval.revoked_reason if ended else "",
        "policy": bound["policy"],
        "data": bound["data"],
        "evidence": bound["evidence"],
        "signatures": signed[approval.review_id],
    }
    return line


def _status(approval: Approval, digest: str, at: datetime) -> str:
    """``selectors.approvals.status`` as it would have been answered then."""
    if approval.revoked_at is not None and approval.revoked_at <= at:
        return "revoked"
    if at >= approval.valid_until:
        return "expired"
    return "active" if approval.subject_digest == digest else "void"
