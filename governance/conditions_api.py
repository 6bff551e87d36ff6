"""REST: conditions of approvals, and the gate that a deployment asks."""

from __future__ import annotations

from uuid import UUID

import django_filters
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from governance import conditions_shapes as shapes
from governance.models import Condition, ConditionState
from governance.selectors.conditions import conditions
from governance.services import conditions as services
from governance.services import gate
from security.rest.filtering import ChoiceFilter, SystemFilter, TextFilter, TimeFilter
from security.rest.schema import answers
from security.rest.views import ApiView, ListView, OneView


class ConditionFilter(django_filters.FilterSet):
    system = SystemFilter("review__system")
    state = ChoiceFilter(ConditionState.values, help_text="As stored: one that is not met may read as overdue.")
    owner = TextFilter(field_name="owner__username", help_text="A username.")
    due_before = TimeFilter(field_name="due_at", lookup_expr="lt", help_text="Due before this moment.")


class ConditionsView(ListView):
    """What must still be done for approvals in my systems to go on holding, what is due first."""

    serializer_class = shapes.ConditionSerializer
    filterset_class = ConditionFilter
    ordering_fields = ("due_at",)
    rows = staticmethod(conditions)


class ConditionView(OneView):
    """One condition of an approval."""

    serializer_class = shapes.ConditionSerializer
    rows = staticmethod(conditions)

    @answers(shapes.ConditionSerializer)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(shapes.ConditionSerializer(self.one()).data)


class _ConditionVerb(OneView):
    rows = staticmethod(conditions)
    http_method_names = ["post"]

    def shown(self, condition: Condition) -> Response:
        return Response(shapes.ConditionSerializer(condition).data)


class ReportView(_ConditionVerb):
    """Say that a condition is met, and how. It takes its owner, signed in."""

    verbs = ("report",)

    @answers(shapes.ConditionSerializer, request=shapes.NoteBody)
    def post(self, request: Request, id: UUID) -> Response:
        given = self.parsed(shapes.NoteBody)
        return self.shown(services.report(acting_user=self.person, condition=self.one(), **given))


class SendBackView(_ConditionVerb):
    """Say why what was reported does not meet a condition. It takes whoever set it, signed in."""

    verbs = ("send-back",)

    @answers(shapes.ConditionSerializer, request=shapes.NoteBody)
    def post(self, request: Request, id: UUID) -> Response:
        given = self.parsed(shapes.NoteBody)
        return self.shown(services.send_back(acting_user=self.person, condition=self.one(), **given))


class ConfirmView(_ConditionVerb):
    """Sign that a condition is met. It takes whoever set it, who gives their password again."""

    verbs = ("confirm",)

    @answers(shapes.ConditionSerializer, request=shapes.RevokeBody)
    def post(self, request: Request, id: UUID) -> Response:
        given = self.parsed(shapes.RevokeBody)
        return self.shown(services.confirm(acting_user=self.person, condition=self.one(), **given))


class GateView(ApiView):
    """May this model, named by the SHA-256 of its bytes, be deployed in this environment now?

    `allowed` is true only while an approval of exactly these bytes is active and covers the environment; whatever is
    not known is denied, and `reasons` say why. Each answer stands in the audit log. Ask before every deployment, and
    again while it runs: an approval ends by time, by a change of what was signed, or by one person who stops it.
    """

    query = ("digest", "environment")
    conditional = False

    @answers(shapes.DeployGateSerializer, parameters=[shapes.GateQuery])
    def get(self, request: Request) -> Response:
        given = self.asked(shapes.GateQuery)
        return Response(shapes.DeployGateSerializer(gate.ask(acting_user=self.person, **given)).data)


urlpatterns = [
    path("conditions", ConditionsView.as_view()),
    path("conditions/<uuid:id>", ConditionView.as_view()),
    path("conditions/<uuid:id>/report", ReportView.as_view()),
    path("conditions/<uuid:id>/send-back", SendBackView.as_view()),
    path("conditions/<uuid:id>/confirm", ConfirmView.as_view()),
    path("gate", GateView.as_view()),
]
