"""Pages of runs and their steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from pipelines.forms import RunFilter, RunForm, field_name
from pipelines.models import Evidence, Run, RunState, StepRun, StepState
from pipelines.models.run import DONE_WELL
from pipelines.pictures.reports import pictures
from pipelines.selectors import activity, whereabouts
from pipelines.selectors import pipelines as pipeline_selectors
from pipelines.selectors import runs as selectors
from pipelines.services import runs as services
from pipelines.steps import registry
from pipelines.views import graphs
from pipelines.views.permits import Permit, permit
from security.access import selectors as access
from security.access.table import Action
from security.canonical import digest_of
from security.errors import ConflictError, MissingError, ServiceError
from security.forms import user_of
from security.identity.models import User
from security.listing import listed
from security.measurement import Verdict

OPEN_STEPS = (StepState.WAITING, StepState.QUEUED, StepState.RUNNING)
NO_CONTENT, NOT_SIGNED_IN = 204, 401


@login_required
@require_safe
def runs(request: HttpRequest) -> HttpResponse:
    """All runs that the user may see."""
    user = user_of(request)
    rows = activity.with_outcome(access.visible(user, Action.VIEW, selectors.runs()))
    narrowing = RunFilter(request.GET, user=user)
    sorts = ("created_at", "version__pipeline__name", "system__slug", "took", "state")
    page = listed(request, narrowing.narrow(rows), sorts=sorts, default="-created_at")
    return render(request, "pipelines/runs.html", {"page": page, "filter": narrowing})


@login_required
@require_http_methods(["GET", "POST"])
def run_new(request: HttpRequest, pk: str) -> HttpResponse:
    """Start a run of a version with a form made from its parameters. ``?like=<run>`` begins with another run's."""
    user = user_of(request)
    version = access.get(user, Action.RUN, pipeline_selectors.versions(), pk=pk)
    spec = pipeline_selectors.spec_of(version)
    initial = _like(user, request.GET.get("like", "")) if request.method == "GET" else {}
    form = RunForm(request.POST or None, specs=spec.parameters, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            seed = form.cleaned_data["seed"]
            run = services.create(acting_user=user, version=version, parameters=form.parameters, seed=seed)
            messages.success(request, f"Run {run.number} of {version.pipeline.name} is queued.")
            return redirect("run", pk=run.pk)
        except ServiceError as error:
            form.refuse(error)
    context = {"form": form, "version": version, "spec": spec, "graph": graphs.of_spec(spec)}
    return render(request, "pipelines/run_new.html", context, status=422 if form.errors else 200)


def _like(user: User, run_id: str) -> dict[str, Any]:
    """Another run's parameters and seed as a form's initial values; nothing without one."""
    if not run_id:
        return {}
    run = access.get(user, Action.VIEW, selectors.runs(), pk=run_id)
    return {"seed": run.seed, **{field_name(name): str(value) for name, value in run.parameters.items()}}


@login_required
@require_safe
def run(request: HttpRequest, pk: str) -> HttpResponse:
    """One run: its graph, its steps, what it was given."""
    user = user_of(request)
    found = access.get(user, Action.VIEW, activity.with_outcome(selectors.runs_with_steps()), pk=pk)
    return render(request, "pipelines/run.html", _run_context(user, found))


@require_safe
def run_live(request: HttpRequest, pk: str) -> HttpResponse:
    """The moving parts of a run's page; nothing (204) when they are as the reader has them (``?seen=``)."""
    if not request.user.is_authenticated:
        return HttpResponse(status=NOT_SIGNED_IN)
    user = user_of(request)
    found = access.get(user, Action.VIEW, activity.with_outcome(selectors.runs_with_steps()), pk=pk)
    context = _run_context(user, found)
    if request.GET.get("seen") == context["seen"]:
        return HttpResponse(status=NO_CONTENT)
    return render(request, "pipelines/live/run.html", {**context, "answer": True})


def _run_context(user: User, run: Run) -> dict[str, Any]:
    steps = list(run.steps.all())
    verdicts = [step.verdict for step in steps if step.verdict]
    return {
        "run": run,
        "version": run.version,
        "pipeline": run.version.pipeline,
        "graph": graphs.of_run(run, steps),
        "rows": [(step, activity.progress_of(step)) for step in steps],
        "failed": [step for step in steps if step.state == StepState.FAILED],
        "done": sum(step.state in DONE_WELL for step in steps),
        "total": len(steps),
        "headline": _headline(run, steps),
        "parts": [f"{verdicts.count(name)} {name}" for name in ("pass", "fail", "inconclusive") if name in verdicts],
        "may_run": permit(user, Action.RUN, run.system),
        "may_cancel": _may_cancel(user, run),
        "may_retry": _may_retry(user, run),
        "seen": _seen(run, steps),
    }


def _headline(run: Run, steps: Sequence[StepRun]) -> str:
    """How it ended, in one sentence with the checks that fail; empty while it is open."""
    done = sum(step.state in DONE_WELL for step in steps)
    reused = sum(step.state == StepState.REUSED for step in steps)
    failed = [step.name for step in steps if step.state == StepState.FAILED]
    again = f", {reused} of them reused" if reused else ""
    against = [step.name for step in steps if step.verdict == Verdict.FAIL and step.state in DONE_WELL]
    but = f", but {' and '.join(against)} {'does' if len(against) == 1 else 'do'} not pass" if against else ""
    return {
        RunState.SUCCEEDED: f"All {len(steps)} steps are done{again}{but}.",
        RunState.FAILED: f"Stopped at {', '.join(failed) or 'no step'}: {done} of {len(steps)} steps are done{again}.",
        RunState.CANCELLED: f"Cancelled: {done} of {len(steps)} steps were done{again}.",
    }.get(RunState(run.state), "")


def _may_cancel(user: User, run: Run) -> Permit:
    if run.is_open and run.cancel_requested_at is not None:
        return Permit("It is being cancelled; running steps end within seconds.")
    return permit(user, Action.CANCEL, run.system)


def _may_retry(user: User, run: Run) -> Permit:
    if run.state not in (RunState.FAILED, RunState.CANCELLED):
        return Permit(f"Only a failed or cancelled run can be retried; this one is {run.state}.")
    return permit(user, Action.RUN, run.system)


def _seen(run: Run, steps: Sequence[StepRun]) -> str:
    """A short name for everything on the page that can move."""
    moving = [[step.name, str(step.state), step.attempt, step.progress.get("done"), step.verdict] for step in steps]
    return digest_of([str(run.state), run.cancel_requested_at is not None, moving])[:16]


@require_POST
@login_required
def run_cancel(request: HttpRequest, pk: str) -> HttpResponse:
    """Ask a run to stop."""
    user = user_of(request)
    run = access.get(user, Action.CANCEL, selectors.runs(), pk=pk)
    try:
        services.cancel(acting_user=user, run=run)
        messages.info(request, f"Run {run.number} is being cancelled.")
    except ConflictError as error:
        messages.warning(request, error.message)
    return redirect("run", pk=pk)


@require_POST
@login_required
def run_retry(request: HttpRequest, pk: str) -> HttpResponse:
    """Continue a failed or cancelled run."""
    user = user_of(request)
    run = access.get(user, Action.RUN, selectors.runs(), pk=pk)
    try:
        services.retry(acting_user=user, run=run)
        messages.success(request, f"Run {run.number} goes on from the steps that did not succeed.")
    except ConflictError as error:
        messages.warning(request, error.message)
    return redirect("run", pk=pk)


@login_required
@require_safe
def step(request: HttpRequest, pk: str, name: str) -> HttpResponse:
    """One step of a run: everything that is known of it."""
    found = _step(user_of(request), pk, name)
    return render(request, "pipelines/step.html", _step_context(found))


@require_safe
def step_live(request: HttpRequest, pk: str, name: str) -> HttpResponse:
    """The moving parts of a step's page, as ``run_live``."""
    if not request.user.is_authenticated:
        return HttpResponse(status=NOT_SIGNED_IN)
    found = _step(user_of(request), pk, name)
    context = _step_context(found)
    if request.GET.get("seen") == context["seen"]:
        return HttpResponse(status=NO_CONTENT)
    return render(request, "pipelines/live/step.html", {**context, "answer": True})


def _step(user: User, pk: str, name: str) -> StepRun:
    """A run's step. Raises MissingError."""
    run = access.get(user, Action.VIEW, selectors.runs(), pk=pk)
    found = selectors.steps().select_related("reused_from__run__version__pipeline").filter(run=run, name=name).first()
    if found is None:
        raise MissingError(f"Run {run.number} has no step of that name.")
    return found


def _step_context(step: StepRun) -> dict[str, Any]:
    report = whereabouts.read_report(whereabouts.report_of(step))
    neighbours = list(step.run.steps.values_list("name", "state").order_by("position"))
    at = [name for name, _ in neighbours].index(step.name)
    return {
        "step": step,
        "run": step.run,
        "pipeline": step.run.version.pipeline,
        "definition": registry().get(step.uses),
        "progress": activity.progress_of(step),
        "open": step.state in OPEN_STEPS and step.run.is_open,
        "pictures": pictures(step.uses, report, step.params),
        "evidence": list(Evidence.objects.filter(step_run=step).select_related("subject")),
        "log": step.log.splitlines(),
        "previous": neighbours[at - 1][0] if at else None,
        "next": neighbours[at + 1][0] if at + 1 < len(neighbours) else None,
        "seen": _seen(step.run, [step]),
    }
