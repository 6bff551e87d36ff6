"""Reading runs and their steps."""

from __future__ import annotations

from django.db.models import Prefetch, QuerySet

from pipelines.models import Run, StepInput, StepOutput, StepRun, StepState
from pipelines.models.run import DONE_WELL
from pipelines.selectors.counting import count_of


def runs() -> QuerySet[Run]:
    """Runs with system, pipeline and author, ``step_count``, ``done_count`` and ``failed_count``, newest first."""
    return (
        Run.objects.select_related("system", "version__pipeline", "created_by")
        .annotate(
            step_count=count_of(StepRun.objects.all(), "run"),
            done_count=count_of(StepRun.objects.filter(state__in=DONE_WELL), "run"),
            failed_count=count_of(StepRun.objects.filter(state=StepState.FAILED), "run"),
        )
        .order_by("-created_at")
    )


def runs_with_steps() -> QuerySet[Run]:
    """Runs as ``runs`` has them, with all their steps in order and what went in and came out of each."""
    return runs().prefetch_related(Prefetch("steps", queryset=_steps().defer("log").order_by("position")))


def steps() -> QuerySet[StepRun]:
    """Steps with run, pipeline and system, their attempts, inputs and outputs."""
    return _steps().select_related("run__system", "run__version__pipeline").order_by("run", "position")


def _steps() -> QuerySet[StepRun]:
    inputs, outputs = (model.objects.select_related("artifact") for model in (StepInput, StepOutput))
    return StepRun.objects.select_related("reused_from").prefetch_related(
        "attempts", Prefetch("inputs", queryset=inputs), Prefetch("outputs", queryset=outputs)
    )
