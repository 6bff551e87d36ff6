"""REST: who I am, people, tokens."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from security.access import selectors as access
from security.access.table import Action
from security.errors import MissingError
from security.identity import selectors, services
from security.identity.models import ApiToken, User
from security.rest.filtering import FlagFilter, TextFilter
from security.rest.schema import answers
from security.rest.shapes import LIFE, Body, PersonRefSerializer, RoleField, Shape
from security.rest.views import ApiView, ListView


class HeldRoleSerializer(Shape):
    role = RoleField()
    system = serializers.CharField(source="system.slug", allow_null=True, default=None)
    expires_at = serializers.DateTimeField(allow_null=True)


class TokenSerializer(Shape):
    """A token without its secret, of which only the SHA-256 is kept."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    prefix = serializers.SerializerMethodField()
    person = PersonRefSerializer(source="user")
    scopes = serializers.ListField(child=serializers.ChoiceField(services.TOKEN_SCOPES))
    state = serializers.ChoiceField(LIFE)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)

    def get_prefix(self, token: ApiToken) -> str:
        return f"cs_{token.key}"


class NewTokenSerializer(TokenSerializer):
    """A token with its text, which is shown this once."""

    text = serializers.CharField(allow_null=True, help_text="Shown once; null when the answer is repeated.")


class PersonSerializer(PersonRefSerializer):
    email = serializers.CharField()
    is_active = serializers.BooleanField()
    is_service = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class MeSerializer(Shape):
    person = PersonSerializer()
    roles = HeldRoleSerializer(many=True)
    token = TokenSerializer(allow_null=True)


class PersonBody(Body):
    username = serializers.CharField(max_length=63)
    full_name = serializers.CharField(max_length=120)
    email = serializers.EmailField(required=False, default="", allow_blank=True)
    password = serializers.CharField(max_length=200, required=False, trim_whitespace=False, write_only=True)
    is_service = serializers.BooleanField(required=False, default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs["is_service"] and not attrs.get("password"):
            raise serializers.ValidationError({"password": "a person needs one; only a service has none"})
        return attrs


class TokenBody(Body):
    name = serializers.CharField(max_length=80)
    scopes = serializers.ListField(child=serializers.ChoiceField(services.TOKEN_SCOPES), min_length=1, max_length=10)
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
    person = serializers.CharField(max_length=63, required=False, help_text="A service's username; yourself if absent.")


class PeopleFilter(django_filters.FilterSet):
    username = TextFilter(help_text="Exactly this username.")
    name = TextFilter(field_name="full_name", lookup_expr="icontains", help_text="Part of the printed name.")
    is_active = FlagFilter()
    is_service = FlagFilter()

    class Meta:
        model = User
        fields: list[str] = []


class MeView(ApiView):
    """Who I am, which roles I hold, and what this token may do."""

    @answers(MeSerializer)
    def get(self, request: Request) -> Response:
        person = self.person
        held = access.live_grants().filter(user=person).select_related("system").order_by("role", "system__slug")
        return Response(MeSerializer({"person": person, "roles": held, "token": person.acting_token}).data)


class PeopleView(ListView):
    """People and services (for those who manage them)."""

    serializer_class = PersonSerializer
    filterset_class = PeopleFilter
    ordering_fields = ("username", "full_name", "created_at")
    rows = staticmethod(selectors.people)

    def visible(self) -> QuerySet[User]:
        access.require(self.person, Action.MANAGE_PEOPLE)
        return selectors.people()

    @answers(PersonSerializer, request=PersonBody, status=201)
    def post(self, request: Request) -> Response:
        """Create a person, or a service that holds tokens and never signs in."""
        access.require(self.person, Action.MANAGE_PEOPLE)
        given = self.parsed(PersonBody)
        person = services.create_user(acting_user=self.person, **{"password": None, **given})
        return Response(PersonSerializer(person).data, status=201)


class DeactivateView(ApiView):
    """Stop a person from signing in, and end their tokens."""

    verbs = ("deactivate",)

    @answers(PersonSerializer)
    def post(self, request: Request, id: UUID) -> Response:
        access.require(self.person, Action.MANAGE_PEOPLE)
        person = selectors.people().filter(pk=id).first()
        if person is None:
            raise MissingError("There is no such person.")
        return Response(PersonSerializer(services.deactivate_user(acting_user=self.person, user=person)).data)


class TokensView(ListView):
    """My tokens."""

    serializer_class = TokenSerializer
    ordering_fields = ("created_at", "expires_at", "name")
    never_kept = ("text",)
    rows = staticmethod(selectors.tokens)

    def visible(self) -> QuerySet[ApiToken]:
        return selectors.tokens_of(self.person)

    @answers(NewTokenSerializer, request=TokenBody, status=201)
    def post(self, request: Request) -> Response:
        """Make a token for oneself, or for a service one administers. Only a signed-in person can, not a token."""
        given = self.parsed(TokenBody)
        owner = self.person
        if "person" in given:
            name = given.pop("person")
            if name.lower() != owner.username:
                access.require(owner, Action.MANAGE_PEOPLE)
                owner = selectors.named(name, field="person")
        token, text = services.create_token(acting_user=self.person, user=owner, **given)
        return Response({**TokenSerializer(token).data, "text": text}, status=201)


class RevokeTokenView(ApiView):
    """End a token now: one's own, or a service's that one administers."""

    verbs = ("revoke",)

    @answers(TokenSerializer)
    def post(self, request: Request, id: UUID) -> Response:
        manages = access.allowed(self.person, Action.MANAGE_PEOPLE)
        token = (selectors.tokens() if manages else selectors.tokens_of(self.person)).filter(pk=id).first()
        if token is None:
            raise MissingError("There is no such token, or it is not yours.")
        return Response(TokenSerializer(services.revoke_token(acting_user=self.person, token=token)).data)


urlpatterns = [
    path("me", MeView.as_view()),
    path("people", PeopleView.as_view()),
    path("people/<uuid:id>/deactivate", DeactivateView.as_view()),
    path("tokens", TokensView.as_view()),
    path("tokens/<uuid:id>/revoke", RevokeTokenView.as_view()),
]
