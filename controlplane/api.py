"""The REST API: the floors' parts under one address, its OpenAPI description, and its reference page."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.urls import include, path, re_path
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from governance import api as governance
from governance.notices import api as notices
from governance.risk import api as risk
from pipelines.api import urls as pipelines
from security.access import api as access
from security.identity import api as identity
from security.log import api as log
from security.rest.authentication import SessionAuthentication
from security.rest.rendering import Negotiation
from security.rest.views import AnswersProblems, NothingHere
from security.vault import api as vault
from security.workload import api as workload


@extend_schema(exclude=True)
class SchemaView(AnswersProblems, SpectacularAPIView):
    """OpenAPI 3.1 of this API, as YAML or JSON (`?format=json`)."""

    content_negotiation_class = Negotiation


class ReferenceView(SpectacularSwaggerSplitView):
    """The API to read and try out. Its script comes from its own address, so the page needs no inline script."""

    url_name = "api-schema"
    template_name = "api/reference.html"
    authentication_classes = [SessionAuthentication]


VERSION_1 = [
    *identity.urlpatterns,
    *access.urlpatterns,
    *workload.urlpatterns,
    *log.urlpatterns,
    *vault.urlpatterns,
    *pipelines.urlpatterns,
    *governance.urlpatterns,
    *notices.urlpatterns,
    *risk.urlpatterns,
    path("schema/", SchemaView.as_view(), name="api-schema"),
    path("docs/", login_required(ReferenceView.as_view()), name="api-reference"),
]
urlpatterns = [path("v1/", include(VERSION_1)), re_path(r"", NothingHere.as_view())]
