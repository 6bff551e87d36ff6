"""REST: registering specs, and reading pipelines and their versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.http import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from pipelines.api import shapes
from pipelines.models import PipelineVersion
from pipelines.selectors import pipelines as selectors
from pipelines.services import registration
from pipelines.spec.canonical import digest
from pipelines.spec.loading import MAX_BYTES
from security.access import selectors as access
from security.access.people import systems
from security.access.table import Action
from security.errors import InvalidError
from security.rest.filtering import DigestFilter, SystemFilter, TextFilter
from security.rest.parsing import JsonParser, TextYamlParser, YamlParser
from security.rest.schema import answers
from security.rest.shapes import Body, SystemField
from security.rest.views import ApiView, ListView, OneView

_YAML = {
    "type": "object",
    "additionalProperties": True,
    "description": f"A spec, as GET /api/v1/schema/pipeline describes it, in at most {MAX_BYTES:,} bytes of UTF-8.",
}
_SYSTEM = OpenApiParameter("system", str, description="Slug of the system, when the body is YAML.")


class SpecBody(Body):
    """A spec as JSON text or YAML text."""

    system = SystemField(required=False, help_text="Slug of the system; or as query parameter.")
    spec = serializers.CharField(trim_whitespace=False, max_length=MAX_BYTES + 1, help_text="YAML or JSON text.")


class PipelineFilter(django_filters.FilterSet):
    system = SystemFilter()
    name = TextFilter(help_text="Exactly this name.")
    search = TextFilter(field_name="title", lookup_expr="icontains", help_text="Part of the title.")


class PipelineVersionFilter(django_filters.FilterSet):
    digest = DigestFilter()


class SourceRenderer(BaseRenderer):
    """The text of a version as it was registered."""

    media_type = "application/yaml"
    format = "yaml"
    charset = "utf-8"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> str:
        return str(data["source"])


class _SpecView(ApiView):
    """Takes a spec as YAML, or as JSON ``{system, spec}``."""

    parser_classes = [JsonParser, YamlParser, TextYamlParser]
    query = ("system",)

    def spec(self) -> tuple[str, bytes | str]:
        """``(slug of the system, text)``; the slug is empty when it was not given."""
        slug = self.request.query_params.get("system", "")
        if isinstance(self.request.data, dict) and isinstance(self.request.data.get("text"), bytes):
            return slug, self.request.data["text"]
        given = self.parsed(SpecBody)
        return given.get("system") or slug, given["spec"]


_BODY = {"application/yaml": _YAML, "text/yaml": _YAML, "application/json": SpecBody}


class PipelinesView(_SpecView, ListView):
    """Pipelines of my systems."""

    serializer_class = shapes.PipelineSerializer
    filterset_class = PipelineFilter
    ordering_fields = ("name", "created_at")
    rows = staticmethod(selectors.pipelines)

    @extend_schema(
        request=_BODY,
        parameters=[_SYSTEM],
        responses={201: shapes.WholePipelineVersionSerializer, 200: shapes.WholePipelineVersionSerializer},
    )
    def post(self, request: Request) -> Response:
        """Register a spec: 201 for a new version, 200 when this spec is registered already.

        What is wrong with it is answered with line, column, step, parameter and a hint, all at once.
        """
        slug, text = self.spec()
        if not slug:
            raise InvalidError(
                "Name the system: ?system=<slug>, or the member “system” of a JSON body.", field="system"
            )
        system = access.get(self.person, Action.REGISTER, systems(), slug=slug)
        registered = registration.register(acting_user=self.person, system=system, text=text)
        version = selectors.versions().get(pk=registered.version.pk)
        where = {"Location": f"/api/v1/pipeline-versions/{version.pk}"}
        body = shapes.WholePipelineVersionSerializer(version).data
        return Response(body, status=201 if registered.created else 200, headers=where)


class CheckView(_SpecView):
    """Validate a spec without registering it."""

    verbs = ("check",)

    @extend_schema(request=_BODY, parameters=[_SYSTEM], responses={200: shapes.SpecSummarySerializer})
    def post(self, request: Request) -> Response:
        _, text = self.spec()
        spec = registration.check(text)
        body = {"name": spec.name, "digest": digest(spec), "steps": [step.name for step in spec.steps]}
        return Response(shapes.SpecSummarySerializer(body).data)


class PipelineView(OneView):
    """One pipeline."""

    serializer_class = shapes.PipelineSerializer
    rows = staticmethod(selectors.pipelines)


class PipelineVersionsView(ListView):
    """Versions of one pipeline, newest first."""

    serializer_class = shapes.PipelineVersionSerializer
    filterset_class = PipelineVersionFilter
    ordering_fields = ("number", "created_at")
    rows = staticmethod(selectors.versions)

    def visible(self) -> QuerySet[PipelineVersion]:
        pipeline = access.get(self.person, Action.VIEW, selectors.pipelines(), pk=self.kwargs["id"])
        return selectors.versions().filter(pipeline=pipeline)


class PipelineVersionView(OneView):
    """One version, with its spec; as YAML (`Accept: application/yaml` or `?format=yaml`) the registered text."""

    serializer_class = shapes.WholePipelineVersionSerializer
    rows = staticmethod(selectors.versions)
    renderer_classes = [JSONRenderer, SourceRenderer]

    @extend_schema(
        responses={(200, "application/json"): shapes.WholePipelineVersionSerializer, (200, "application/yaml"): _YAML}
    )
    def get(self, request: Request, id: UUID) -> HttpResponseBase:
        """One version, with its spec; as YAML (`Accept: application/yaml` or `?format=yaml`) the registered text."""
        return super().get(request)


class CompareView(OneView):
    """What changed from this version to another one."""

    rows = staticmethod(selectors.versions)
    query = ("with",)
    serializer_class = shapes.ComparisonSerializer

    @answers(
        shapes.ComparisonSerializer,
        parameters=[OpenApiParameter("with", UUID, required=True, description="Id of the newer version.")],
    )
    def get(self, request: Request, id: UUID) -> Response:
        try:
            other = UUID(request.query_params.get("with", ""))
        except ValueError:
            raise InvalidError("“with” is the id of a pipeline version.", field="with") from None
        old = self.one()
        new = access.get(self.person, Action.VIEW, selectors.versions(), pk=other)
        body = {"old": old, "new": new, "changes": selectors.changes(old, new)}
        return Response(shapes.ComparisonSerializer(body).data)
