"""Events of the log as sentences: what happened, to what, by whom, with a link to the page of it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import QuerySet
from django.urls import reverse

from governance.models import Approval, PolicyVersion, Review
from governance.policymaking.models import PolicyDraft
from governance.risk.models import Assessment, Incident, QuestionnaireVersion, Risk
from governance.waivers.models import Waiver
from pipelines.models import Evidence, ModelVersion, Pipeline, PipelineVersion, Run
from security.access.models import AISystem
from security.identity import selectors as identity
from security.identity.models import User
from security.log.events import Event
from security.log.models import AuditEvent

_PREFIX = "urn:countersign:"


@dataclass(frozen=True)
class Line:
    """One line of a timeline. ``index`` is the event's place in the log, None while it waits for one."""

    index: int | None
    text: str
    actor: str
    at: datetime
    tone: str
    url: str
    detail: str = ""
    new: bool = False


class _Noun(NamedTuple):
    """How a subject is read, what a sentence calls it, and the page it has."""

    rows: Callable[[], QuerySet[Any]]
    label: Callable[[Any], str]
    page: str
    key: Callable[[Any], Any] = lambda row: row.pk


_NOUNS: Mapping[str, _Noun] = {
    "run": _Noun(
        lambda: Run.objects.select_related("version__pipeline"),
        lambda row: f"Run {row.number} of {row.version.pipeline.name}",
        "run",
    ),
    "pipeline": _Noun(Pipeline.objects.all, lambda row: f"Pipeline {row.name}", "pipeline"),
    "pipeline-version": _Noun(
        lambda: PipelineVersion.objects.select_related("pipeline").defer("canonical", "source"),
        lambda row: f"Version {row.number} of pipeline {row.pipeline.name}",
        "pipeline-version",
    ),
    "model-version": _Noun(
        lambda: ModelVersion.objects.select_related("model"),
        lambda row: f"{row.model.name} v{row.number}",
        "model-version",
    ),
    "review": _Noun(
        lambda: Review.objects.select_related("model_version__model"),
        lambda row: f"{row.model_version.model.name} v{row.model_version.number}",
        "review",
    ),
    "approval": _Noun(
        lambda: Approval.objects.select_related("model_version__model"),
        lambda row: f"{row.model_version.model.name} v{row.model_version.number}",
        "review",
        lambda row: row.review_id,
    ),
    "evidence": _Noun(Evidence.objects.all, lambda row: row.kind.replace("_", " ").capitalize(), "evidence"),
    "system": _Noun(AISystem.objects.all, lambda row: f"System {row.slug}", "system", lambda row: row.slug),
    "user": _Noun(User.objects.all, lambda row: row.full_name, "person"),
    "policy-version": _Noun(
        PolicyVersion.objects.all,
        lambda row: f"The {row.content.get('name') or row.tier} policy, version {row.number},",
        "policy-version",
    ),
    "waiver": _Noun(
        lambda: Waiver.objects.select_related("model_version__model"),
        lambda row: f"The waiver of {row.part} for {row.model_version.model.name} v{row.model_version.number}",
        "waiver",
    ),
    "policy-draft": _Noun(PolicyDraft.objects.all, lambda row: f"The draft of the {row.name} policy", "policy-draft"),
    "assessment": _Noun(lambda: Assessment.objects.select_related("system"), lambda row: f"The {row}", "assessment"),
    "questionnaire-version": _Noun(
        QuestionnaireVersion.objects.all, lambda row: f"Version {row.number} of the risk questionnaire", ""
    ),
    "risk": _Noun(lambda: Risk.objects.select_related("system"), lambda row: f"The {row}", "risk-entry"),
    "incident": _Noun(
        lambda: Incident.objects.select_related("system"),
        lambda row: f"Incident {row.number} of {row.system.slug}",
        "incident",
    ),
}

# event → (what the sentence says of its subject, colour)
_SAYINGS: Mapping[str, tuple[str, str]] = {
    Event.SYSTEM_CREATED: ("was created", "accent"),
    Event.SYSTEM_CHANGED: ("was changed", ""),
    Event.ROLE_GRANTED: ("was given the role {role}", ""),
    Event.ROLE_REVOKED: ("lost the role {role}", ""),
    Event.PIPELINE_CREATED: ("was created", ""),
    Event.PIPELINE_VERSION_REGISTERED: ("was registered", ""),
    Event.RUN_CREATED: ("was queued", ""),
    Event.RUN_STARTED: ("began", ""),
    Event.RUN_SUCCEEDED: ("succeeded", "pass"),
    Event.RUN_FAILED: ("failed", "fail"),
    Event.RUN_CANCELLED: ("was cancelled", ""),
    Event.RUN_RETRIED: ("was retried", ""),
    Event.EVIDENCE_RECORDED: ("recorded: {verdict}", ""),
    Event.MODEL_VERSION_REGISTERED: ("was registered", "accent"),
    Event.POLICY_PUBLISHED: ("was published", "accent"),
    Event.POLICY_DRAFTED: ("was begun", ""),
    Event.POLICY_DRAFT_CHANGED: ("was changed", ""),
    Event.POLICY_DRAFT_SIGNED: ("got a signature: {role}", ""),
    Event.POLICY_DRAFT_WITHDRAWN: ("was withdrawn", ""),
    Event.POLICY_ASSIGNED: ("was put under the {policy} policy", "accent"),
    Event.POLICY_UNASSIGNED: ("was put back under the policy of its tier", "accent"),
    Event.WAIVER_REQUESTED: ("was asked for", "accent"),
    Event.WAIVER_APPROVED: ("was approved", "pass"),
    Event.WAIVER_REJECTED: ("was rejected", "fail"),
    Event.WAIVER_REVOKED: ("was revoked", "fail"),
    Event.WAIVER_CLOSED: ("was closed", ""),
    Event.REVIEW_SUBMITTED: ("was submitted for review", "accent"),
    Event.REVIEW_WITHDRAWN: ("was withdrawn from review", ""),
    Event.REVIEW_REJECTED: ("was rejected", "fail"),
    Event.REVIEW_APPROVED: ("passed its review", "pass"),
    Event.REVIEW_SUPERSEDED: ("changed while in review, which is superseded", "inconclusive"),
    Event.VOTE_CAST: ("got a signature: {decision} as {role}", ""),
    Event.SIGNATURE_REFUSED: ("a signature was refused: {reason}", "inconclusive"),
    Event.SIGNATURE_BLOCKED: ("a signature was refused: {reason}", "fail"),
    Event.APPROVAL_ISSUED: ("is approved", "pass"),
    Event.APPROVAL_REVOKED: ("lost its approval: revoked", "fail"),
    Event.EXPORT_CREATED: ("was exported", ""),
    Event.QUESTIONNAIRE_PUBLISHED: ("was published", "accent"),
    Event.PROFILE_WRITTEN: ("was described", ""),
    Event.ASSESSMENT_RECORDED: ("came to {tier}", ""),
    Event.TIER_RAISED: ("was raised from {before} to {after} risk", "inconclusive"),
    Event.TIER_LOWERED: ("was lowered from {before} to {after} risk", "accent"),
    Event.RISK_OPENED: ("was registered", ""),
    Event.RISK_REVISED: ("was revised", ""),
    Event.RISK_ACCEPTED: ("was accepted until {until}", "accent"),
    Event.INCIDENT_OPENED: ("was reported: {severity}", "fail"),
    Event.INCIDENT_NOTED: ("went on: {severity}", ""),
    Event.INCIDENT_CLOSED: ("was closed", "pass"),
}
_TONES = {"pass": "pass", "fail": "fail", "inconclusive": "inconclusive", "approve": "pass", "reject": "fail"}

# What a person wants to hear of; steps, artifacts and single pieces of evidence are too many.
TELLING = (
    Event.SYSTEM_CREATED,
    Event.PIPELINE_VERSION_REGISTERED,
    Event.RUN_SUCCEEDED,
    Event.RUN_FAILED,
    Event.RUN_CANCELLED,
    Event.MODEL_VERSION_REGISTERED,
    Event.POLICY_PUBLISHED,
    Event.POLICY_DRAFT_SIGNED,
    Event.POLICY_ASSIGNED,
    Event.POLICY_UNASSIGNED,
    Event.WAIVER_REQUESTED,
    Event.WAIVER_APPROVED,
    Event.WAIVER_REJECTED,
    Event.WAIVER_REVOKED,
    Event.WAIVER_CLOSED,
    Event.REVIEW_SUBMITTED,
    Event.REVIEW_WITHDRAWN,
    Event.REVIEW_REJECTED,
    Event.REVIEW_SUPERSEDED,
    Event.VOTE_CAST,
    Event.APPROVAL_ISSUED,
    Event.APPROVAL_REVOKED,
    Event.EXPORT_CREATED,
    Event.QUESTIONNAIRE_PUBLISHED,
    Event.TIER_RAISED,
    Event.TIER_LOWERED,
    Event.RISK_OPENED,
    Event.RISK_ACCEPTED,
    Event.INCIDENT_OPENED,
    Event.INCIDENT_CLOSED,
)


def lines(events: Iterable[AuditEvent], *, since: datetime | None = None) -> list[Line]:
    """The events as lines, those after ``since`` marked new. One query per kind of subject, and one for names."""
    rows = list(events)
    named = _subjects({row.subject for row in rows})
    people = identity.names({row.actor for row in rows})
    return [_line(row, named.get(row.subject), people.get(row.actor, ""), since) for row in rows]


def _subjects(urns: set[str]) -> dict[str, tuple[str, str]]:
    """URN → (label, address) of what still exists."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for one in urns:
        kind, _, key = one.removeprefix(_PREFIX).partition(":")
        if kind in _NOUNS and _is_uuid(key):
            wanted[kind].append(key)
    found = {}
    for kind, keys in wanted.items():
        noun = _NOUNS[kind]
        for row in noun.rows().filter(pk__in=keys):
            url = reverse(noun.page, args=[noun.key(row)]) if noun.page else ""
            found[f"{_PREFIX}{kind}:{row.pk}"] = (noun.label(row), url)
    return found


def _line(event: AuditEvent, subject: tuple[str, str] | None, actor: str, since: datetime | None) -> Line:
    payload = _payload(event)
    saying, tone = _SAYINGS.get(event.event, (event.event.replace(":", " ").replace("-", " "), ""))
    label, url = subject or (event.subject.removeprefix(_PREFIX).partition(":")[0].replace("-", " ").capitalize(), "")
    said = saying.format_map(defaultdict(str, {key: str(value).replace("-", " ") for key, value in payload.items()}))
    told = str(payload.get("verdict") or payload.get("decision") or "")
    return Line(
        index=event.index,
        text=f"{label} {said}",
        actor=actor,
        at=event.time,
        tone=_TONES.get(told, tone),
        url=url,
        new=since is not None and event.time > since,
    )


def _payload(event: AuditEvent) -> dict[str, Any]:
    found = json.loads(event.entry).get("payload")
    return found if isinstance(found, dict) else {}


def _is_uuid(text: str) -> bool:
    return len(text) == 36 and text.count("-") == 4
