"""What policies, drafts and simulations look like in answers, and what requests for them hold."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from governance.models import PolicyVersion
from governance.policy import TIERS
from governance.policymaking.models import DraftState, PolicyDraft
from governance.policymaking.services import MAX_REASON
from governance.policymaking.texts import MAX_TEXT
from pipelines.api.shapes import ModelVersionRefSerializer
from security.rest.shapes import Body, ObjectField, PersonRefSerializer, Shape


class PolicyVersionSerializer(Shape):
    """One published version; `number` counts the versions of its tier."""

    id = serializers.UUIDField()
    name = serializers.CharField(source="key")
    tier = serializers.ChoiceField(TIERS)
    number = serializers.IntegerField()
    digest = serializers.CharField()
    published_at = serializers.DateTimeField()


class PublishedPolicySerializer(Shape):
    id = serializers.UUIDField()
    number = serializers.IntegerField()
    digest = serializers.CharField()


class PolicyChangeSerializer(Shape):
    """One difference of two policies; an empty text stands for nothing."""

    path = serializers.CharField()
    before = serializers.CharField()
    after = serializers.CharField()


class PolicySignatureSerializer(Shape):
    """One person's signature under a policy."""

    id = serializers.UUIDField()
    signer = PersonRefSerializer()
    printed_name = serializers.CharField()
    role = serializers.CharField()
    reason = serializers.CharField()
    policy_digest = serializers.CharField()
    base_digest = serializers.CharField(help_text="Of the version that it follows; empty for the first of its name.")
    signed_at = serializers.DateTimeField()
    method = serializers.CharField()
    digest = serializers.CharField(help_text="Of the whole signature; it stands in the audit log.")


class WholePolicySerializer(PolicyVersionSerializer):
    """A published version with its content and what it changed in the version before."""

    content = ObjectField()
    before = PublishedPolicySerializer(allow_null=True)
    changes = PolicyChangeSerializer(many=True)
    signatures = PolicySignatureSerializer(many=True, help_text="None under a version that a release shipped.")


class PolicyDraftSerializer(Shape):
    """A policy that is being written."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    state = serializers.ChoiceField(DraftState.choices)
    digest = serializers.CharField(help_text="Of the policy as it is now; what a signature binds.")
    base = PublishedPolicySerializer(allow_null=True, help_text="The version that it follows.")
    published = PublishedPolicySerializer(allow_null=True)
    author = PersonRefSerializer()
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()


class WholePolicyDraftSerializer(PolicyDraftSerializer):
    """A draft with its text, what it changes and the signatures that count."""

    text = serializers.CharField()
    changes = PolicyChangeSerializer(many=True)
    signatures = PolicySignatureSerializer(many=True)


class GateFlipSerializer(Shape):
    """A gate that would say something else; empty where it is not asked for."""

    kind = serializers.CharField()
    before = serializers.CharField()
    after = serializers.CharField()
    reason = serializers.CharField()


class SimulatedSerializer(Shape):
    model_version = ModelVersionRefSerializer(source="version")
    flips = GateFlipSerializer(many=True)
    passed = serializers.BooleanField(help_text="Whether all its gates pass now.")
    passes = serializers.BooleanField(help_text="Whether all would.")
    void = serializers.BooleanField(help_text="Whether an approval that holds now would be void.")


class SimulationSerializer(Shape):
    """A draft over the newest model versions that I may see and that are under its policy."""

    looked_at = serializers.IntegerField()
    more = serializers.BooleanField(help_text="Whether there are older ones, which were not looked at.")
    lines = SimulatedSerializer(many=True)


class PolicyAssignmentSerializer(Shape):
    policy = serializers.CharField()
    reason = serializers.CharField()
    assigned_by = PersonRefSerializer()
    assigned_at = serializers.DateTimeField()


class SystemPolicySerializer(Shape):
    """The policy that applies to a system, and the choice by use where there is one."""

    policy = serializers.CharField()
    title = serializers.CharField()
    digest = serializers.CharField()
    assignment = PolicyAssignmentSerializer(allow_null=True)


class PolicyTextBody(Body):
    text = serializers.CharField(max_length=MAX_TEXT, trim_whitespace=False, help_text="The policy as YAML or JSON.")


class PolicySignBody(Body):
    """Why, and the password again: a signature."""

    reason = serializers.CharField(max_length=MAX_REASON)
    password = serializers.CharField(max_length=200, trim_whitespace=False)
    code = serializers.CharField(
        max_length=20, required=False, default="", help_text="Of the second factor, where one is enrolled."
    )


class PolicyAssignBody(PolicySignBody):
    policy = serializers.CharField(
        max_length=40, allow_blank=True, help_text="A policy's name; empty for that of the tier."
    )


def version_line(version: PolicyVersion) -> dict[str, Any]:
    """A published version as a list shows it."""
    names = ("id", "tier", "number", "digest", "published_at")
    return {**{name: getattr(version, name) for name in names}, "key": version.policy.key}


def draft_line(row: PolicyDraft) -> dict[str, Any]:
    """A draft as a list shows it."""
    return {field: getattr(row, field) for field in PolicyDraftSerializer._declared_fields}
