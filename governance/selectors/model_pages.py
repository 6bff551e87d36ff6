"""What the pages of models show: every version with its gates, what it holds, and where its review stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from governance import sentences, subjects
from governance.models import Approval, Condition, Review, ReviewState
from governance.selectors import approvals, evidence
from governance.selectors.approvals import Held
from governance.selectors.conditions import to_meet
from governance.selectors.evidence import MODEL_VERSION_RELATED, Found, Gate
from governance.selectors.people import role_holders
from pipelines.models import Evidence, Model, ModelVersion
from pipelines.selectors import registry
from security.access.models import AISystem, RoleGrant
from security.access.selectors import live_grants
from security.identity.models import User

SHOWN_METRICS = ("accuracy", "roc_auc", "f1")
_TREND = 20
NO_REVIEW = "none"


@dataclass(frozen=True)
class VersionLine:
    """One row of a list: a version, its gates, what it holds, and the state of its newest review (empty: none)."""

    version: ModelVersion
    gates: Sequence[Gate]
    held: Held
    review: Review | None
    metrics: Sequence[dict[str, Any]] = ()

    @property
    def state(self) -> str:
        """How it stands, as one word: the approval's status where there is one, else the review's state."""
        if self.held.approval is not None:
            return self.held.status
        return str(self.review.state) if self.review else ""


@dataclass(frozen=True)
class ModelLine:
    """One model in a list: its newest version, and an older one whose approval holds."""

    model: Model
    latest: VersionLine | None
    in_use: VersionLine | None


@dataclass(frozen=True)
class Trend:
    """One metric over the versions, oldest first."""

    name: str
    values: tuple[float, ...]
    label: str

    @property
    def last(self) -> str:
        """The newest value."""
        return f"{self.values[-1]:.3f}"


@dataclass(frozen=True)
class VersionHead:
    """What stands above every tab of a version's page."""

    version: ModelVersion
    found: Found
    gates: Sequence[Gate]
    held: Held
    reviews: Sequence[Review]
    sentence: sentences.Sentence
    conditions: Sequence[Condition]

    @property
    def open_review(self) -> Review | None:
        return next((review for review in self.reviews if review.is_open), None)


def models() -> QuerySet[Model]:
    """Models as the registry has them, with ``latest_at`` and ``latest_review``, the state of the newest version's
    newest review (``none`` without one)."""
    newest = ModelVersion.objects.filter(model=OuterRef("pk")).order_by("-number")
    state = Review.objects.filter(model_version=OuterRef("latest_id")).order_by("-submitted_at")
    return registry.models().annotate(
        latest_at=Subquery(newest.values("created_at")[:1]),
        latest_review=Coalesce(Subquery(state.values("state")[:1]), Value(NO_REVIEW)),
    )


def model_lines(rows: Iterable[Any]) -> list[ModelLine]:
    """Lines of models as ``models`` has them, in a constant number of queries."""
    return lines_and_found(rows)[0]


def lines_and_found(
    rows: Iterable[Any], *, also: Iterable[ModelVersion] = ()
) -> tuple[list[ModelLine], dict[UUID, Found]]:
    """``model_lines``, and what was found for them and for ``also``, versions that the same page shows elsewhere."""
    listed = list(rows)
    in_use = _maybe_in_use([model.pk for model in listed])
    wanted = {model.latest_id for model in listed if model.latest_id} | set(in_use)
    versions = list(_named_versions().filter(pk__in=wanted))
    found = dict(evidence.measured(evidence.found_for([*versions, *also])))
    lines = {line.version.pk: line for line in _lines(versions, found)}
    used = {in_use[pk]: lines[pk] for pk in sorted(in_use, key=str) if pk in lines and lines[pk].held.active}
    return [
        ModelLine(
            model=model,
            latest=lines.get(model.latest_id),
            in_use=used.get(model.pk) if model.pk in used and used[model.pk].version.pk != model.latest_id else None,
        )
        for model in listed
    ], found


def version_lines(rows: Iterable[ModelVersion]) -> list[VersionLine]:
    """Lines of versions (with ``MODEL_VERSION_RELATED``), in a constant number of queries."""
    versions = list(rows)
    return _lines(versions, evidence.found_for(versions), _measured(versions))


def _lines(
    versions: Sequence[ModelVersion],
    found: Mapping[UUID, Found],
    figures: Mapping[UUID, list[dict[str, Any]]] | None = None,
) -> list[VersionLine]:
    held = approvals.approvals_of(versions, found=found)
    newest: dict[UUID, Review] = {}
    reviews = Review.objects.filter(model_version__in=versions).defer("subject", "note")
    for review in reviews.order_by("submitted_at"):
        newest[review.model_version_id] = review
    gates = evidence.gates_of((found[version.pk].policy, found[version.pk]) for version in versions)
    return [
        VersionLine(
            version=version,
            gates=said,
            held=held[version.pk],
            review=newest.get(version.pk),
            metrics=(figures or {}).get(version.pk, ()),
        )
        for version, said in zip(versions, gates, strict=True)
    ]


def versions_of(model: Model) -> QuerySet[ModelVersion]:
    """The versions of a model with all that their lines need, newest first."""
    return _versions().filter(model=model).order_by("-number")


def trends(model: Model) -> list[Trend]:
    """How the shown metrics went over the last versions; one value alone is no trend."""
    rows = list(
        Evidence.objects.filter(kind="holdout_metrics", superseded_by=None, subject__model_versions__model=model)
        .order_by("-subject__model_versions__number")
        .values_list("measurements", flat=True)[:_TREND]
    )
    made = []
    for name in SHOWN_METRICS:
        values = [one["value"] for row in reversed(rows) for one in row if _is_metric(one, name)]
        if len(values) > 1:
            label = f"over {len(values)} versions, from {values[0]:.3f}"
            made.append(Trend(name, tuple(values), label))
    return made


def version_head(version: ModelVersion) -> VersionHead:
    """What stands above every tab: gates, approval, reviews and the sentence they make."""
    found = evidence.found(version)
    (gates,) = evidence.gates_of([(found.policy, found)])
    held = approvals.approval_of(version, found=found)
    reviews = list(
        Review.objects.filter(model_version=version)
        .select_related("submitted_by", "policy_version", "system")
        .prefetch_related("votes__voter")
        .order_by("-submitted_at")
    )
    conditions = [] if held.approval is None else list(to_meet(held.approval))
    return VersionHead(version, found, gates, held, reviews, _sentence(found, gates, held, reviews), conditions)


def people_of(system: AISystem) -> list[tuple[User, list[RoleGrant]]]:
    """Everybody with a live role in the system (or in all), with those roles."""
    grants = live_grants().filter(system=system) | live_grants().filter(system=None)
    found: dict[User, list[RoleGrant]] = {}
    for grant in grants.select_related("user", "system").order_by("user__full_name", "role"):
        found.setdefault(grant.user, []).append(grant)
    return list(found.items())


def missing_signers(system: AISystem, found: Found) -> list[str]:
    """Roles that the policy asks for and nobody holds."""
    holders = role_holders([system.pk])[system.pk]
    return [step.role for step in found.policy.approvals if len(holders.get(step.role, ())) < step.people]


def changed_since(approval: Approval, found: Found) -> list[str]:
    """Which parts of what was signed are no longer the same."""
    return subjects.changes(approval.review.subject, found.subject)


def _sentence(found: Found, gates: Sequence[Gate], held: Held, reviews: Sequence[Review]) -> sentences.Sentence:
    in_review = next((review for review in reviews if review.is_open), None)
    if in_review is not None and not held.active:
        return sentences.undecided(gates, _open_seats(found, in_review), submitted=True)
    if held.approval is not None:
        changed = changed_since(held.approval, found)
        return sentences.held(held.status, held.approval.valid_until, gates, changed, held.approval.revoked_reason)
    if reviews and reviews[0].state in (ReviewState.REJECTED, ReviewState.CHANGES_REQUESTED, ReviewState.LAPSED):
        return sentences.closed(reviews[0].state, gates, [])
    return sentences.undecided(gates, sum(step.people for step in found.policy.approvals), submitted=False)


def _open_seats(found: Found, review: Review) -> int:
    votes = [vote for vote in review.votes.all() if vote.decision == "approve"]
    policy = review.policy_version.policy
    signed = {step.role: sum(vote.role == step.role for vote in votes) for step in policy.approvals}
    return sum(max(0, step.people - signed[step.role]) for step in policy.approvals)


def _versions() -> QuerySet[ModelVersion]:
    return ModelVersion.objects.select_related(
        *MODEL_VERSION_RELATED, "created_by", "step_run__run__version__pipeline"
    ).defer("step_run__log", "step_run__run__version__canonical", "step_run__run__version__source")


def _named_versions() -> QuerySet[ModelVersion]:
    """Versions with no more than their name, gates and approval need."""
    return ModelVersion.objects.select_related(*MODEL_VERSION_RELATED).only(
        "number", "model__name", "model__system__slug", "model__system__tier", "artifact__digest", "step_run__run_id"
    )


def _maybe_in_use(models_: Sequence[UUID]) -> dict[UUID, UUID]:
    """Version → model of approvals that are neither revoked nor over; whether they still hold is checked later."""
    live = Approval.objects.filter(
        model_version__model__in=models_, revoked_at=None, valid_until__gt=timezone.now()
    ).order_by()
    return dict(live.values_list("model_version", "model_version__model"))


def _measured(versions: Sequence[ModelVersion]) -> dict[UUID, list[dict[str, Any]]]:
    """Version → the shown metrics of its newest held-out evaluation, in one query."""
    rows = Evidence.objects.filter(
        kind="holdout_metrics", superseded_by=None, subject__in={version.artifact_id for version in versions}
    )
    newest = dict(rows.order_by("created_at", "pk").values_list("subject", "measurements"))
    return {
        version.pk: [
            one for name in SHOWN_METRICS for one in newest.get(version.artifact_id, ()) if _is_metric(one, name)
        ]
        for version in versions
    }


def _is_metric(one: dict[str, Any], name: str) -> bool:
    return one.get("name") == name and one.get("value") is not None and not one.get("slice")
