"""REST: catalogues and their controls, what systems and model versions cover of them, and attestations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import django_filters
from django.db.models import F, QuerySet
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from governance.frameworks import api_shapes as shapes
from governance.frameworks.models import Attestation, Catalogue, Control, Origin, Statement
from governance.frameworks.selectors import attestations, catalogues
from governance.frameworks.selectors.covering import Coverage, Covered, Item
from governance.frameworks.services import attestations as signing
from governance.frameworks.services import catalogues as services
from governance.selectors.evidence import MODEL_VERSION_RELATED
from pipelines.selectors.registry import model_versions
from security.access import selectors as access
from security.access.models import AISystem
from security.access.people import systems
from security.access.table import Action
from security.errors import MissingError
from security.rest.filtering import ChoiceFilter, FlagFilter, SystemFilter, TextFilter, TimeFilter
from security.rest.schema import answers
from security.rest.views import ApiView, ListView, OneView


class CatalogueFilter(django_filters.FilterSet):
    key = TextFilter(help_text="Exactly this series.")
    origin = ChoiceFilter(Origin.values, help_text="Shipped with a release, or imported.")


class ControlFilter(django_filters.FilterSet):
    q = TextFilter(field_name="title", lookup_expr="icontains", help_text="Text in its title.")
    group = TextFilter(field_name="group__identifier", help_text="Id of the group it stands in.")


class AttestationFilter(django_filters.FilterSet):
    system = SystemFilter()
    catalogue = TextFilter(field_name="control__catalogue__key", help_text="Key of a catalogue.")
    control = TextFilter(field_name="control__identifier", help_text="Id of a control.")
    statement = ChoiceFilter(Statement.values, help_text="What was signed.")
    person = TextFilter(field_name="person__username", help_text="A username.")
    withdrawn = FlagFilter(
        field_name="withdrawal", lookup_expr="isnull", exclude=True, help_text="Whether it was withdrawn."
    )
    ends_after = TimeFilter(field_name="valid_until", lookup_expr="gte", help_text="Counts until then or longer.")
    ends_before = TimeFilter(field_name="valid_until", lookup_expr="lt", help_text="Runs out before this moment.")


class CataloguesView(ListView):
    """Every version of every catalogue; the same for everybody who signs in."""

    serializer_class = shapes.CatalogueSerializer
    filterset_class = CatalogueFilter
    ordering_fields = ("key", "number", "imported_at")
    query = ("key", "source")
    rows = staticmethod(catalogues.catalogues)

    def visible(self) -> QuerySet[Any]:
        return catalogues.catalogues()

    @extend_schema(
        request=OpenApiTypes.OBJECT,
        responses={200: shapes.CatalogueSerializer, 201: shapes.CatalogueSerializer},
        parameters=[shapes.ImportQuery],
    )
    def post(self, request: Request) -> Response:
        """Import an OSCAL catalogue: JSON of OSCAL 1.1 or 1.2 as the body.

        It takes a person who administers everything. 200 when it is here already with exactly this content.
        """
        access.require(self.person, Action.IMPORT_CATALOGUE)
        asked = self.asked(shapes.ImportQuery)
        made = services.import_catalogue(acting_user=self.person, document=request.data, **asked)
        row = catalogues.catalogues().get(pk=made.catalogue.pk)
        where = {"Location": f"/api/v1/catalogues/{row.pk}"}
        body = shapes.CatalogueSerializer(row).data
        return Response(body, status=201 if made.created else 200, headers=where)


class _OfCatalogue(ApiView):
    """Below one version of a catalogue, which everybody who signs in may read."""

    def catalogue(self) -> Catalogue:
        """Raises MissingError."""
        found = catalogues.catalogues().filter(pk=self.kwargs["id"]).first()
        if found is None:
            raise MissingError("There is no such catalogue.")
        return found


class CatalogueView(_OfCatalogue):
    """One version of a catalogue."""

    @answers(shapes.CatalogueSerializer)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(shapes.CatalogueSerializer(self.catalogue()).data)


class OscalView(_OfCatalogue):
    """The catalogue as an OSCAL 1.2.1 document."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(catalogues.document(self.catalogue()))


class ControlsView(ListView, _OfCatalogue):
    """The controls of a catalogue, in its order."""

    serializer_class = shapes.ControlSerializer
    filterset_class = ControlFilter
    rows = staticmethod(Control.objects.all)

    def visible(self) -> QuerySet[Any]:
        return Control.objects.filter(catalogue=self.catalogue()).select_related("group")

    @answers(shapes.ControlSerializer(many=True))
    def get(self, request: Request, id: UUID) -> Response:
        return super().get(request)


class MatrixView(ListView, _OfCatalogue):
    """What each of my systems covers of a catalogue: one line for a system, by slug."""

    serializer_class = shapes.MatrixRowSerializer
    rows = staticmethod(systems)

    @answers(shapes.MatrixRowSerializer(many=True))
    def get(self, request: Request, id: UUID) -> Response:
        return super().get(request)

    def shown(self, page: Sequence[AISystem]) -> list[dict[str, Any]]:
        coverage = Coverage(self.catalogue(), page)
        return [_matrix_row(coverage, system) for system in page]


class _CoverageView(OneView):
    is_list = True
    pagination_class = ListView.pagination_class
    serializer_class = shapes.CoveredSerializer
    query = ("catalogue", "state")

    def wanted(self) -> dict[str, Any]:
        """The query besides the page. Raises ValidationError."""
        serializer = shapes.CoverageQuery(
            data={name: value for name, value in self.request.query_params.items() if name in self.query}
        )
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def answer(self, found: Sequence[Covered], state: str | None) -> Response:
        """A page of the controls that are in the state, all without one."""
        page = self.paginate_queryset([one for one in found if state in (None, one.state)]) or []
        return self.get_paginated_response(shapes.CoveredSerializer([_covered(one) for one in page], many=True).data)


class SystemCoverageView(_CoverageView):
    """What a system covers of a catalogue, by the newest version of each of its models."""

    rows = staticmethod(systems)
    lookup = "slug"
    lookup_url_kwarg = "slug"

    @answers(shapes.CoveredSerializer(many=True), parameters=[shapes.CoverageQuery])
    def get(self, request: Request, slug: str) -> Response:
        asked, system = self.wanted(), self.one()
        coverage = Coverage(catalogues.current(asked["catalogue"]), [system], whole=True)
        return self.answer(coverage.covered(system), asked.get("state"))


class ModelVersionControlsView(_CoverageView):
    """What one model version covers of a catalogue, with what was signed for its system."""

    rows = staticmethod(lambda: model_versions().select_related(*MODEL_VERSION_RELATED))

    @answers(shapes.CoveredSerializer(many=True), parameters=[shapes.CoverageQuery])
    def get(self, request: Request, id: UUID) -> Response:
        asked, version = self.wanted(), self.one()
        system = version.model.system
        catalogue = catalogues.current(asked["catalogue"])
        coverage = Coverage(catalogue, [system], versions=[version], whole=True)
        return self.answer(coverage.covered(system), asked.get("state"))


class CrosswalksView(ApiView):
    """The newest version of each crosswalk between catalogues."""

    @answers(shapes.CrosswalksSerializer, operation_id="crosswalks_list")
    def get(self, request: Request) -> Response:
        found = catalogues.crosswalks()
        return Response(shapes.CrosswalksSerializer({"count": len(found), "results": found}).data)


class AttestationsView(ListView):
    """What people have signed on controls for my systems, newest first."""

    serializer_class = shapes.AttestationSerializer
    filterset_class = AttestationFilter
    ordering_fields = ("signed_at", "valid_until")
    rows = staticmethod(attestations.rows)

    def shown(self, page: Sequence[Attestation]) -> list[Attestation]:
        return _with_status(page)

    @answers(shapes.AttestationSerializer, request=shapes.AttestBody, status=201)
    def post(self, request: Request) -> Response:
        """Sign a statement on a control for a system.

        It takes a signed-in person, who gives their password again; a token cannot sign.
        """
        given = self.parsed(shapes.AttestBody)
        system = access.get(self.person, Action.VIEW, systems(), slug=given.pop("system"))
        control = catalogues.control(catalogues.current(given.pop("catalogue")), given.pop("control"))
        signed = signing.attest(acting_user=self.person, system=system, control=control, **given)
        return Response(_attestation(signed), status=201)


class WithdrawView(OneView):
    """End an attestation. It takes a signed-in person, who gives their password again."""

    verbs = ("withdraw",)
    rows = staticmethod(attestations.rows)
    http_method_names = ["post"]

    @answers(shapes.AttestationSerializer, request=shapes.WithdrawBody)
    def post(self, request: Request, id: UUID) -> Response:
        found = self.one()
        signing.withdraw(acting_user=self.person, attestation=found, **self.parsed(shapes.WithdrawBody))
        return Response(_attestation(found))


def _attestation(row: Attestation) -> Any:
    [shown] = _with_status([attestations.rows().get(pk=row.pk)])
    return shapes.AttestationSerializer(shown).data


def _with_status(page: Sequence[Attestation]) -> list[Attestation]:
    """Attestations with their status of now beside them, in one more query."""
    keys, names = {row.control.catalogue.key for row in page}, {row.control.identifier for row in page}
    rows = Control.objects.filter(catalogue__key__in=keys, identifier__in=names)
    current = rows.annotate(key=F("catalogue__key")).order_by("catalogue__number")
    digests = {(key, name): digest for key, name, digest in current.values_list("key", "identifier", "digest")}
    for row in page:
        now = digests.get((row.control.catalogue.key, row.control.identifier))
        row.status = attestations.status(row, now)  # type: ignore[attr-defined]  # computed, never a column
    return list(page)


def _matrix_row(coverage: Coverage, system: AISystem) -> dict[str, Any]:
    cells = dict(zip((control.identifier for control in coverage.controls), coverage.row(system), strict=True))
    return {
        "system": system.slug,
        "counts": dict(Counter(str(cell.state) for cell in cells.values())),
        "states": {name: cell.state for name, cell in cells.items()},
        "via": [name for name, cell in cells.items() if cell.via],
    }


def _covered(one: Covered) -> dict[str, Any]:
    word = one.word
    if word is not None:
        word.status = "in-force"  # type: ignore[attr-defined]  # which is why it is here; never a column
    return {
        "control": one.control,
        "state": one.state,
        "via_crosswalk": one.cell.via,
        "evidence": [_speaking(item) for item in one.items],
        "missing": one.missing,
        "needs_attestation": one.needs_word,
        "attestation": word,
        "via": [
            {
                "crosswalk": via.crosswalk,
                "catalogue": via.catalogue,
                "shown": [
                    {"id": source.identifier, "label": source.label, "state": state} for source, state in via.sources
                ],
            }
            for via in one.via
        ],
    }


def _speaking(item: Item) -> dict[str, Any]:
    row = item.what
    same = {name: getattr(row, name) for name in ("kind", "verdict", "summary")}
    return {"id": getattr(row, "pk", None), **same, "at": row.created_at, "model_version": item.of}


urlpatterns = [
    path("catalogues", CataloguesView.as_view()),
    path("catalogues/<uuid:id>", CatalogueView.as_view()),
    path("catalogues/<uuid:id>/oscal", OscalView.as_view()),
    path("catalogues/<uuid:id>/controls", ControlsView.as_view()),
    path("catalogues/<uuid:id>/matrix", MatrixView.as_view()),
    path("crosswalks", CrosswalksView.as_view()),
    path("systems/<slug:slug>/coverage", SystemCoverageView.as_view()),
    path("model-versions/<uuid:id>/controls", ModelVersionControlsView.as_view()),
    path("attestations", AttestationsView.as_view()),
    path("attestations/<uuid:id>/withdraw", WithdrawView.as_view()),
]
