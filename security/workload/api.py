"""REST: which workloads are trusted."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from security.access import people
from security.access import selectors as access
from security.access.table import Action
from security.identity.selectors import named
from security.identity.services import TOKEN_SCOPES
from security.rest.filtering import TextFilter
from security.rest.schema import answers
from security.rest.shapes import LIFE, Body, PersonRefSerializer, Shape, SystemField
from security.rest.views import ListView, OneView
from security.workload import services
from security.workload.models import Trust


class TrustSerializer(Shape):
    """Tokens of ``issuer`` whose subject fits act as ``service`` in ``system``, within ``scopes``."""

    id = serializers.UUIDField()
    system = serializers.CharField(source="system.slug")
    service = PersonRefSerializer()
    issuer = serializers.CharField()
    subject = serializers.CharField()
    claims = serializers.DictField(child=serializers.CharField())
    scopes = serializers.ListField(child=serializers.ChoiceField(TOKEN_SCOPES))
    minutes = serializers.IntegerField()
    state = serializers.ChoiceField(LIFE)
    created_by = PersonRefSerializer()
    created_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)


class TrustBody(Body):
    system = SystemField()
    service = serializers.CharField(max_length=63, help_text="A service's username.")
    issuer = serializers.CharField(max_length=40, help_text="A name that the operators have configured.")
    subject = serializers.CharField(max_length=300, help_text="`*` stands for anything without a colon.")
    claims = serializers.DictField(
        child=serializers.CharField(max_length=300), required=False, default=dict, help_text="Must be exactly these."
    )
    scopes = serializers.ListField(child=serializers.ChoiceField(TOKEN_SCOPES), min_length=1, max_length=10)
    minutes = serializers.IntegerField(min_value=1, max_value=services.MAX_MINUTES, required=False, default=15)


class TrustFilter(django_filters.FilterSet):
    system = TextFilter(field_name="system__slug", help_text="A system's slug.")
    issuer = TextFilter(help_text="Exactly this issuer.")

    class Meta:
        model = Trust
        fields: list[str] = []


class TrustsView(ListView):
    """Trusted workloads of the systems whose log I may view."""

    serializer_class = TrustSerializer
    filterset_class = TrustFilter
    ordering_fields = ("created_at",)
    action = Action.VIEW_LOG
    rows = staticmethod(services.trusts)

    def visible(self) -> QuerySet[Any]:
        return access.visible(self.person, Action.VIEW_LOG, services.trusts())

    @answers(TrustSerializer, request=TrustBody, status=201)
    def post(self, request: Request) -> Response:
        """Let a workload act as a service, by exchanging its platform's token (docs/ci.md)."""
        given = self.parsed(TrustBody)
        system = access.get(self.person, Action.GRANT, people.systems(), slug=given.pop("system"))
        service = named(given.pop("service"), field="service")
        made = services.trust(acting_user=self.person, system=system, service=service, **given)
        return Response(TrustSerializer(made).data, status=201)


class RevokeTrustView(OneView):
    """End a trust now, and every token that it gave."""

    verbs = ("revoke",)
    rows = staticmethod(services.trusts)
    http_method_names = ["post"]

    @answers(TrustSerializer)
    def post(self, request: Request, id: UUID) -> Response:
        row = self.one(Action.GRANT)
        return Response(TrustSerializer(services.revoke(acting_user=self.person, row=row)).data)


urlpatterns = [
    path("trusts", TrustsView.as_view()),
    path("trusts/<uuid:id>/revoke", RevokeTrustView.as_view()),
]
