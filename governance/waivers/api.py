"""REST: waivers of what a policy asks, for one exact subject and a limited time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import django_filters
from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.models import Decision
from governance.waivers import effect, selectors, services
from governance.waivers.models import Waiver
from governance.waivers.services import MAX_TEXT
from pipelines.api.shapes import ModelVersionRefSerializer
from pipelines.selectors.registry import model_versions
from security.identity.selectors import named
from security.rest.filtering import IdFilter, SystemFilter, TextFilter, TimeFilter
from security.rest.schema import answers
from security.rest.shapes import Body, PersonRefSerializer, Shape
from security.rest.views import ListView, OneView

STATES = ("requested", "active", "rejected", "expired", "revoked", "closed")
DECISIONS = ("approve", "reject", "revoke", "close")


class WaiverDecisionSerializer(Shape):
    """What one person signed about a waiver."""

    decision = serializers.ChoiceField(DECISIONS)
    person = PersonRefSerializer()
    printed_name = serializers.CharField()
    reason = serializers.CharField()
    subject_digest = serializers.CharField()
    signed_at = serializers.DateTimeField()
    method = serializers.CharField()
    digest = serializers.CharField(help_text="Of the whole decision; it stands in the audit log.")


class WaiverSerializer(Shape):
    """An exception to one part of a policy; `state` is computed at every reading."""

    id = serializers.UUIDField()
    system = serializers.CharField(source="system.slug")
    model_version = ModelVersionRefSerializer()
    part = serializers.CharField()
    state = serializers.ChoiceField(STATES)
    subject_digest = serializers.CharField(help_text="For this subject and no other.")
    reason = serializers.CharField()
    control = serializers.CharField(help_text="What keeps the harm away meanwhile.")
    owner = PersonRefSerializer(help_text="Who answers for the control.")
    expires_at = serializers.DateTimeField()
    renewal = serializers.IntegerField(help_text="How many waivers of this part the version had before.")
    requested_by = PersonRefSerializer()
    requested_at = serializers.DateTimeField()


class WholeWaiverSerializer(WaiverSerializer):
    """A waiver with its decisions, and whether it has effect now."""

    has_effect = serializers.BooleanField(help_text="Active, and its subject is still the same.")
    decisions = WaiverDecisionSerializer(many=True)


class WaiverRequestBody(Body):
    part = serializers.CharField(max_length=120, help_text="As `broken` of a gate names it.")
    reason = serializers.CharField(max_length=MAX_TEXT)
    control = serializers.CharField(max_length=MAX_TEXT)
    owner = serializers.CharField(max_length=63, required=False, help_text="A username; the one who asks by default.")
    days = serializers.IntegerField(min_value=1, max_value=3650)


class WaiverEndBody(Body):
    """Why, and the password again: a signature."""

    reason = serializers.CharField(max_length=MAX_TEXT)
    password = serializers.CharField(max_length=200, trim_whitespace=False)
    code = serializers.CharField(
        max_length=20, required=False, default="", help_text="Of the second factor, where one is enrolled."
    )


class WaiverDecideBody(WaiverEndBody):
    decision = serializers.ChoiceField(Decision.choices)


class WaiverFilter(django_filters.FilterSet):
    system = SystemFilter()
    model_version = IdFilter(field_name="model_version", help_text="Id of a model version.")
    part = TextFilter(help_text="Exactly this part.")
    ends_after = TimeFilter(field_name="expires_at", lookup_expr="gte", help_text="Runs out not before this moment.")


class WaiversView(ListView):
    """Waivers in my systems, newest first."""

    serializer_class = WaiverSerializer
    filterset_class = WaiverFilter
    ordering_fields = ("requested_at", "expires_at")
    rows = staticmethod(selectors.waivers)

    def shown(self, page: Sequence[Waiver]) -> list[dict[str, Any]]:
        return [_line(row) for row in page]


class WaiverView(OneView):
    """One waiver."""

    serializer_class = WholeWaiverSerializer
    rows = staticmethod(selectors.waivers)

    @answers(WholeWaiverSerializer)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(_whole(self.one()))


class RequestWaiverView(OneView):
    """Ask that a part of the policy may be broken by a model version as it is now, for so many days."""

    rows = staticmethod(model_versions)
    http_method_names = ["post"]

    @answers(WholeWaiverSerializer, request=WaiverRequestBody, status=201)
    def post(self, request: Request, id: UUID) -> Response:
        version, given = self.one(), self.parsed(WaiverRequestBody)
        owner = named(given.pop("owner"), field="owner") if "owner" in given else None
        made = services.request(acting_user=self.person, model_version=version, owner=owner, **given)
        return Response(_whole(made), status=201, headers={"Location": f"/api/v1/waivers/{made.pk}"})


class DecideWaiverView(OneView):
    """Approve or reject a waiver. It takes a risk officer who neither asked for it nor built the model."""

    verbs = ("decide",)
    rows = staticmethod(selectors.waivers)
    http_method_names = ["post"]

    @answers(WholeWaiverSerializer, request=WaiverDecideBody)
    def post(self, request: Request, id: UUID) -> Response:
        row = self.one()
        services.decide(acting_user=self.person, waiver=row, **self.parsed(WaiverDecideBody))
        return Response(_whole(self.one()))


class EndWaiverView(OneView):
    """End a waiver now. Approvals that rest on it hold no more."""

    verbs = ("end",)
    rows = staticmethod(selectors.waivers)
    http_method_names = ["post"]

    @answers(WholeWaiverSerializer, request=WaiverEndBody)
    def post(self, request: Request, id: UUID) -> Response:
        row = self.one()
        services.end(acting_user=self.person, waiver=row, **self.parsed(WaiverEndBody))
        return Response(_whole(self.one()))


def _line(row: Waiver) -> dict[str, Any]:
    names = [name for name in WaiverSerializer._declared_fields if name != "state"]
    return {**{name: getattr(row, name) for name in names}, "state": row.state()}


def _whole(row: Waiver) -> Any:
    standing = effect.standing(row)
    more = {"has_effect": standing.has_effect, "decisions": row.decisions.all()}
    return WholeWaiverSerializer({**_line(row), **more}).data


urlpatterns = [
    path("waivers", WaiversView.as_view()),
    path("waivers/<uuid:id>", WaiverView.as_view()),
    path("waivers/<uuid:id>/decide", DecideWaiverView.as_view()),
    path("waivers/<uuid:id>/end", EndWaiverView.as_view()),
    path("model-versions/<uuid:id>/waivers", RequestWaiverView.as_view()),
]
