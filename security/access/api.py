"""REST: AI systems and who holds which role in them."""

from __future__ import annotations

from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from security.access import people, services
from security.access import selectors as access
from security.access.models import AISystem, RoleGrant
from security.access.table import Action, Role
from security.errors import MissingError
from security.identity.selectors import named
from security.rest.filtering import ChoiceFilter, FlagFilter, TextFilter
from security.rest.schema import answers
from security.rest.shapes import LIFE, Body, PersonRefSerializer, RoleField, Shape, SystemField
from security.rest.views import ApiView, ListView, OneView

TIERS = ("high", "medium", "low")


class SystemSerializer(Shape):
    """What is governed: the scope of roles and of everything below."""

    id = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    purpose = serializers.CharField()
    tier = serializers.ChoiceField(TIERS)
    owner = PersonRefSerializer(allow_null=True)
    created_at = serializers.DateTimeField()


class GrantSerializer(Shape):
    """A person's role in one system, or in all (``system`` null)."""

    id = serializers.UUIDField()
    person = PersonRefSerializer(source="user")
    role = RoleField()
    system = serializers.CharField(source="system.slug", allow_null=True, default=None)
    state = serializers.ChoiceField(LIFE)
    granted_by = PersonRefSerializer(allow_null=True)
    granted_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class SystemBody(Body):
    slug = SystemField()
    name = serializers.CharField(max_length=120)
    purpose = serializers.CharField(max_length=10_000, required=False, default="", allow_blank=True)
    owner = serializers.CharField(max_length=63, required=False, help_text="A person's username.")


class GrantBody(Body):
    person = serializers.CharField(max_length=63, help_text="A username.")
    role = RoleField()
    system = SystemField(required=False, allow_null=True, default=None, help_text="A slug; null for all systems.")
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, default=None, help_text="Without one, the longest time that a role lasts here."
    )


class SystemFilter(django_filters.FilterSet):
    tier = ChoiceFilter(TIERS)
    name = TextFilter(lookup_expr="icontains", help_text="Part of the name.")

    class Meta:
        model = AISystem
        fields: list[str] = []


class GrantFilter(django_filters.FilterSet):
    system = TextFilter(field_name="system__slug", help_text="A system's slug.")
    person = TextFilter(field_name="user__username", help_text="A username.")
    role = ChoiceFilter([role.value for role in Role])
    live = FlagFilter(method="by_state", help_text="Whether it holds now.")

    class Meta:
        model = RoleGrant
        fields: list[str] = []

    def by_state(self, rows: QuerySet[RoleGrant], name: str, value: bool) -> QuerySet[RoleGrant]:
        live = access.live_grants().values("pk")
        return rows.filter(pk__in=live) if value else rows.exclude(pk__in=live)


class SystemsView(ListView):
    """The AI systems that I have a role in."""

    serializer_class = SystemSerializer
    filterset_class = SystemFilter
    ordering_fields = ("slug", "name", "created_at")
    rows = staticmethod(people.systems)

    @answers(SystemSerializer, request=SystemBody, status=201)
    def post(self, request: Request) -> Response:
        """Create an AI system. It begins in the highest tier, until its risk questionnaire is answered and signed."""
        access.require(self.person, Action.CREATE_SYSTEM)
        given = self.parsed(SystemBody)
        if "owner" in given:
            given["owner"] = named(given["owner"], field="owner")
        system = services.create_system(acting_user=self.person, **given)
        return Response(
            SystemSerializer(system).data, status=201, headers={"Location": f"{request.path}/{system.slug}"}
        )


class SystemView(OneView):
    """One AI system."""

    serializer_class = SystemSerializer
    rows = staticmethod(people.systems)
    lookup = lookup_url_kwarg = "slug"


class GrantsView(ListView):
    """Roles that people hold in my systems, those in all systems, and my own."""

    serializer_class = GrantSerializer
    filterset_class = GrantFilter
    ordering_fields = ("granted_at", "expires_at")
    rows = staticmethod(people.grants)

    def visible(self) -> QuerySet[RoleGrant]:
        return people.visible_grants(self.person)

    @answers(GrantSerializer, request=GrantBody, status=201)
    def post(self, request: Request) -> Response:
        """Give a person a role. Nobody grants to themselves."""
        given = self.parsed(GrantBody)
        slug = given["system"]
        system = access.get(self.person, Action.GRANT, people.systems(), slug=slug) if slug is not None else None
        access.require(self.person, Action.GRANT, system)
        grant = services.grant_role(
            acting_user=self.person,
            user=named(given["person"], field="person"),
            role=given["role"],
            system=system,
            expires_at=given["expires_at"],
        )
        return Response(GrantSerializer(grant).data, status=201)


class RevokeGrantView(ApiView):
    """End a role now."""

    verbs = ("revoke",)

    @answers(GrantSerializer)
    def post(self, request: Request, id: UUID) -> Response:
        grant = people.visible_grants(self.person).filter(pk=id).first()
        if grant is None:
            raise MissingError("There is no such grant, or you have no role in its system.")
        return Response(GrantSerializer(services.revoke_role(acting_user=self.person, grant=grant)).data)


urlpatterns = [
    path("systems", SystemsView.as_view()),
    path("systems/<slug:slug>", SystemView.as_view()),
    path("grants", GrantsView.as_view()),
    path("grants/<uuid:id>/revoke", RevokeGrantView.as_view()),
]
