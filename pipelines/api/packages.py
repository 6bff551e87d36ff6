"""REST: the package of a model version, and the key that signs packages."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from pipelines.selectors.registry import model_versions
from pipelines.services import packages
from security.access import selectors as access
from security.access.table import Action
from security.rest.schema import answers
from security.rest.shapes import Shape
from security.rest.views import ApiView, OneView
from security.signing import p256


class ZipRenderer(BaseRenderer):
    """Names the media type in the schema; the bytes are streamed past it."""

    media_type = "application/zip"
    format = "zip"
    charset = None
    render_style = "binary"


class PackageKeySerializer(Shape):
    """The public key that packages are signed with: note it elsewhere, from a source that this server cannot change."""

    pem = serializers.CharField(help_text="P-256, SubjectPublicKeyInfo.")
    hint = serializers.CharField(help_text="SHA-256 of the PEM, by which signatures name the key.")


class PackageView(OneView):
    """The package of a model version: model, schemas, requirements, card, bill of materials, provenance, evidence.

    A ZIP that is signed as a whole (OpenSSF model signing) and checked offline; the same version with the same evidence
    gives the same bytes. Each reading is recorded in the audit log.
    """

    action = Action.READ_ARTIFACT
    rows = staticmethod(model_versions)
    renderer_classes = [ZipRenderer, JSONRenderer]
    conditional = False

    def one(self, action: Action | None = None) -> Any:
        """The version of that number. Raises MissingError, DeniedError."""
        which = {"model": self.kwargs["id"], "number": self.kwargs["number"]}
        return access.get(self.person, action or self.action, self.get_queryset(), **which)

    @extend_schema(responses={(200, "application/zip"): OpenApiTypes.BINARY})
    def get(self, request: Request, id: UUID, number: int) -> HttpResponseBase:
        version = self.one()
        headers = {
            "Content-Type": ZipRenderer.media_type,
            "Content-Disposition": f'attachment; filename="{packages.bundle_name(version)}"',
            "X-Content-Type-Options": "nosniff",
        }
        if request.method == "HEAD":
            return StreamingHttpResponse((), headers=headers)
        pieces = packages.bundle(acting_user=self.person, model_version=version)
        return StreamingHttpResponse(pieces, headers=headers)


class PackageKeyView(ApiView):
    """The public key that signs packages."""

    @answers(PackageKeySerializer)
    def get(self, request: Request) -> Response:
        key = p256.public_key()
        return Response({"pem": p256.public_pem(key).decode(), "hint": p256.key_hint(key)})
