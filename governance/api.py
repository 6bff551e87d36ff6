"""REST: reviews, votes, approvals; lineage, coverage and the auditor's bundle of a model version."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import django_filters
from django.http import HttpResponseBase, StreamingHttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from governance import api_shapes as shapes
from governance import exports, lineage
from governance.conditions_shapes import EnvelopeSerializer
from governance.models import Approval, Review, ReviewState
from governance.selectors import approvals, coverage, inclusion, reviews
from governance.selectors.standing import standings
from governance.selectors.statements import statements
from governance.services import reviews as services
from pipelines.models import ModelVersion
from pipelines.selectors.registry import model_versions
from security.access.table import Action
from security.identity.models import User
from security.rest.filtering import ChoiceFilter, FlagFilter, IdFilter, SystemFilter, TextFilter, TimeFilter
from security.rest.schema import answers
from security.rest.views import ListView, OneView
from security.vault import services as vault
from security.vault.models import Artifact
from security.vault.reading import artifacts


class ReviewFilter(django_filters.FilterSet):
    system = SystemFilter()
    state = ChoiceFilter(ReviewState.values, help_text="As stored: an open review may read as superseded.")
    model_version = IdFilter(field_name="model_version", help_text="Id of a model version.")
    submitted_by = TextFilter(field_name="submitted_by__username", help_text="A username.")
    after = TimeFilter(field_name="submitted_at", lookup_expr="gte", help_text="Submitted not before this moment.")
    before = TimeFilter(field_name="submitted_at", lookup_expr="lt", help_text="Submitted before this moment.")


class ApprovalFilter(django_filters.FilterSet):
    system = SystemFilter("review__system")
    model_version = IdFilter(field_name="model_version", help_text="Id of a model version.")
    revoked = FlagFilter(
        field_name="revoked_at", lookup_expr="isnull", exclude=True, help_text="Whether it was revoked."
    )
    ends_after = TimeFilter(field_name="valid_until", lookup_expr="gte", help_text="Valid until this moment or longer.")
    ends_before = TimeFilter(field_name="valid_until", lookup_expr="lt", help_text="Runs out before this moment.")


class ReviewsView(ListView):
    """Reviews in my systems, newest first."""

    serializer_class = shapes.ReviewSerializer
    filterset_class = ReviewFilter
    ordering_fields = ("submitted_at", "decided_at")
    rows = staticmethod(reviews.reviews)

    def shown(self, page: Sequence[Review]) -> list[dict[str, Any]]:
        now = standings(page)
        return [shapes.review_line(now[review.pk]) for review in page]


class ReviewView(OneView):
    """One review: the policy's questions, each with its evidence and verdict; votes; what I can do, or who can."""

    serializer_class = shapes.WholeReviewSerializer
    rows = staticmethod(reviews.reviews)

    @answers(shapes.WholeReviewSerializer)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(_whole(self.one(), self.person))


class VotesView(OneView):
    """Sign a decision.

    It takes a signed-in person who had no hand in the model and gives their password again; a token cannot sign.
    """

    rows = staticmethod(reviews.reviews)
    http_method_names = ["post"]

    @answers(shapes.SignedVoteSerializer, request=shapes.VoteBody, status=201)
    def post(self, request: Request, id: UUID) -> Response:
        signed = services.vote(acting_user=self.person, review=self.one(), **self.parsed(shapes.VoteBody))
        found = inclusion.places(signed.review, approvals.rows().filter(review=signed.review).first())
        return Response(shapes.SignedVoteSerializer(shapes.with_places(signed, found)).data, status=201)


class WithdrawView(OneView):
    """Take a review back before it is decided."""

    verbs = ("withdraw",)
    rows = staticmethod(reviews.reviews)
    http_method_names = ["post"]

    @answers(shapes.WholeReviewSerializer)
    def post(self, request: Request, id: UUID) -> Response:
        review = services.withdraw(acting_user=self.person, review=self.one())
        return Response(_whole(review, self.person))


class StatementView(OneView):
    """A signature as a DSSE envelope around an in-toto Statement v1, as it is kept in the vault."""

    serializer_class = EnvelopeSerializer
    rows = staticmethod(statements)

    @answers(EnvelopeSerializer)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(json.loads(vault.read(self.one())))


class ApprovalsView(ListView):
    """Approvals in my systems, newest first, and whether they hold now."""

    serializer_class = shapes.ApprovalSerializer
    filterset_class = ApprovalFilter
    ordering_fields = ("issued_at", "valid_until")
    rows = staticmethod(approvals.rows)

    def shown(self, page: Sequence[Approval]) -> list[Approval]:
        now = approvals.statuses(page)
        return [shapes.approval_line(approval, now[approval.pk]) for approval in page]


class SuspendView(OneView):
    """Stop an approval until it is reinstated. It takes a signed-in person, who gives their password again."""

    verbs = ("suspend",)
    rows = staticmethod(approvals.rows)
    http_method_names = ["post"]

    @answers(shapes.RevokedSerializer, request=shapes.RevokeBody)
    def post(self, request: Request, id: UUID) -> Response:
        stopped = services.suspend(acting_user=self.person, approval=self.one(), **self.parsed(shapes.RevokeBody))
        shapes.with_places(stopped, inclusion.places(stopped.review, stopped))
        return Response(shapes.RevokedSerializer(shapes.approval_line(stopped, approvals.status(stopped))).data)


class ReinstateView(OneView):
    """Ask that a suspended approval holds again: a review, in which everybody signs whom its policy asks for."""

    verbs = ("reinstate",)
    rows = staticmethod(approvals.rows)
    http_method_names = ["post"]

    @answers(shapes.WholeReviewSerializer, request=shapes.ReinstateBody, status=201)
    def post(self, request: Request, id: UUID) -> Response:
        given = self.parsed(shapes.ReinstateBody)
        review = services.reinstate(acting_user=self.person, approval=self.one(), note=given["note"])
        where = {"Location": f"/api/v1/reviews/{review.pk}"}
        return Response(_whole(reviews.reviews().get(pk=review.pk), self.person), status=201, headers=where)


class RevokeView(OneView):
    """End an approval for good. It takes a signed-in person, who gives their password again."""

    verbs = ("revoke",)
    rows = staticmethod(approvals.rows)
    http_method_names = ["post"]

    @answers(shapes.RevokedSerializer, request=shapes.RevokeBody)
    def post(self, request: Request, id: UUID) -> Response:
        ended = services.revoke(acting_user=self.person, approval=self.one(), **self.parsed(shapes.RevokeBody))
        shapes.with_places(ended, inclusion.places(ended.review, ended))
        return Response(shapes.RevokedSerializer(shapes.approval_line(ended, approvals.status(ended))).data)


class SubmitView(OneView):
    """Ask for the use of a model version, under the current policy of its system's tier."""

    verbs = ("submit",)
    rows = staticmethod(model_versions)
    http_method_names = ["post"]

    @answers(shapes.WholeReviewSerializer, request=shapes.SubmitBody, status=201)
    def post(self, request: Request, id: UUID) -> Response:
        given = self.parsed(shapes.SubmitBody)
        review = services.submit(acting_user=self.person, model_version=self.one(), **given)
        where = {"Location": f"/api/v1/reviews/{review.pk}"}
        found = reviews.reviews().get(pk=review.pk)
        return Response(_whole(found, self.person), status=201, headers=where)


class ZipRenderer(BaseRenderer):
    """Names the media type in the schema; the bytes are streamed past it."""

    media_type = "application/zip"
    format = "zip"
    charset = None
    render_style = "binary"


class BundleView(OneView):
    """The auditor's ZIP: lineage, evidence, decisions, policies, the audit log, and a script that checks it offline."""

    action = Action.EXPORT
    rows = staticmethod(model_versions)
    renderer_classes = [ZipRenderer, JSONRenderer]
    conditional = False

    @extend_schema(responses={(200, "application/zip"): OpenApiTypes.BINARY})
    def get(self, request: Request, id: UUID) -> HttpResponseBase:
        version = self.one()
        headers = {
            "Content-Type": "application/zip",
            "Content-Disposition": f'attachment; filename="{exports.bundle_name(version)}"',
            "X-Content-Type-Options": "nosniff",
        }
        if request.method == "HEAD":
            return StreamingHttpResponse((), headers=headers)
        bundle = exports.model_bundle(acting_user=self.person, model_version=version)
        return StreamingHttpResponse(bundle, headers=headers)


class CoverageView(OneView):
    """Which outcomes of NIST AI RMF 1.0 the evidence of a model version supports, and what is missing."""

    rows = staticmethod(model_versions)

    @answers(shapes.CoveragesSerializer)
    def get(self, request: Request, id: UUID) -> Response:
        found = coverage.coverage_of(self.one())
        rows = [
            {"subcategory": row.subcategory, "state": row.state, "evidence": [_covering(one) for one in row.evidence]}
            for row in found
        ]
        states = Counter(str(row.state) for row in found)
        counts = {state: states[state] for state in shapes.COVERAGE}
        body = {"framework": "NIST AI RMF 1.0", "counts": counts, "results": rows}
        return Response(shapes.CoveragesSerializer(body).data)


class _LineageView(OneView):
    query = ("direction", "depth")

    def artifact(self) -> Artifact:
        """The artifact in the middle of the graph."""
        found: Artifact = self.one()
        return found

    @answers(shapes.LineageSerializer, parameters=[shapes.LineageQuery])
    def get(self, request: Request, id: UUID) -> Response:
        given = self.asked(shapes.LineageQuery)
        graph = lineage.graph(self.artifact(), given["direction"], given["depth"])
        return Response(shapes.LineageSerializer(graph.as_json()).data)


class ArtifactLineageView(_LineageView):
    """Where an artifact comes from and what came of it: files, data, models, evidence, decisions."""

    rows = staticmethod(artifacts)


class ModelVersionLineageView(_LineageView):
    """Where a model version comes from and what came of it: files, data, models, evidence, decisions."""

    rows = staticmethod(model_versions)

    def artifact(self) -> Artifact:
        version: ModelVersion = self.one()
        return version.artifact


def _whole(review: Review, user: User) -> dict[str, Any]:
    """The review as this person sees it now."""
    return dict(shapes.WholeReviewSerializer(shapes.review_whole(reviews.review_page(review, user))).data)


def _covering(one: Any) -> dict[str, Any]:
    same = {name: getattr(one, name) for name in ("kind", "verdict", "summary")}
    return {"id": getattr(one, "pk", None), **same}


urlpatterns = [
    path("reviews", ReviewsView.as_view()),
    path("reviews/<uuid:id>", ReviewView.as_view()),
    path("reviews/<uuid:id>/votes", VotesView.as_view()),
    path("reviews/<uuid:id>/withdraw", WithdrawView.as_view()),
    path("statements/<uuid:id>", StatementView.as_view()),
    path("approvals", ApprovalsView.as_view()),
    path("approvals/<uuid:id>/suspend", SuspendView.as_view()),
    path("approvals/<uuid:id>/reinstate", ReinstateView.as_view()),
    path("approvals/<uuid:id>/revoke", RevokeView.as_view()),
    path("model-versions/<uuid:id>/submit", SubmitView.as_view()),
    path("model-versions/<uuid:id>/coverage", CoverageView.as_view()),
    path("model-versions/<uuid:id>/bundle", BundleView.as_view()),
    path("model-versions/<uuid:id>/lineage", ModelVersionLineageView.as_view()),
    path("artifacts/<uuid:id>/lineage", ArtifactLineageView.as_view()),
]
