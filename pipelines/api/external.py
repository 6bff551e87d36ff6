"""REST: bringing in models that were trained elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import IO, Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pipelines.api import shapes
from pipelines.package.columns import MAX_COLUMNS
from pipelines.selectors import runs as selectors
from pipelines.services import external
from security.access import selectors as access
from security.access.people import systems
from security.access.table import Action
from security.errors import InvalidError
from security.rest.parsing import BytesParser, JsonParser
from security.rest.schema import answers
from security.rest.shapes import ArtifactRefSerializer, Body, SystemField
from security.rest.views import ApiView
from security.vault.services import CHUNK_BYTES


class ModelFileSerializer(ArtifactRefSerializer):
    """An uploaded model file in the vault."""

    format = serializers.ChoiceField(["skops", "onnx"], help_text="As its content says, whatever its name.")


class ColumnBody(Body):
    """One input of a model."""

    name = serializers.CharField(max_length=200)
    kind = serializers.ChoiceField(["number", "text"], default="number")
    minimum = serializers.FloatField(required=False, allow_null=True)
    maximum = serializers.FloatField(required=False, allow_null=True)
    values = serializers.ListField(
        child=serializers.CharField(allow_blank=True, max_length=500, trim_whitespace=False),
        required=False,
        max_length=1000,
        help_text="The texts it may hold.",
    )


class TrainingBody(Body):
    """What is said of the origin of a model."""

    sha256 = serializers.RegexField(r"^[0-9a-f]{64}$", help_text="Of the data that the model was trained on.")
    lineage = serializers.CharField(max_length=4000, help_text="From which data and how it was trained.")
    supplier = serializers.CharField(max_length=200, help_text="Who trained it.")
    reference = serializers.CharField(
        max_length=500, required=False, allow_blank=True, help_text="Where it comes from: an address, a commit."
    )


class ExternalModelBody(Body):
    """An uploaded file, what it takes and answers, and where it comes from."""

    system = SystemField(help_text="Slug of the system.")
    sha256 = serializers.RegexField(r"^[0-9a-f]{64}$", help_text="Of the file that POST /model-files stored.")
    model = serializers.RegexField(
        r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=56, help_text="Name in the registry; a known one gets a new version."
    )
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    task = serializers.ChoiceField(["classification", "regression"], default="classification")
    classes = serializers.ListField(
        child=serializers.CharField(max_length=200),
        required=False,
        max_length=1000,
        help_text="Of a classification, in the model's own order.",
    )
    columns = serializers.ListField(
        child=ColumnBody(), min_length=1, max_length=MAX_COLUMNS, help_text="Its inputs, in their order."
    )
    training = TrainingBody()


class ModelFilesView(ApiView):
    """Model files."""

    parser_classes = [BytesParser]
    query = ("system",)
    takes_bytes = True
    http_method_names = ["post"]

    @extend_schema(
        request={BytesParser.media_type: OpenApiTypes.BINARY},
        parameters=[OpenApiParameter("system", str, required=True, description="Slug of the system.")],
        responses={201: ModelFileSerializer},
    )
    def post(self, request: Request) -> Response:
        """Upload a model file: skops or ONNX, by its content. Pickle and everything else that runs code is refused.

        The body is the file itself, streamed. The same bytes again are the same artifact. Then POST /external-models.
        """
        slug = request.query_params.get("system", "")
        if not slug:
            raise InvalidError("Name the system: ?system=<slug>.", field="system")
        system = access.get(self.person, Action.REGISTER, systems(), slug=slug)
        external.require_size(int(request.META.get("CONTENT_LENGTH") or 0))
        artifact, kind = external.upload(acting_user=self.person, system=system, chunks=_pieces(request.data))
        return Response(ModelFileSerializer(_named(artifact, kind)).data, status=201)


class ExternalModelsView(ApiView):
    """Models that were trained elsewhere."""

    parser_classes = [JsonParser]
    http_method_names = ["post"]

    @answers(shapes.RunSerializer, request=ExternalModelBody, status=201)
    def post(self, request: Request) -> Response:
        """Bring in an uploaded model: a run opens it, asks it rows of its schema, and registers it.

        It is opened in a process without network, with limits of time and memory. A model that answers otherwise than
        declared fails the run, whose steps say why; otherwise the run has registered a model version.
        """
        given = self.parsed(ExternalModelBody)
        system = access.get(self.person, Action.REGISTER, systems(), slug=given["system"])
        training = given["training"]
        opening = {
            "sha256": given["sha256"],
            "task": given["task"],
            "classes": given.get("classes", []),
            "columns": [dict(column) for column in given["columns"]],
            "training_sha256": training["sha256"],
        }
        origin = {
            "model": given["model"],
            "description": given.get("description", ""),
            **{name: training[name] for name in ("supplier", "reference", "lineage") if name in training},
        }
        run = external.bring_in(acting_user=self.person, system=system, opening=opening, origin=origin)
        body = shapes.RunSerializer(selectors.runs().get(pk=run.pk)).data
        return Response(body, status=201, headers={"Location": f"/api/v1/runs/{run.pk}"})


def _pieces(body: Any) -> Iterator[bytes]:
    """The request's body piece by piece; nothing for an empty one."""
    stream: IO[bytes] | None = body.get("stream") if isinstance(body, dict) else None
    return iter(partial(stream.read, CHUNK_BYTES), b"") if stream is not None else iter(())


def _named(artifact: Any, kind: str) -> dict[str, Any]:
    return {**{name: getattr(artifact, name) for name in ("id", "digest", "size", "media_type")}, "format": kind}
