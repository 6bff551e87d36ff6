"""REST: published policies, drafts of them with what they would change, and the policy that a system is under."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from governance.models import PolicyVersion
from governance.policymaking import selectors, services, shapes
from governance.policymaking.models import DraftState, PolicyDraft
from governance.policymaking.simulation import simulate
from governance.selectors import policies
from security.access import people
from security.access import selectors as access
from security.access.table import Action
from security.rest.filtering import ChoiceFilter, TextFilter
from security.rest.schema import answers
from security.rest.views import ApiView, ListView, OneView


class PolicyFilter(django_filters.FilterSet):
    name = TextFilter(field_name="key", help_text="Exactly this policy: `high`, `financial-model-risk` ...")
    tier = ChoiceFilter(["high", "medium", "low"])


class DraftFilter(django_filters.FilterSet):
    name = TextFilter(help_text="Exactly this policy.")
    state = ChoiceFilter(DraftState.values)


class PoliciesView(ListView):
    """Published versions of policies, newest first. Who has a role anywhere may read them."""

    serializer_class = shapes.PolicyVersionSerializer
    filterset_class = PolicyFilter
    ordering_fields = ("published_at", "number")
    rows = staticmethod(selectors.versions)

    def visible(self) -> QuerySet[Any]:
        rows = selectors.versions()
        return rows if access.allowed_somewhere(self.person, Action.VIEW) else rows.none()


class PolicyView(ApiView):
    """One published version: its content, what it changed, and who signed it."""

    serializer_class = shapes.WholePolicySerializer

    @answers(shapes.WholePolicySerializer)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(_version(selectors.version_for(self.person, id)))


class DraftsView(ListView):
    """Drafts of policies, the last changed first."""

    serializer_class = shapes.PolicyDraftSerializer
    filterset_class = DraftFilter
    ordering_fields = ("changed_at", "created_at")
    rows = staticmethod(selectors.drafts)

    def visible(self) -> QuerySet[Any]:
        rows = selectors.drafts()
        return rows if access.allowed_somewhere(self.person, Action.VIEW) else rows.none()

    @answers(shapes.WholePolicyDraftSerializer, request=shapes.PolicyTextBody, status=201)
    def post(self, request: Request) -> Response:
        """Begin a draft from YAML. Nothing is kept unless all of it holds; an error names line and field."""
        row = services.draft(acting_user=self.person, **self.parsed(shapes.PolicyTextBody))
        where = {"Location": f"/api/v1/policy-drafts/{row.pk}"}
        return Response(_draft(row), status=201, headers=where)


class _DraftView(ApiView):
    def one(self) -> PolicyDraft:
        """The draft that the address names."""
        return selectors.draft_for(self.person, self.kwargs["id"])


class DraftView(_DraftView):
    """One draft: its text, what it changes, and its signatures."""

    serializer_class = shapes.WholePolicyDraftSerializer

    @answers(shapes.WholePolicyDraftSerializer)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(_draft(self.one()))


class ChangeDraftView(_DraftView):
    """Another text for a draft. What was signed before counts no more."""

    verbs = ("change",)
    http_method_names = ["post"]

    @answers(shapes.WholePolicyDraftSerializer, request=shapes.PolicyTextBody)
    def post(self, request: Request, id: UUID) -> Response:
        row = self.one()
        return Response(_draft(services.change(acting_user=self.person, row=row, **self.parsed(shapes.PolicyTextBody))))


class WithdrawDraftView(_DraftView):
    """Give a draft up."""

    verbs = ("withdraw",)
    http_method_names = ["post"]

    @answers(shapes.WholePolicyDraftSerializer)
    def post(self, request: Request, id: UUID) -> Response:
        return Response(_draft(services.withdraw(acting_user=self.person, row=self.one())))


class DraftSignaturesView(_DraftView):
    """Sign a draft; the second signature publishes it.

    It takes a validator and a risk officer of all systems, who give their passwords again; a token cannot sign.
    """

    http_method_names = ["post"]

    @answers(shapes.WholePolicyDraftSerializer, request=shapes.PolicySignBody, status=201)
    def post(self, request: Request, id: UUID) -> Response:
        row = self.one()
        services.sign(acting_user=self.person, row=row, **self.parsed(shapes.PolicySignBody))
        return Response(_draft(selectors.draft_for(self.person, row.pk)), status=201)


class SimulationView(_DraftView):
    """What a draft would change: gates that flip, approvals that would be void, among what I may see."""

    @answers(shapes.SimulationSerializer)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(shapes.SimulationSerializer(simulate(self.person, self.one().policy)).data)


class SystemPolicyView(OneView):
    """Which policy a system is under."""

    rows = staticmethod(people.systems)
    lookup = "slug"
    lookup_url_kwarg = "slug"

    @answers(shapes.SystemPolicySerializer)
    def get(self, request: Request, slug: str) -> Response:
        return Response(_system(self.one()))

    @answers(shapes.SystemPolicySerializer, request=shapes.PolicyAssignBody)
    def post(self, request: Request, slug: str) -> Response:
        """Put a system under a policy for its use, or with an empty name back under that of its tier: a signature."""
        system = self.one()
        services.assign(acting_user=self.person, system=system, **self.parsed(shapes.PolicyAssignBody))
        return Response(_system(system))


def _version(version: PolicyVersion) -> Any:
    before, changes = selectors.changes_of(version)
    more = {"before": before, "changes": changes, "signatures": selectors.signed_for(version)}
    return shapes.WholePolicySerializer({**shapes.version_line(version), "content": version.content, **more}).data


def _draft(row: PolicyDraft) -> Any:
    more = {"text": row.text, "changes": selectors.differences(row), "signatures": selectors.counted(row)}
    return shapes.WholePolicyDraftSerializer({**shapes.draft_line(row), **more}).data


def _system(system: Any) -> Any:
    policy, row = policies.policy_for(system), selectors.assignments().filter(system=system).first()
    body = {"policy": policy.key, "title": policy.title, "digest": policy.digest, "assignment": row}
    return shapes.SystemPolicySerializer(body).data


urlpatterns = [
    path("policies", PoliciesView.as_view()),
    path("policies/<uuid:id>", PolicyView.as_view()),
    path("policy-drafts", DraftsView.as_view()),
    path("policy-drafts/<uuid:id>", DraftView.as_view()),
    path("policy-drafts/<uuid:id>/change", ChangeDraftView.as_view()),
    path("policy-drafts/<uuid:id>/withdraw", WithdrawDraftView.as_view()),
    path("policy-drafts/<uuid:id>/signatures", DraftSignaturesView.as_view()),
    path("policy-drafts/<uuid:id>/simulation", SimulationView.as_view()),
    path("systems/<slug:slug>/policy", SystemPolicyView.as_view()),
]
