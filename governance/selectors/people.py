"""Who may not decide on a model because they had a hand in it, and who may.

Runs and registrations are read from their rows. Who retried a run, and who made a token for a service that built, are
read from the audit log, which alone knows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F

from governance.models import Review
from pipelines.models import ModelVersion, StepOutput
from pipelines.selectors.lineage import upstream_of
from security.access.selectors import live_grants
from security.access.table import Action, roles_for
from security.canonical import urn
from security.identity.models import ApiToken, User
from security.log.events import Event
from security.log.models import AuditEvent
from security.workload.models import Trust

ACTION_OF_ROLE: Mapping[str, Action] = {"validator": Action.VALIDATE, "risk-officer": Action.ACCEPT_RISK}


@dataclass(frozen=True)
class Part:
    """One thing a person did for a model, and on what (``subject``: a noun and an id).

    ``kind``: ran, retried, registered, built, submitted, or equipped (made a token for a service that did).
    """

    user: UUID
    kind: str
    subject: tuple[str, str]
    at: datetime
    text: str


def parts_of(versions: Iterable[ModelVersion]) -> dict[UUID, list[Part]]:
    """Everything that people did for each model version or anything upstream of it, in a constant number of queries.

    Counted: whoever created or retried a run in which the model or anything upstream was made, reused runs included;
    whoever registered the pipeline versions of those runs; whoever's run registered the model version; and, where a
    service did any of this, whoever made a token for it. Going by every run that made these bytes excludes more
    people than going by the first, on purpose.
    """
    wanted = list(versions)
    upstream = upstream_of(version.artifact_id for version in wanted)
    runs_of: dict[UUID, set[UUID]] = defaultdict(set)
    by_run: dict[UUID, list[Part]] = {}
    everything = set().union(*upstream.values()) if upstream else set()
    made = StepOutput.objects.filter(artifact__in=everything).order_by().distinct()
    rows: Any = made.values("artifact", **_RUN_COLUMNS)
    for row in rows:
        runs_of[row["artifact"]].add(row["run"])
        by_run.setdefault(row["run"], _run_parts(row))
    for part in _retried(by_run):
        by_run[UUID(part.subject[1])].append(part)
    tokens = _equipped()
    found = {}
    for version in wanted:
        runs = set().union(*(runs_of[artifact] for artifact in upstream.get(version.artifact_id, ())))
        parts = {part for run in runs for part in by_run[run]} | {_built(version)}
        parts |= {part for service in {part.user for part in parts} for part in tokens.get(service, ())}
        found[version.pk] = sorted(parts, key=lambda part: (part.at, part.kind, part.text))
    return found


_RUN_COLUMNS = {
    "run": F("step_run__run"),
    "run_number": F("step_run__run__number"),
    "creator": F("step_run__run__created_by"),
    "created_at": F("step_run__run__created_at"),
    "version": F("step_run__run__version"),
    "version_number": F("step_run__run__version__number"),
    "registrar": F("step_run__run__version__created_by"),
    "registered_at": F("step_run__run__version__created_at"),
    "pipeline": F("step_run__run__version__pipeline__name"),
}


def _run_parts(row: Mapping[str, Any]) -> list[Part]:
    """The parts of whoever created the run and whoever registered its pipeline version."""
    ran = f"created run {row['run_number']} of {row['pipeline']}"
    registered = f"registered version {row['version_number']} of {row['pipeline']}"
    return [
        Part(row["creator"], "ran", ("run", str(row["run"])), row["created_at"], ran),
        Part(
            row["registrar"], "registered", ("pipeline-version", str(row["version"])), row["registered_at"], registered
        ),
    ]


def _retried(runs: Mapping[UUID, list[Part]]) -> list[Part]:
    """Who set any of the runs going again after a failure."""
    subjects = {urn("run", run): run for run in runs}
    events = AuditEvent.objects.filter(event=Event.RUN_RETRIED, subject__in=list(subjects))
    return [
        Part(user, "retried", ("run", str(subjects[subject])), at, f"retried {runs[subjects[subject]][0].text[8:]}")
        for subject, actor, at in events.values_list("subject", "actor", "time")
        if (user := _person(actor)) is not None
    ]


def _equipped() -> dict[UUID, list[Part]]:
    """Service → who made its tokens: whoever holds one acts in the service's name, and nobody sees who it is."""
    tokens = {
        urn("token", pk): (pk, service, name)
        for pk, service, name in ApiToken.objects.filter(user__is_service=True).values_list(
            "pk", "user", "user__full_name"
        )
    }
    found: dict[UUID, list[Part]] = defaultdict(list)
    events = AuditEvent.objects.filter(event=Event.TOKEN_CREATED, subject__in=list(tokens))
    for subject, actor, at in events.values_list("subject", "actor", "time"):
        pk, service, name = tokens[subject]
        if (user := _person(actor)) is not None:
            found[service].append(Part(user, "equipped", ("token", str(pk)), at, f"made a token for {name}"))
    for service, maker, pk, at in Trust.objects.values_list("service", "created_by", "pk", "created_at"):
        text = "let a workload act as a service that had a part"
        found[service].append(Part(maker, "equipped", ("trust", str(pk)), at, text))
    return found


def _person(actor: str) -> UUID | None:
    """The user of an actor's URN; None for the engine."""
    noun, key = actor.split(":")[-2:]
    return UUID(key) if noun == "user" else None


def _built(version: ModelVersion) -> Part:
    subject = ("model-version", str(version.pk))
    return Part(version.created_by_id, "built", subject, version.created_at, f"built {version}")


def submitted(review: Review) -> Part:
    """The part of the person who submitted a review."""
    subject = ("review", str(review.pk))
    return Part(review.submitted_by_id, "submitted", subject, review.submitted_at, "submitted this review")


def excluded_people(model_version: ModelVersion, review: Review | None = None) -> dict[User, list[str]]:
    """Who may not decide on the model version, each with what they did; the submitter too where a review is given."""
    parts = parts_of([model_version])[model_version.pk] + ([submitted(review)] if review is not None else [])
    reasons: dict[UUID, list[str]] = defaultdict(list)
    for part in parts:
        reasons[part.user].append(part.text)
    users = User.objects.filter(pk__in=reasons).order_by("username")
    return {user: reasons[user.pk] for user in users}


def role_holders(systems: Iterable[UUID]) -> dict[UUID, dict[str, tuple[User, ...]]]:
    """system id → role of an approval step → the natural persons who hold it there now, in one query."""
    wanted = list(dict.fromkeys(systems))
    role_of_grant = {str(role): name for name, action in ACTION_OF_ROLE.items() for role in roles_for(action)}
    grants = live_grants().filter(role__in=role_of_grant, user__is_service=False).select_related("user")
    holders: dict[UUID, dict[str, dict[UUID, User]]] = {
        system: {name: {} for name in ACTION_OF_ROLE} for system in wanted
    }
    for grant in grants.order_by("user__username"):
        for system in wanted if grant.system_id is None else [grant.system_id]:
            if system in holders:
                holders[system][role_of_grant[grant.role]][grant.user_id] = grant.user
    return {
        system: {name: tuple(people.values()) for name, people in roles.items()} for system, roles in holders.items()
    }
