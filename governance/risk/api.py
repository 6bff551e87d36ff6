"""REST: profiles, questionnaires, assessments, tiers, risks and incidents of systems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from governance.risk import api_shapes as shapes
from governance.risk import selectors
from governance.risk.models import Assessment, RiskRevision, Severity
from governance.risk.services import assessments, incidents, profiles, questionnaires, register, tiers
from pipelines.models import ModelVersion
from pipelines.selectors.registry import model_versions
from security.access import people
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.errors import InvalidError, MissingError
from security.rest.filtering import ChoiceFilter, FlagFilter
from security.rest.schema import answers
from security.rest.views import ListView, OneView


class RiskFilter(django_filters.FilterSet):
    closed = FlagFilter(help_text="Whether it is over.")


class IncidentFilter(django_filters.FilterSet):
    severity = ChoiceFilter(Severity.values)
    open = FlagFilter(field_name="closed_at", lookup_expr="isnull", help_text="Whether it is still open.")


class _OfSystem(ListView):
    """A list of what one system has."""

    system_field = "system"

    def system(self, action: Action = Action.VIEW) -> AISystem:
        """The system that the path names. Raises MissingError, DeniedError."""
        return access.get(self.person, action, people.systems(), slug=self.kwargs["slug"])

    def visible(self) -> QuerySet[Any]:
        return super().visible().filter(**{self.system_field: self.system()})


class QuestionnairesView(ListView):
    """Versions of the risk questionnaire, newest first; the first one is answered now."""

    serializer_class = shapes.QuestionnaireSerializer
    rows = staticmethod(selectors.questionnaires)

    def visible(self) -> QuerySet[Any]:
        return type(self).rows() if access.grants_of(self.person) else type(self).rows().none()

    @answers(shapes.QuestionnaireSerializer, request=shapes.QuestionnaireBody, status=201)
    def post(self, request: Request) -> Response:
        """Publish the next version. Answers to an earlier one lower no tier any more."""
        access.require(self.person, Action.PUBLISH_QUESTIONNAIRE)
        made = questionnaires.publish(acting_user=self.person, **self.parsed(shapes.QuestionnaireBody))
        return Response(shapes.QuestionnaireSerializer(made).data, status=201)


class ProfilesView(_OfSystem):
    """How a system was described, newest first; the first one holds."""

    serializer_class = shapes.SystemProfileSerializer
    rows = staticmethod(selectors.profiles)

    @answers(shapes.SystemProfileSerializer, request=shapes.SystemProfileBody, status=201)
    def post(self, request: Request, slug: str) -> Response:
        """Describe a system anew. What was assessed about an earlier description lowers no tier any more."""
        given = self.parsed(shapes.SystemProfileBody)
        made = profiles.describe(acting_user=self.person, system=self.system(Action.ASSESS), **given)
        return Response(shapes.SystemProfileSerializer(made).data, status=201)


class AssessmentsView(_OfSystem):
    """Questionnaires that were answered for a system, newest first."""

    serializer_class = shapes.AssessmentSerializer
    rows = staticmethod(selectors.assessments)

    @answers(shapes.AssessmentSerializer, request=shapes.AssessmentBody, status=201)
    def post(self, request: Request, slug: str) -> Response:
        """Answer the questionnaire. A higher tier holds at once; a lower one takes a signature."""
        system, given = self.system(Action.ASSESS), self.parsed(shapes.AssessmentBody)
        made = assessments.answer(acting_user=self.person, system=system, **given)
        return Response(shapes.AssessmentSerializer(selectors.assessments().get(pk=made.pk)).data, status=201)


class AssessmentView(OneView):
    """One assessment."""

    serializer_class = shapes.AssessmentSerializer
    rows = staticmethod(selectors.assessments)


class SignAssessmentView(OneView):
    """Lower a system's tier to what its newest assessment came to.

    It takes a signed-in risk officer who neither answered nor has a hand in the system, and gives their password again.
    """

    verbs = ("sign",)
    rows = staticmethod(selectors.assessments)
    http_method_names = ["post"]

    @answers(shapes.TierChangeSerializer, request=shapes.TierSignatureBody, status=201)
    def post(self, request: Request, id: UUID) -> Response:
        found: Assessment = self.one()
        given = self.parsed(shapes.TierSignatureBody)
        made = tiers.lower_tier(acting_user=self.person, assessment=found, **given)
        return Response(shapes.TierChangeSerializer(made).data, status=201)


class RiskSummaryView(OneView):
    """A system's tier and why it has it, and what is left of its risk after controls."""

    serializer_class = shapes.RiskSummarySerializer
    rows = staticmethod(people.systems)
    lookup = lookup_url_kwarg = "slug"

    @answers(shapes.RiskSummarySerializer)
    def get(self, request: Request, slug: str) -> Response:
        system: AISystem = self.one()
        body = {"standing": selectors.tier_standing(system), "residual": selectors.residual(system)}
        return Response(shapes.RiskSummarySerializer(body).data)


class TierChangesView(_OfSystem):
    """Changes of a system's tier, newest first."""

    serializer_class = shapes.TierChangeSerializer
    rows = staticmethod(selectors.tier_changes)

    @answers(shapes.TierChangeSerializer, request=shapes.TierRaiseBody, status=201)
    def post(self, request: Request, slug: str) -> Response:
        """Raise a system's tier, at once; nothing but a signed assessment lowers it."""
        system, given = self.system(Action.ASSESS), self.parsed(shapes.TierRaiseBody)
        made = tiers.raise_tier(acting_user=self.person, system=system, **given)
        return Response(shapes.TierChangeSerializer(made).data, status=201)


class RisksView(_OfSystem):
    """The risk register of a system, the worst first."""

    serializer_class = shapes.RiskSerializer
    filterset_class = RiskFilter
    rows = staticmethod(selectors.entries)
    system_field = "risk__system"

    def shown(self, page: Sequence[Any]) -> Sequence[Any]:
        return selectors.risk_lines(page)

    @answers(shapes.RiskSerializer, request=shapes.RiskBody, status=201)
    def post(self, request: Request, slug: str) -> Response:
        """Put a risk into the register."""
        system, given = self.system(Action.ASSESS), self.parsed(shapes.RiskBody)
        given["source_id"] = str(given["source_id"] or "")
        made = register.open_risk(acting_user=self.person, system=system, **given)
        where = {"Location": f"/api/v1/risks/{made.risk_id}"}
        return Response(shapes.RiskSerializer(_line(made.risk_id)).data, status=201, headers=where)


class RiskView(OneView):
    """One risk: what is thought of it now, its history, and every signature under it."""

    serializer_class = shapes.WholeRiskSerializer
    rows = staticmethod(selectors.entries)
    lookup = "risk"

    def one(self, action: Action | None = None) -> RiskRevision:
        """The newest revision of the risk that the path names."""
        return access.get(self.person, action or self.action, selectors.entries(), risk=self.kwargs["id"])

    @answers(shapes.WholeRiskSerializer)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(_whole_risk(self.one()))


class RiskRevisionsView(RiskView):
    """Write down what is thought of a risk now; its acceptance ends with that."""

    http_method_names = ["post"]

    @answers(shapes.WholeRiskSerializer, request=shapes.RiskReviseBody, status=201)
    def post(self, request: Request, id: UUID) -> Response:
        entry, given = self.one(Action.ASSESS), self.parsed(shapes.RiskReviseBody)
        register.revise(acting_user=self.person, risk=entry.risk, **given)
        return Response(_whole_risk(self.one()), status=201)


class AcceptRiskView(RiskView):
    """Sign that what is left of a risk is borne until the end of a day.

    It takes a signed-in risk officer who neither wrote the revision, owns the risk, nor has a hand in the system.
    """

    verbs = ("accept",)
    http_method_names = ["post"]

    @answers(shapes.WholeRiskSerializer, request=shapes.RiskAcceptBody, status=201)
    def post(self, request: Request, id: UUID) -> Response:
        entry, given = self.one(), self.parsed(shapes.RiskAcceptBody)
        register.accept(acting_user=self.person, risk=entry.risk, **given)
        return Response(_whole_risk(self.one()), status=201)


class IncidentsView(_OfSystem):
    """Incidents of a system: open ones first, the newest first."""

    serializer_class = shapes.IncidentSerializer
    filterset_class = IncidentFilter
    rows = staticmethod(selectors.incidents)

    @answers(shapes.WholeIncidentSerializer, request=shapes.IncidentBody, status=201)
    def post(self, request: Request, slug: str) -> Response:
        """Report an incident. A serious or critical one stops approvals until a risk officer has closed it."""
        system, given = self.system(Action.REPORT), self.parsed(shapes.IncidentBody)
        given["model_version"] = self._version(system, given["model_version"])
        made = incidents.open_incident(acting_user=self.person, system=system, **given)
        where = {"Location": f"/api/v1/incidents/{made.pk}"}
        return Response(_whole_incident(made.pk), status=201, headers=where)

    def _version(self, system: AISystem, key: UUID | None) -> ModelVersion | None:
        if key is None:
            return None
        rows = model_versions().filter(model__system=system)
        try:
            return access.get(self.person, Action.VIEW, rows, pk=key)
        except MissingError:
            raise InvalidError(f"{system.slug} has no such model version.", field="model_version") from None


class IncidentView(OneView):
    """One incident and its timeline."""

    serializer_class = shapes.WholeIncidentSerializer
    rows = staticmethod(selectors.incidents)

    @answers(shapes.WholeIncidentSerializer)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(_whole_incident(self.one().pk))


class IncidentEntriesView(OneView):
    """Add to the timeline of an open incident. It can become graver that way, never less grave."""

    rows = staticmethod(selectors.incidents)
    http_method_names = ["post"]

    @answers(shapes.WholeIncidentSerializer, request=shapes.IncidentNoteBody, status=201)
    def post(self, request: Request, id: UUID) -> Response:
        found = self.one(Action.REPORT)
        incidents.note(acting_user=self.person, incident=found, **self.parsed(shapes.IncidentNoteBody))
        return Response(_whole_incident(found.pk), status=201)


class CloseIncidentView(OneView):
    """End an incident. A grave one takes a signed-in risk officer without a hand in the system, and their password."""

    verbs = ("close",)
    rows = staticmethod(selectors.incidents)
    http_method_names = ["post"]

    @answers(shapes.WholeIncidentSerializer, request=shapes.IncidentCloseBody)
    def post(self, request: Request, id: UUID) -> Response:
        found = self.one()
        incidents.close(acting_user=self.person, incident=found, **self.parsed(shapes.IncidentCloseBody))
        return Response(_whole_incident(found.pk))


def _line(risk: UUID) -> selectors.RiskLine:
    return selectors.risk_lines(selectors.entries().filter(risk=risk))[0]


def _whole_risk(entry: RiskRevision) -> dict[str, Any]:
    line = _line(entry.risk_id)
    body = {
        "risk": line,
        "revisions": selectors.revisions(entry.risk),
        "acceptances": selectors.acceptances(entry.risk),
    }
    return dict(shapes.WholeRiskSerializer(body).data)


def _whole_incident(key: UUID) -> dict[str, Any]:
    found = selectors.incidents().get(pk=key)
    body = {"incident": found, "timeline": selectors.timeline(found)}
    return dict(shapes.WholeIncidentSerializer(body).data)


urlpatterns = [
    path("questionnaires", QuestionnairesView.as_view()),
    path("systems/<slug:slug>/risk", RiskSummaryView.as_view()),
    path("systems/<slug:slug>/profiles", ProfilesView.as_view()),
    path("systems/<slug:slug>/assessments", AssessmentsView.as_view()),
    path("systems/<slug:slug>/tier-changes", TierChangesView.as_view()),
    path("systems/<slug:slug>/risks", RisksView.as_view()),
    path("systems/<slug:slug>/incidents", IncidentsView.as_view()),
    path("assessments/<uuid:id>", AssessmentView.as_view()),
    path("assessments/<uuid:id>/sign", SignAssessmentView.as_view()),
    path("risks/<uuid:id>", RiskView.as_view()),
    path("risks/<uuid:id>/revisions", RiskRevisionsView.as_view()),
    path("risks/<uuid:id>/accept", AcceptRiskView.as_view()),
    path("incidents/<uuid:id>", IncidentView.as_view()),
    path("incidents/<uuid:id>/entries", IncidentEntriesView.as_view()),
    path("incidents/<uuid:id>/close", CloseIncidentView.as_view()),
]
