"""REST: artifacts and their bytes."""

from __future__ import annotations

import base64
from typing import Any
from uuid import UUID

import django_filters
from django.http import HttpResponseBase, StreamingHttpResponse
from django.urls import path
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from security.access.table import Action
from security.canonical import urn
from security.log import receipts
from security.log.events import Event
from security.log.proof_api import RECEIPT, TextRenderer
from security.rest.filtering import ChoiceFilter, DigestFilter, FlagFilter, TextFilter, TimeFilter
from security.rest.schema import answers
from security.rest.shapes import ArtifactRefSerializer, Body, Shape
from security.rest.views import ListView, OneView
from security.vault import services as vault
from security.vault import shredding
from security.vault.delivery import deliver, filename
from security.vault.models import Artifact, FindingKind, VaultFinding
from security.vault.reading import artifacts, findings


class ArtifactSerializer(ArtifactRefSerializer):
    """One content in one system, named by the SHA-256 of its plaintext."""

    system = serializers.CharField(source="system.slug")
    stored_sha256 = serializers.CharField(source="object_sha256", help_text="Of the ciphertext: needs no key to check.")
    stored_size = serializers.IntegerField(source="object_size")
    created_at = serializers.DateTimeField()
    shredded_at = serializers.DateTimeField(
        allow_null=True, help_text="When its key was destroyed: the bytes are gone, digest and history stay."
    )


class FindingSerializer(Shape):
    """What a scrub found wrong with one artifact; closed when it verifies again."""

    id = serializers.UUIDField()
    artifact = ArtifactRefSerializer()
    system = serializers.CharField(source="artifact.system.slug")
    kind = serializers.ChoiceField(FindingKind.choices)
    detail = serializers.CharField()
    opened_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)


class FindingFilter(django_filters.FilterSet):
    system = TextFilter(field_name="artifact__system__slug", help_text="A system's slug.")
    kind = ChoiceFilter(FindingKind.values)
    open = FlagFilter(field_name="closed_at", lookup_expr="isnull", help_text="true: not closed yet.")

    class Meta:
        model = VaultFinding
        fields: list[str] = []


class OpeningSerializer(Shape):
    """What opens the commitment in the events of an artifact."""

    digest = serializers.CharField(help_text="SHA-256 of the content.")
    salt = serializers.CharField()
    commitment = serializers.CharField(help_text="As it stands in the events artifact:stored and artifact:healed.")


class ShredBody(Body):
    """Why an artifact is erased."""

    ground = serializers.ChoiceField([ground.value for ground in shredding.Ground])


class ArtifactFilter(django_filters.FilterSet):
    system = TextFilter(field_name="system__slug", help_text="A system's slug.")
    digest = DigestFilter(help_text="The whole SHA-256 of the content.")
    media_type = TextFilter()
    after = TimeFilter(field_name="created_at", lookup_expr="gte", help_text="Stored not before this moment.")
    before = TimeFilter(field_name="created_at", lookup_expr="lt", help_text="Stored before this moment.")

    class Meta:
        model = Artifact
        fields: list[str] = []


class BytesRenderer(BaseRenderer):
    """Names the media type in the schema; the bytes are streamed past it."""

    media_type = "application/octet-stream"
    format = "bytes"
    charset = None
    render_style = "binary"


class ArtifactsView(ListView):
    """Artifacts: datasets, models, reports, source files."""

    serializer_class = ArtifactSerializer
    filterset_class = ArtifactFilter
    ordering_fields = ("created_at", "size")
    rows = staticmethod(artifacts)


class ArtifactView(OneView):
    """One artifact, without its bytes."""

    serializer_class = ArtifactSerializer
    rows = staticmethod(artifacts)


class ArtifactContentView(OneView):
    """The verified bytes of an artifact; each reading is recorded in the audit log.

    A damaged artifact is never delivered as complete: a small one is verified before the first byte (500 if it is
    damaged), a large one breaks off before its announced length. `Repr-Digest` (RFC 9530) is the SHA-256 to compare.
    """

    action = Action.READ_ARTIFACT
    rows = staticmethod(artifacts)
    renderer_classes = [BytesRenderer, JSONRenderer]
    serializer_class = ArtifactSerializer

    @extend_schema(
        responses={
            (200, "*/*"): OpenApiResponse(OpenApiTypes.BINARY, description="The bytes, as an attachment."),
            (410, "application/problem+json"): OpenApiResponse(OpenApiTypes.OBJECT, description="It was shredded."),
            (500, "application/problem+json"): OpenApiResponse(OpenApiTypes.OBJECT, description="It is damaged."),
        }
    )
    def get(self, request: Request, id: UUID) -> HttpResponseBase:
        artifact = self.one()
        vault.require_readable(artifact)
        headers, etag = _headers(artifact), quote_etag(artifact.digest)
        if request.method == "HEAD":
            return StreamingHttpResponse((), headers=headers)
        unchanged: HttpResponseBase | None = get_conditional_response(request._request, etag=etag)
        if unchanged is not None:
            return unchanged
        return StreamingHttpResponse(deliver(acting_user=self.person, artifact=artifact).pieces, headers=headers)


class FindingsView(ListView):
    """Artifacts that a scrub found damaged or missing, newest first."""

    serializer_class = FindingSerializer
    filterset_class = FindingFilter
    ordering_fields = ("opened_at",)
    rows = staticmethod(findings)


class OpeningView(OneView):
    """What opens the commitment in the events of an artifact: the digest of its content and the salt.

    `commitment` is SHA-256(salt ‖ digest), of the bytes that the hexadecimal digits stand for.
    """

    action = Action.READ_ARTIFACT
    serializer_class = OpeningSerializer
    rows = staticmethod(artifacts)

    def get(self, request: Request, id: UUID) -> Response:
        return Response(self.get_serializer(vault.opening_of(self.one())).data)


class ShredView(OneView):
    """Erase an artifact: its key is destroyed for good, its digest and history stay in the log.

    For the owner of the system, signed in: no token can do it. The stored ciphertext stays and can still be verified.
    """

    action = Action.SHRED
    serializer_class = ArtifactSerializer
    rows = staticmethod(artifacts)
    http_method_names = ["post"]
    verbs = ("shred",)

    @answers(ArtifactSerializer, request=ShredBody)
    def post(self, request: Request, id: UUID) -> Response:
        artifact, body = self.one(), self.parsed(ShredBody)
        done = shredding.shred(acting_user=self.person, artifact=artifact, ground=body["ground"])
        return Response(self.get_serializer(done).data)


def _headers(artifact: Artifact) -> dict[str, Any]:
    digest = base64.b64encode(bytes.fromhex(artifact.digest)).decode()
    return {
        "Content-Type": artifact.media_type,
        "Content-Length": str(artifact.size),
        "Content-Disposition": f'attachment; filename="{filename(artifact)}"',
        "X-Content-Type-Options": "nosniff",
        "Repr-Digest": f"sha-256=:{digest}:",
        "ETag": quote_etag(artifact.digest),
        "Cache-Control": "private, no-cache",
    }


class ArtifactReceiptView(OneView):
    """The proof that the log holds the storing of this artifact: one file (C2SP tlog-proof), checked offline."""

    rows = staticmethod(artifacts)
    renderer_classes = [TextRenderer, JSONRenderer]
    serializer_class = ArtifactSerializer

    @RECEIPT
    def get(self, request: Request, id: UUID) -> HttpResponseBase:
        return receipts.as_file(receipts.about(urn("artifact", self.one().pk), Event.ARTIFACT_STORED))


urlpatterns = [
    path("artifact-findings", FindingsView.as_view()),
    path("artifacts", ArtifactsView.as_view()),
    path("artifacts/<uuid:id>", ArtifactView.as_view()),
    path("artifacts/<uuid:id>/content", ArtifactContentView.as_view()),
    path("artifacts/<uuid:id>/opening", OpeningView.as_view()),
    path("artifacts/<uuid:id>/receipt", ArtifactReceiptView.as_view()),
    path("artifacts/<uuid:id>/shred", ShredView.as_view()),
]
