"""What the home page and the pages of systems show, read from all floors in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from governance import history, sentences
from governance.models import Approval, Condition, Review, ReviewState
from governance.selectors import approvals, conditions, model_pages
from governance.selectors import reviews as review_selectors
from governance.selectors import waiting as to_sign
from governance.selectors.standing import readings
from pipelines.models import Model, ModelVersion, Pipeline, Run, RunState, StepRun, StepState
from pipelines.selectors import activity
from pipelines.selectors import pipelines as pipeline_selectors
from pipelines.selectors import runs as run_selectors
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.identity.models import User
from security.log.models import AuditEvent

EXPIRY_DAYS = 30
FAILING_DAYS = 30
SHOWN = 8
TIMELINE = 12


@dataclass(frozen=True)
class Failing:
    """A run that failed and was not followed by a good one, with the step it failed at."""

    run: Run
    step: StepRun | None


@dataclass(frozen=True)
class Home:
    """Everything on the home page."""

    waiting: to_sign.Waiting
    waiting_lines: Sequence[to_sign.WaitingLine]
    to_submit: Sequence[ModelVersion]
    conditions: Sequence[Condition]
    failing: Sequence[Failing]
    failing_count: int
    expiring: Sequence[Approval]
    changes: Sequence[history.Line]
    new_changes: int

    @property
    def new(self) -> list[history.Line]:
        """The changes after the last look."""
        return [line for line in self.changes if line.new]

    @property
    def earlier(self) -> list[history.Line]:
        """The changes that were there already."""
        return [line for line in self.changes if not line.new]


def home(user: User, since: datetime | None) -> Home:
    """What waits, fails, runs out and changed, for this person. ``since``: when they last looked."""
    failing = _failing(user)
    events = _events(user)
    new = events.filter(time__gt=since).count() if since else 0
    mine = to_sign.waiting(user)
    return Home(
        waiting=mine,
        waiting_lines=to_sign.waiting_lines(mine.found),
        to_submit=_to_submit(user),
        conditions=list(access.visible(user, Action.VIEW, conditions.mine(user))[:SHOWN]),
        failing=[Failing(run, step) for run, step in failing[:SHOWN]],
        failing_count=len(failing),
        expiring=approvals.expiring(user, EXPIRY_DAYS),
        changes=history.lines(events[:TIMELINE], since=since),
        new_changes=new,
    )


def systems(user: User) -> QuerySet[AISystem]:
    """Systems that the user may view with ``pipeline_count``, ``model_count``, ``open_reviews``, ``last_run_at`` and
    ``last_run_state``."""
    newest = Run.objects.filter(system=OuterRef("pk")).order_by("-created_at")
    return access.visible(user, Action.VIEW, AISystem.objects.select_related("owner")).annotate(
        pipeline_count=_count(Pipeline.objects),
        model_count=_count(Model.objects),
        open_reviews=_count(Review.objects.filter(state=ReviewState.IN_REVIEW)),
        last_run_at=Subquery(newest.values("created_at")[:1]),
        last_run_state=Subquery(newest.values("state")[:1]),
    )


def system_parts(system: AISystem) -> dict[str, Any]:
    """Everything that the page of one system shows."""
    pipelines = activity.with_last_run(pipeline_selectors.pipelines().filter(system=system))
    open_reviews = review_selectors.reviews().filter(system=system, state=ReviewState.IN_REVIEW)
    reviews = list(open_reviews[:SHOWN])
    models = model_pages.models().filter(system=system).order_by("name")
    versions = [review.model_version for review in reviews]
    lines, found = model_pages.lines_and_found(models[:SHOWN], also=versions)
    now = readings(reviews, found=found)
    runs = activity.with_outcome(run_selectors.runs().filter(system=system))
    return {
        "pipelines": list(pipelines.order_by("name")[:SHOWN]),
        "pipeline_count": Pipeline.objects.filter(system=system).count(),
        "models": lines,
        "model_count": Model.objects.filter(system=system).count(),
        "reviews": [(review, now[review.pk], sentences.gates_text(now[review.pk].gates)) for review in reviews],
        "review_count": open_reviews.count(),
        "runs": list(runs[:SHOWN]),
        "people": model_pages.people_of(system),
    }


def _to_submit(user: User) -> list[ModelVersion]:
    """The newest version of each model that this person may submit and nobody has submitted yet."""
    newest = ModelVersion.objects.filter(model=OuterRef("model")).order_by("-number").values("pk")[:1]
    rows = ModelVersion.objects.filter(pk=Subquery(newest)).filter(
        ~Exists(Review.objects.filter(model_version=OuterRef("pk")))
    )
    seen = access.visible(user, Action.SUBMIT, rows.select_related("model__system"))
    return list(seen.order_by("-created_at")[:SHOWN])


def _failing(user: User) -> list[tuple[Run, StepRun | None]]:
    """Failed runs of late that no later run of the same pipeline made good, newest first, with the step at fault."""
    later = Run.objects.filter(
        version__pipeline=OuterRef("version__pipeline"), created_at__gt=OuterRef("created_at")
    ).exclude(state=RunState.CANCELLED)
    rows = Run.objects.filter(state=RunState.FAILED, created_at__gt=timezone.now() - timedelta(days=FAILING_DAYS))
    rows = rows.filter(~Exists(later)).select_related("version__pipeline", "system", "created_by")
    found = list(access.visible(user, Action.VIEW, rows).order_by("-created_at")[:100])
    steps: dict[UUID, StepRun] = {}
    failed = StepRun.objects.filter(run__in=found[:SHOWN], state=StepState.FAILED).defer("log", "measurements")
    for step in failed.order_by("-position"):
        steps[step.run_id] = step
    return [(run, steps.get(run.pk)) for run in found]


def _events(user: User) -> QuerySet[AuditEvent]:
    """What happened in the systems that the user may view, and what concerns all, newest first.

    Anybody who may view a system may see what happened in it in these words; the log itself needs its own right.
    """
    slugs = list(access.visible(user, Action.VIEW, AISystem.objects.all()).values_list("slug", flat=True))
    return AuditEvent.objects.filter(event__in=history.TELLING, system__in=[*slugs, ""]).order_by("-time", "-id")


def _count(rows: Any) -> Coalesce:
    counted = rows.filter(system=OuterRef("pk")).order_by().values("system").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)
