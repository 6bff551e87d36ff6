"""What runs did lately: their verdict, how long they took, the last ones of each pipeline, how far open ones are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import (
    Case,
    DurationField,
    ExpressionWrapper,
    F,
    IntegerField,
    OuterRef,
    QuerySet,
    Subquery,
    When,
    Window,
)
from django.db.models.functions import RowNumber

from pipelines.models import Pipeline, Run, StepRun, StepState
from security.measurement import Verdict

_WORST_FIRST = {Verdict.FAIL: 0, Verdict.INCONCLUSIVE: 1, Verdict.PASS: 2}


def with_outcome(rows: QuerySet[Run]) -> QuerySet[Run]:
    """``rows`` with ``verdict``, the worst of their steps' (None when none gave one), and ``took``, start to end."""
    order = Case(
        *(When(verdict=verdict.value, then=place) for verdict, place in _WORST_FIRST.items()),
        output_field=IntegerField(),
    )
    worst = StepRun.objects.filter(run=OuterRef("pk")).exclude(verdict="").order_by(order, "position")
    return rows.annotate(
        verdict=Subquery(worst.values("verdict")[:1]),
        took=ExpressionWrapper(F("finished_at") - F("started_at"), output_field=DurationField()),
    )


def with_last_run(rows: QuerySet[Pipeline]) -> QuerySet[Pipeline]:
    """``rows`` with ``last_run_at`` and ``last_state`` of the newest run, None when there is none."""
    newest = Run.objects.filter(version__pipeline=OuterRef("pk")).order_by("-created_at")
    return rows.annotate(
        last_run_at=Subquery(newest.values("created_at")[:1]), last_state=Subquery(newest.values("state")[:1])
    )


def latest_runs(pipelines: Iterable[UUID], *, count: int = 12) -> dict[UUID, list[Run]]:
    """The last ``count`` runs of each pipeline, oldest first, as ``with_outcome`` has them; one query for all."""
    ranked = Run.objects.filter(version__pipeline__in=list(pipelines)).annotate(
        place=Window(RowNumber(), partition_by="version__pipeline", order_by=F("created_at").desc())
    )
    found: dict[UUID, list[Run]] = {}
    for run in with_outcome(ranked.filter(place__lte=count)).select_related("version").order_by("created_at"):
        found.setdefault(run.version.pipeline_id, []).append(run)
    return found


@dataclass(frozen=True)
class Progress:
    """How far a running step is: ``done`` of ``total`` (None: unknown), per second, and seconds left if known."""

    note: str
    done: int
    total: int | None
    rate: float | None = None
    left: float | None = None

    @property
    def percent(self) -> int | None:
        """Whole percent, None without a total."""
        return min(100, 100 * self.done // self.total) if self.total else None


def progress_of(step: StepRun) -> Progress | None:
    """What a running step last said of its progress, with the rate since it started; None when it said nothing."""
    told = step.progress
    if step.state != StepState.RUNNING or not told:
        return None
    done, total = int(told.get("done") or 0), told.get("total")
    rate = left = None
    if step.started_at is not None and told.get("at") and done > 0:
        seconds = (datetime.fromisoformat(told["at"]) - step.started_at).total_seconds()
        rate = done / seconds if seconds > 0 else None
    if rate and total:
        left = max(total - done, 0) / rate
    return Progress(str(told.get("note") or ""), done, total, rate, left)
