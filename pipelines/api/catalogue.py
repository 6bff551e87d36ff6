"""REST: the steps that exist, and the published schema of specs."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pipelines.spec.schema import json_schema, params_schema
from pipelines.steps import registry
from pipelines.steps.contract import Step
from security.errors import MissingError
from security.rest.schema import answers
from security.rest.shapes import ObjectField, Shape
from security.rest.views import ApiView


class PortSerializer(Shape):
    kind = serializers.ChoiceField(["table", "model", "report", "file"])
    help = serializers.CharField()
    required = serializers.BooleanField()  # type: ignore[assignment]  # a member, not the option of a field


class StepKindSerializer(Shape):
    """A kind of step: what it takes, gives, and counts as evidence for."""

    id = serializers.CharField()
    title = serializers.CharField()
    help = serializers.CharField()
    params = ObjectField(help_text="JSON Schema (2020-12) of `with`.")
    inputs = serializers.DictField(child=PortSerializer())
    outputs = serializers.DictField(child=PortSerializer())
    sources = serializers.DictField(
        child=serializers.CharField(), help_text="Input that the engine fetches → the parameter with its path."
    )
    evidence = serializers.ListField(child=serializers.CharField())
    about = serializers.ListField(
        child=serializers.CharField(), help_text="Ports whose digests the evidence speaks of."
    )
    blocking = serializers.BooleanField(help_text="Whether FAIL stops the run.")


class StepKindsSerializer(Shape):
    count = serializers.IntegerField()
    results = StepKindSerializer(many=True)


class StepKindsView(ApiView):
    """Every kind of step that a spec can use, by id."""

    @answers(StepKindsSerializer, operation_id="steps_list")
    def get(self, request: Request) -> Response:
        found = [_kind(step) for _, step in sorted(registry().items())]
        return Response({"count": len(found), "results": found})


class StepKindView(ApiView):
    """One kind of step."""

    @answers(StepKindSerializer)
    def get(self, request: Request, id: str) -> Response:
        step = registry().get(id)
        if step is None:
            raise MissingError(f"There is no step {id[:80]!r}; GET /api/v1/steps lists those there are.")
        return Response(_kind(step))


class SpecSchemaView(ApiView):
    """The JSON Schema (2020-12) that every pipeline spec satisfies; editors complete and check with it."""

    @answers(OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        return Response(json_schema(registry()))


def _kind(step: Step) -> dict[str, object]:
    return {
        **{name: getattr(step, name) for name in ("id", "title", "help", "blocking")},
        "params": params_schema(step.params),
        "inputs": {name: vars(port) for name, port in step.inputs.items()},
        "outputs": {name: vars(port) for name, port in step.outputs.items()},
        "sources": {source.name: source.param for source in step.sources},
        "evidence": list(step.evidence),
        "about": list(step.about),
    }
