"""REST: starting, watching, cancelling and retrying runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar
from uuid import UUID

import django_filters
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pipelines.api import shapes
from pipelines.models import PipelineVersion, Run, RunState
from pipelines.selectors import pipelines, runs
from pipelines.services import runs as services
from security.access import selectors as access
from security.access.table import Action
from security.rest.filtering import ChoiceFilter, IdFilter, SystemFilter, TextFilter, TimeFilter
from security.rest.schema import answers
from security.rest.shapes import Body, nothing_else
from security.rest.views import ListView, OneView


class RunBody(Body):
    """Which version, or which pipeline in its latest version, and with what."""

    version = serializers.UUIDField(required=False, help_text="Id of a pipeline version.")
    pipeline = serializers.UUIDField(required=False, help_text="Id of a pipeline: its latest version.")
    parameters = serializers.DictField(required=False, default=dict, help_text="Run parameters by name.")
    seed = serializers.IntegerField(required=False, min_value=0, max_value=services.MAX_SEED)


class RunFilter(django_filters.FilterSet):
    system = SystemFilter()
    pipeline = IdFilter(field_name="version__pipeline", help_text="Id of a pipeline.")
    version = IdFilter(field_name="version", help_text="Id of a pipeline version.")
    state = ChoiceFilter(RunState.values)
    created_by = TextFilter(field_name="created_by__username", help_text="A username.")
    after = TimeFilter(field_name="created_at", lookup_expr="gte", help_text="Created not before this moment.")
    before = TimeFilter(field_name="created_at", lookup_expr="lt", help_text="Created before this moment.")


class RunsView(ListView):
    """Runs in my systems, newest first."""

    serializer_class = shapes.RunSerializer
    filterset_class = RunFilter
    ordering_fields = ("created_at", "finished_at")
    rows = staticmethod(runs.runs)

    @answers(shapes.WholeRunSerializer, request=RunBody, status=201)
    def post(self, request: Request) -> Response:
        """Start a run; its steps are queued at once. Ask its address for how it goes."""
        given = self.parsed(RunBody)
        run = services.create(
            acting_user=self.person,
            version=self._version(nothing_else("version", "pipeline", given=given), given),
            parameters=given["parameters"],
            seed=given.get("seed"),
        )
        where = {"Location": f"/api/v1/runs/{run.pk}"}
        return Response(_whole(run), status=201, headers=where)

    def _version(self, by: str, given: dict[str, UUID]) -> PipelineVersion:
        if by == "version":
            return access.get(self.person, Action.RUN, pipelines.versions(), pk=given["version"])
        found = access.get(self.person, Action.RUN, pipelines.pipelines(), pk=given["pipeline"])
        return pipelines.latest_version(found)


class RunView(OneView):
    """One run with its steps: states, progress, measurements, verdicts, errors."""

    serializer_class = shapes.WholeRunSerializer
    rows = staticmethod(runs.runs_with_steps)


class _Order(OneView):
    """One service is called with the run, and the answer is the run as it is then."""

    rows = staticmethod(runs.runs)
    http_method_names = ["post"]
    service: ClassVar[Callable[..., Run]]

    @answers(shapes.WholeRunSerializer)
    def post(self, request: Request, id: UUID) -> Response:
        return Response(_whole(type(self).service(acting_user=self.person, run=self.one())))


class CancelView(_Order):
    """Ask a run to stop: nothing new starts, and running steps end within seconds."""

    verbs = ("cancel",)
    action = Action.CANCEL
    service = staticmethod(services.cancel)


class RetryView(_Order):
    """Continue a failed or cancelled run from the steps that did not succeed."""

    verbs = ("retry",)
    action = Action.RUN
    service = staticmethod(services.retry)


class StepRunView(OneView):
    """One step of a run, with its attempts and its log."""

    serializer_class = shapes.WholeStepSerializer
    rows = staticmethod(runs.steps)

    @answers(shapes.WholeStepSerializer)
    def get(self, request: Request, id: UUID, name: str) -> Response:
        step = access.get(self.person, Action.VIEW, runs.steps(), run=id, name=name)
        return Response(shapes.WholeStepSerializer(step).data)


def _whole(run: Run) -> dict[str, object]:
    """The run as it is now, with its steps."""
    return dict(shapes.WholeRunSerializer(runs.runs_with_steps().get(pk=run.pk)).data)
