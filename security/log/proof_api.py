"""REST: receipts, inclusion and consistency proofs of the audit log."""

from __future__ import annotations

import base64
from typing import Any

from django.http import HttpResponseBase
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from security.access import selectors as access
from security.access.table import Action
from security.errors import DeniedError, UnavailableError
from security.identity.models import User
from security.log import keys, published
from security.log.receipts import as_file
from security.log.visibility import visible_event
from security.rest.schema import answers
from security.rest.shapes import Body, Shape
from security.rest.views import ApiView

RECEIPT = extend_schema(
    responses={(200, "text/plain"): OpenApiResponse(OpenApiTypes.STR, description="A file in C2SP tlog-proof form.")}
)


class TextRenderer(BaseRenderer):
    """Names the media type in the schema; the text is given past it."""

    media_type = "text/plain"
    format = "txt"
    charset = "utf-8"


class HashField(serializers.CharField):
    """A SHA-256 hash in standard base64."""

    def to_representation(self, value: Any) -> str:
        return base64.b64encode(value).decode()


class InclusionSerializer(Shape):
    index = serializers.IntegerField()
    size = serializers.IntegerField()
    leaf = HashField(help_text="SHA-256(0x00 ‖ entry), base64.")
    hashes = serializers.ListField(child=HashField(), help_text="From the leaf's sibling upwards (RFC 9162 §2.1.3).")
    checkpoint = serializers.CharField(help_text="The signed tree head (C2SP tlog-checkpoint) that they lead to.")


class ConsistencySerializer(Shape):
    old = serializers.IntegerField()
    new = serializers.IntegerField()
    hashes = serializers.ListField(child=HashField(), help_text="RFC 9162 §2.1.4, base64.")
    checkpoint = serializers.CharField(help_text="The signed tree head of the larger tree.")


class KeysSerializer(Shape):
    """Verifier keys (C2SP signed-note): note them elsewhere, from a source that this server cannot change."""

    log = serializers.CharField(help_text="Signs checkpoints.")
    clock = serializers.CharField(help_text="Cosigns each with the time that this server's clock showed.")


class InclusionQuery(Body):
    index = serializers.IntegerField(min_value=0, max_value=2**53)
    size = serializers.IntegerField(required=False, min_value=1, max_value=2**53)


class ConsistencyQuery(Body):
    old = serializers.IntegerField(min_value=1, max_value=2**53)
    new = serializers.IntegerField(required=False, min_value=1, max_value=2**53)


class ReceiptView(ApiView):
    """A receipt: the proof that this event is in the log, in one file (C2SP tlog-proof) that is checked offline."""

    renderer_classes = [TextRenderer, JSONRenderer]

    @RECEIPT
    def get(self, request: Request, index: int) -> HttpResponseBase:
        _require_somewhere(self.person)
        return as_file(visible_event(self.person, index))


class InclusionView(ApiView):
    """The inclusion proof of an entry in a signed tree: that of `size` entries, or the newest.

    Hashes only, so whoever may view any system's log may ask for any entry.
    """

    query = ("index", "size")

    @answers(InclusionSerializer, parameters=[InclusionQuery])
    def get(self, request: Request) -> Response:
        _require_somewhere(self.person)
        asked = self.asked(InclusionQuery)
        signed = published.of_size(asked["size"]) if "size" in asked else published.current(asked["index"] + 1)
        size = signed.checkpoint.size
        leaf, hashes = published.inclusion(asked["index"], size)
        shown = {"index": asked["index"], "size": size, "leaf": leaf, "hashes": hashes, "checkpoint": signed.note}
        return Response(InclusionSerializer(shown).data)


class ConsistencyView(ApiView):
    """The proof that the signed tree of `new` entries (the newest by default) begins with that of `old` entries."""

    query = ("old", "new")

    @answers(ConsistencySerializer, parameters=[ConsistencyQuery])
    def get(self, request: Request) -> Response:
        _require_somewhere(self.person)
        asked = self.asked(ConsistencyQuery)
        signed = published.of_size(asked["new"]) if "new" in asked else published.current()
        new = signed.checkpoint.size
        hashes = published.consistency(asked["old"], new)
        shown = {"old": asked["old"], "new": new, "hashes": hashes, "checkpoint": signed.note}
        return Response(ConsistencySerializer(shown).data)


class KeysView(ApiView):
    """The keys that sign the log."""

    @answers(KeysSerializer)
    def get(self, request: Request) -> Response:
        try:
            log, clock = keys.verifiers()
        except keys.LogKeyError as error:
            raise UnavailableError(f"The log's public keys are not here: {error}.") from None
        return Response(KeysSerializer({"log": log.vkey(), "clock": clock.vkey()}).data)


def _require_somewhere(person: User) -> None:
    if not access.allowed_somewhere(person, Action.VIEW_LOG):
        raise DeniedError(access.denial(person, Action.VIEW_LOG))


urlpatterns = [
    path("events/<int:index>/receipt", ReceiptView.as_view()),
    path("log/inclusion", InclusionView.as_view()),
    path("log/consistency", ConsistencyView.as_view()),
    path("log/keys", KeysView.as_view()),
]
