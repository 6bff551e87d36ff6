"""REST: my notices; the webhooks of systems and what was sent to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.history import Line
from governance.notices import selectors, services
from governance.notices.models import Delivery, DeliveryState, Notice, Webhook
from security.access import people
from security.access import selectors as access
from security.access.table import Action
from security.log.events import Event
from security.rest.filtering import ChoiceFilter, FlagFilter, IdFilter, SystemFilter
from security.rest.schema import answers
from security.rest.shapes import Body, PersonRefSerializer, Shape, SystemField
from security.rest.views import ApiView, ListView, OneView


class NoticeSerializer(Shape):
    """One event that I am told of. `index` is its place in the audit log."""

    index = serializers.IntegerField()
    text = serializers.CharField()
    actor = serializers.CharField(help_text="Who did it, as they are called now.")
    at = serializers.DateTimeField()
    url = serializers.CharField(help_text="The page of what it is about.")
    unread = serializers.BooleanField(source="new")


class NoticeFilter(django_filters.FilterSet):
    unread = FlagFilter(field_name="read_at", lookup_expr="isnull", help_text="Only what I have not read, or have.")


class NoticesView(ListView):
    """What I was told, newest first. A service is told nothing."""

    serializer_class = NoticeSerializer
    filterset_class = NoticeFilter

    @staticmethod
    def rows() -> QuerySet[Notice]:
        return Notice.objects.select_related("event").order_by("-index")

    def visible(self) -> QuerySet[Any]:
        return selectors.notices(self.person)

    def shown(self, page: Sequence[Notice]) -> list[Line]:
        return selectors.lines(page)


class ReadBody(Body):
    up_to = serializers.IntegerField(
        required=False,
        allow_null=True,
        default=None,
        min_value=0,
        max_value=2**53,
        help_text="Only entries up to this.",
    )


class ReadSerializer(Shape):
    read = serializers.IntegerField(help_text="How many were unread.")


class ReadView(ApiView):
    """Mark my notices as read."""

    verbs = ("read",)
    http_method_names = ["post"]

    @answers(ReadSerializer, request=ReadBody)
    def post(self, request: Request) -> Response:
        changed = services.mark_read(acting_user=self.person, up_to=self.parsed(ReadBody)["up_to"])
        return Response(ReadSerializer({"read": changed}).data)


class WebhookSerializer(Shape):
    """An address that is told of events of a system."""

    id = serializers.UUIDField()
    system = serializers.CharField(source="system.slug")
    url = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField())
    state = serializers.ChoiceField(["active", "revoked"])
    created_by = PersonRefSerializer()
    created_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)


class NewWebhookSerializer(WebhookSerializer):
    secret = serializers.CharField(help_text="What deliveries are signed with; shown this once.", allow_null=True)


class WebhookBody(Body):
    system = SystemField()
    url = serializers.CharField(max_length=500, help_text="HTTPS, of a host that the operators allow.")
    events = serializers.ListField(
        child=serializers.ChoiceField([str(event) for event in Event]), min_length=1, max_length=200
    )


class WebhookFilter(django_filters.FilterSet):
    system = SystemFilter()


class WebhooksView(ListView):
    """Webhooks of the systems where I may manage them."""

    serializer_class = WebhookSerializer
    filterset_class = WebhookFilter
    ordering_fields = ("created_at",)
    action = Action.CONNECT
    never_kept = ("secret",)
    rows = staticmethod(selectors.webhooks)

    @answers(NewWebhookSerializer, request=WebhookBody, status=201)
    def post(self, request: Request) -> Response:
        """Have an address told of events, signed as MLflow's webhooks are (docs/api.md)."""
        given = self.parsed(WebhookBody)
        system = access.get(self.person, Action.CONNECT, people.systems(), slug=given.pop("system"))
        made = services.create_webhook(acting_user=self.person, system=system, **given)
        secret = services.secret_of(made)
        return Response({**WebhookSerializer(made).data, "secret": secret}, status=201)


class RevokeWebhookView(OneView):
    """End a webhook now."""

    verbs = ("revoke",)
    rows = staticmethod(selectors.webhooks)
    http_method_names = ["post"]

    @answers(WebhookSerializer)
    def post(self, request: Request, id: UUID) -> Response:
        row: Webhook = self.one(Action.CONNECT)
        return Response(WebhookSerializer(services.revoke_webhook(acting_user=self.person, webhook=row)).data)


class DeliverySerializer(Shape):
    """One event on its way to one webhook."""

    id = serializers.UUIDField()
    webhook = serializers.UUIDField(source="webhook_id")
    event = serializers.CharField()
    index = serializers.IntegerField()
    state = serializers.ChoiceField(DeliveryState.choices)
    attempts = serializers.IntegerField()
    next_at = serializers.DateTimeField()
    answered = serializers.IntegerField(allow_null=True, help_text="The HTTP status of the last attempt.")
    problem = serializers.CharField()
    delivered_at = serializers.DateTimeField(allow_null=True)


class DeliveryFilter(django_filters.FilterSet):
    system = SystemFilter("webhook__system")
    webhook = IdFilter(field_name="webhook", help_text="Id of a webhook.")
    state = ChoiceFilter(DeliveryState.values, help_text="pending, delivered or failed.")


class DeliveriesView(ListView):
    """What was sent to webhooks of the systems where I may manage them, newest first."""

    serializer_class = DeliverySerializer
    filterset_class = DeliveryFilter
    action = Action.CONNECT

    @staticmethod
    def rows() -> QuerySet[Delivery]:
        return selectors.deliveries()


urlpatterns = [
    path("notices", NoticesView.as_view()),
    path("notices/read", ReadView.as_view()),
    path("webhooks", WebhooksView.as_view()),
    path("webhooks/<uuid:id>/revoke", RevokeWebhookView.as_view()),
    path("deliveries", DeliveriesView.as_view()),
]
