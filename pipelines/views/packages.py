"""The package of a model version, from its page."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, StreamingHttpResponse
from django.views.decorators.http import require_POST

from pipelines.selectors.registry import model_versions
from pipelines.services import packages
from security.access import selectors as access
from security.access.table import Action
from security.forms import user_of


@require_POST
@login_required
def model_package(request: HttpRequest, pk: str) -> StreamingHttpResponse:
    """The package, streamed. A POST, since reading one is an event in the log."""
    user = user_of(request)
    version = access.get(user, Action.READ_ARTIFACT, model_versions(), pk=pk)
    pieces = packages.bundle(acting_user=user, model_version=version)
    answer = StreamingHttpResponse(pieces, content_type="application/zip")
    answer["Content-Disposition"] = f'attachment; filename="{packages.bundle_name(version)}"'
    answer["Cache-Control"] = "private, no-store"
    return answer
