"""Pages of pipelines and their versions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from pipelines.forms import PipelineFilter, SpecForm
from pipelines.models import PipelineVersion, Run, RunState
from pipelines.selectors import activity
from pipelines.selectors import pipelines as selectors
from pipelines.selectors import runs as run_selectors
from pipelines.services import registration
from pipelines.spec.canonical import as_json
from pipelines.spec.loading import MAX_BYTES
from pipelines.spec.model import PipelineSpec, StepSpec
from pipelines.steps import registry
from pipelines.steps.contract import Step
from pipelines.views import graphs
from pipelines.views.listing import listing
from pipelines.views.permits import permit
from security.access import selectors as access
from security.access.table import Action
from security.errors import MissingError, ServiceError
from security.forms import refuse, user_of
from security.listing import listed

RUNS_SHOWN = 10


@dataclass(frozen=True)
class Activity:
    """The last runs of a pipeline: the newest one, and the seconds that the successful ones took, oldest first."""

    last: Run | None
    seconds: list[float]

    @property
    def words(self) -> str:
        """What the small line shows."""
        if not self.seconds:
            return ""
        return f"seconds of the last {len(self.seconds)} successful runs, now {self.seconds[-1]:.1f}"


@dataclass(frozen=True)
class SpecStep:
    """A step as it is written, its definition if this installation has it, and its parameters as compact JSON."""

    spec: StepSpec
    definition: Step | None
    arguments: list[tuple[str, str]]


@login_required
@require_safe
def pipelines(request: HttpRequest) -> HttpResponse:
    """All pipelines that the user may see, with how their last runs went."""
    user = user_of(request)
    rows = activity.with_last_run(access.visible(user, Action.VIEW, selectors.pipelines()))
    narrowing = PipelineFilter(request.GET, user=user)
    page = listed(
        request, narrowing.narrow(rows), sorts=("name", "system__slug", "last_run_at", "created_at"), default="name"
    )
    runs = activity.latest_runs([pipeline.pk for pipeline in page])
    context = {
        "page": page,
        "rows": [(pipeline, _activity(runs.get(pipeline.pk, []))) for pipeline in page],
        "filter": narrowing,
        "may_register": access.allowed_somewhere(user, Action.REGISTER),
    }
    return render(request, "pipelines/pipelines.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def pipeline_new(request: HttpRequest) -> HttpResponse:
    """Register a specification from a file or from text; its errors stand at their lines."""
    user = user_of(request)
    if not access.allowed_somewhere(user, Action.REGISTER):
        access.require(user, Action.REGISTER)
    initial: dict[str, Any] = {"system": request.GET.get("system")}
    if (known := request.GET.get("version")) and request.method == "GET":
        version = access.get(user, Action.VIEW, selectors.versions(), pk=known)
        initial = {"system": version.pipeline.system_id, "text": version.source}
    form = SpecForm(request.POST or None, request.FILES or None, user=user, initial=initial)
    errors: Sequence[Mapping[str, Any]] = ()
    if request.method == "POST" and form.is_valid():
        try:
            made = registration.register(
                acting_user=user, system=form.cleaned_data["system"], text=form.cleaned_data["spec"]
            )
            return _registered(request, made)
        except registration.InvalidSpecError as error:
            errors = error.extra["errors"]
            form.add_error("text", "This specification cannot be registered yet; what is wrong stands at its lines.")
        except ServiceError as error:
            refuse(form, error)
    context = {
        "form": form,
        "errors": errors,
        "listing": listing(str(form["text"].value() or ""), errors) if errors else (),
        "steps": sorted(registry().values(), key=lambda step: step.id),
        "limit": MAX_BYTES,
    }
    return render(request, "pipelines/pipeline_new.html", context, status=422 if form.errors else 200)


def _registered(request: HttpRequest, made: registration.Registered) -> HttpResponse:
    version = made.version
    if made.created:
        messages.success(request, f"{version.pipeline.name} version {version.number} is registered.")
    else:
        messages.info(request, f"Nothing changed: this is version {version.number}, registered before.")
    return redirect("pipeline-version", pk=version.pk)


@login_required
@require_safe
def pipeline(request: HttpRequest, pk: str) -> HttpResponse:
    """One pipeline: its newest graph, its versions, how its runs went."""
    user = user_of(request)
    found = access.get(user, Action.VIEW, selectors.pipelines(), pk=pk)
    versions = list(selectors.versions().filter(pipeline=found))
    context = {
        "pipeline": found,
        "versions": versions,
        "runs": _runs(version__pipeline=found),
        "may_run": permit(user, Action.RUN, found.system),
        "may_register": permit(user, Action.REGISTER, found.system),
        **_spec_context(versions[0]),
    }
    return render(request, "pipelines/pipeline.html", context)


@login_required
@require_safe
def pipeline_version(request: HttpRequest, pk: str) -> HttpResponse:
    """One version: its graph, its text, its digest, its runs."""
    user = user_of(request)
    version = access.get(user, Action.VIEW, selectors.versions(), pk=pk)
    siblings = version.pipeline.versions.filter(number__in=(version.number - 1, version.number + 1))
    around = {sibling.number: sibling for sibling in siblings}
    context = {
        "listing": listing(version.source),
        "canonical": as_json(selectors.spec_of(version)),
        "previous": around.get(version.number - 1),
        "next": around.get(version.number + 1),
        "runs": _runs(version=version),
        "may_run": permit(user, Action.RUN, version.pipeline.system),
        **_spec_context(version),
    }
    return render(request, "pipelines/pipeline_version.html", context)


@login_required
@require_safe
def pipeline_compare(request: HttpRequest, pk: str) -> HttpResponse:
    """Two versions side by side: what changed in meaning, and in the text."""
    user = user_of(request)
    found = access.get(user, Action.VIEW, selectors.pipelines(), pk=pk)
    versions = list(selectors.versions().filter(pipeline=found))
    new = _numbered(versions, request.GET.get("to"), versions[0])
    before = next((version for version in versions if version.number < new.number), versions[-1])
    old = _numbered(versions, request.GET.get("from"), before)
    context = {
        "pipeline": found,
        "versions": versions,
        "old": old,
        "new": new,
        "old_title": f"Version {old.number}",
        "new_title": f"Version {new.number}",
        "changes": selectors.changes(old, new),
    }
    return render(request, "pipelines/pipeline_compare.html", context)


def _numbered(versions: Sequence[PipelineVersion], number: str | None, otherwise: PipelineVersion) -> PipelineVersion:
    """The version of that number. Raises MissingError when there is none."""
    if not number:
        return otherwise
    found = next((version for version in versions if str(version.number) == number), None)
    if found is None:
        raise MissingError(f"This pipeline has versions 1 to {versions[0].number}, and no other.")
    return found


def _runs(**which: Any) -> list[Run]:
    return list(activity.with_outcome(run_selectors.runs().filter(**which))[:RUNS_SHOWN])


def _activity(runs: Sequence[Run]) -> Activity:
    ends = [(run.started_at, run.finished_at) for run in runs if run.state == RunState.SUCCEEDED]
    took = [(end - start).total_seconds() for start, end in ends if start and end]
    return Activity(runs[-1] if runs else None, took)


def _written(arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, json.dumps(value, ensure_ascii=False)) for name, value in arguments.items()]


def _spec_context(version: PipelineVersion) -> dict[str, Any]:
    """What the pages of a version share: the graph, the steps with what is known of them, the run parameters."""
    spec: PipelineSpec = selectors.spec_of(version)
    known = registry()
    steps = [SpecStep(step, known.get(step.uses), _written(step.arguments)) for step in spec.steps]
    return {
        "version": version,
        "spec": spec,
        "steps": steps,
        "parameters": spec.parameters.items(),
        "graph": graphs.of_spec(spec),
    }
