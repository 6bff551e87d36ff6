"""What conditions of approvals, the gate, and signed statements look like in requests and answers."""

from __future__ import annotations

from rest_framework import serializers

from governance.api_shapes import ConditionSerializer, EnvironmentField, RevokeBody, expected_version_field
from governance.services.common import MAX_TEXT
from pipelines.api.shapes import ModelVersionRefSerializer
from security.rest.shapes import Body, Shape

__all__ = ["ConditionSerializer", "DeployGateSerializer", "EnvelopeSerializer", "GateQuery", "NoteBody", "RevokeBody"]


class NoteBody(Body):
    note = serializers.CharField(max_length=MAX_TEXT)
    expected_version = expected_version_field()


class GateQuery(Body):
    digest = serializers.RegexField(
        r"^[0-9a-f]{64}\Z", trim_whitespace=False, help_text="SHA-256 of the model's bytes, in hexadecimal."
    )
    environment = EnvironmentField(help_text="Where it is to be deployed, such as production.")


class DeployGateSerializer(Shape):
    """May it be deployed? Only where `allowed` is true."""

    allowed = serializers.BooleanField()
    digest = serializers.CharField()
    environment = serializers.CharField()
    reasons = serializers.ListField(child=serializers.CharField(), help_text="Why not; empty where it is allowed.")
    model_versions = ModelVersionRefSerializer(many=True, help_text="What is known under this digest.")
    approval = serializers.UUIDField(source="approval_id", allow_null=True, help_text="The approval that allows it.")
    valid_until = serializers.DateTimeField(allow_null=True)
    checked_at = serializers.DateTimeField()


class EnvelopeSignatureSerializer(Shape):
    keyid = serializers.CharField()
    sig = serializers.CharField()


class EnvelopeSerializer(Shape):
    """A DSSE envelope; `payload` is the base64 of an in-toto Statement v1."""

    payload = serializers.CharField()
    payloadType = serializers.CharField()  # noqa: N815 - the name in the DSSE protocol
    signatures = EnvelopeSignatureSerializer(many=True)
