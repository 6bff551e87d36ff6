"""REST: documents to take away: which there are, asking for one, and its bytes."""

from __future__ import annotations

import base64
from uuid import UUID

import django_filters
from django.http import HttpResponseBase, StreamingHttpResponse
from django.urls import path
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from governance.documents import api_shapes as shapes
from governance.documents import delivery, selectors, services
from governance.documents.facts.standing import standing
from governance.documents.kinds import KINDS
from governance.documents.models import Export, ExportState
from security.access.models import AISystem
from security.access.table import Action
from security.canonical import urn
from security.errors import InvalidError
from security.log import receipts
from security.log.events import Event
from security.log.proof_api import RECEIPT, TextRenderer
from security.rest.filtering import ChoiceFilter, SystemFilter, TextFilter, TimeFilter
from security.rest.schema import answers
from security.rest.views import ApiView, ListView, OneView
from security.vault.api import BytesRenderer


class ExportFilter(django_filters.FilterSet):
    system = SystemFilter()
    kind = ChoiceFilter(KINDS)
    state = ChoiceFilter(ExportState.values)
    subject = TextFilter(help_text="A URN, such as urn:countersign:model-version:….")
    requested_by = TextFilter(field_name="requested_by__username", help_text="A username.")
    after = TimeFilter(field_name="requested_at", lookup_expr="gte", help_text="Asked for not before this moment.")
    before = TimeFilter(field_name="requested_at", lookup_expr="lt", help_text="Asked for before this moment.")

    class Meta:
        model = Export
        fields: list[str] = []


class KindsView(ApiView):
    """Which documents there are, about what, in which formats, and for which roles."""

    @answers(shapes.KindsSerializer)
    def get(self, request: Request) -> Response:
        rows = [shapes.kind_line(kind) for kind in KINDS.values()]
        return Response(shapes.KindsSerializer({"results": rows}).data)


class ExportsView(ListView):
    """Documents that were asked for in my systems, newest first."""

    serializer_class = shapes.ExportSerializer
    filterset_class = ExportFilter
    ordering_fields = ("requested_at", "made_at")
    rows = staticmethod(selectors.exports)

    @extend_schema(
        request=shapes.ExportBody,
        responses={
            201: OpenApiResponse(shapes.ExportSerializer, description="It is made."),
            202: OpenApiResponse(shapes.ExportSerializer, description="A worker makes it: ask its address."),
        },
    )
    def post(self, request: Request) -> Response:
        """Ask for a document and say why. Who asked, why and the digest of the file stand in the audit log."""
        export = services.request(acting_user=self.person, **self.parsed(shapes.ExportBody))
        shown = shapes.ExportSerializer(selectors.exports().get(pk=export.pk)).data
        where = {"Location": f"/api/v1/exports/{export.pk}"}
        return Response(shown, status=202 if export.is_open else 201, headers=where)


class ExportView(OneView):
    """One document that was asked for: by whom, why, and what became of it."""

    serializer_class = shapes.ExportSerializer
    rows = staticmethod(selectors.exports)


class ExportContentView(OneView):
    """The verified bytes of a document; each reading is recorded in the audit log.

    `Repr-Digest` (RFC 9530) is the SHA-256 that the event `export:created` names. 409 while it is not made.
    """

    action = Action.EXPORT
    serializer_class = shapes.ExportSerializer
    rows = staticmethod(selectors.exports)
    renderer_classes = [BytesRenderer, JSONRenderer]

    @extend_schema(
        responses={
            (200, "*/*"): OpenApiResponse(OpenApiTypes.BINARY, description="The bytes, as an attachment."),
            (409, "application/problem+json"): OpenApiResponse(OpenApiTypes.OBJECT, description="It is not made."),
            (410, "application/problem+json"): OpenApiResponse(OpenApiTypes.OBJECT, description="It was shredded."),
            (500, "application/problem+json"): OpenApiResponse(OpenApiTypes.OBJECT, description="It is damaged."),
        }
    )
    def get(self, request: Request, id: UUID) -> HttpResponseBase:
        export = self.one()
        artifact = delivery.artifact_of(export)
        headers = {
            **delivery.headers(export),
            "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(artifact.digest)).decode()}:",
            "Cache-Control": "private, no-cache",
        }
        if request.method == "HEAD":
            return StreamingHttpResponse((), headers=headers)
        etag = quote_etag(artifact.digest)
        unchanged: HttpResponseBase | None = get_conditional_response(request._request, etag=etag)
        if unchanged is not None:
            return unchanged
        return StreamingHttpResponse(delivery.pieces(acting_user=self.person, export=export), headers=headers)


class ExportReceiptView(OneView):
    """The proof that the log holds the making of this document, and its digest: one file (C2SP tlog-proof)."""

    serializer_class = shapes.ExportSerializer
    rows = staticmethod(selectors.exports)
    renderer_classes = [TextRenderer, JSONRenderer]

    @RECEIPT
    def get(self, request: Request, id: UUID) -> HttpResponseBase:
        return receipts.as_file(receipts.about(urn("export", self.one().pk), Event.EXPORT_CREATED))


class StandingView(OneView):
    """What could be used in a system at a moment, approved by whom, on which evidence."""

    lookup = "slug"
    lookup_url_kwarg = "slug"
    query = ("at",)
    rows = staticmethod(AISystem.objects.all)

    @answers(shapes.StandingSerializer, parameters=[shapes.StandingQuery])
    def get(self, request: Request, slug: str) -> Response:
        at = self.asked(shapes.StandingQuery).get("at") or timezone.now()
        if at > timezone.now():
            raise InvalidError("Nothing is on record of the future: give a moment that has passed.", field="at")
        return Response(shapes.StandingSerializer(standing(self.one(), at=at)).data)


urlpatterns = [
    path("systems/<slug:slug>/standing", StandingView.as_view()),
    path("document-kinds", KindsView.as_view()),
    path("exports", ExportsView.as_view()),
    path("exports/<uuid:id>", ExportView.as_view()),
    path("exports/<uuid:id>/content", ExportContentView.as_view()),
    path("exports/<uuid:id>/receipt", ExportReceiptView.as_view()),
]
