"""The page that brings in a model that was trained elsewhere."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from pipelines.external_form import ExternalModelForm
from pipelines.models import Run
from pipelines.services import external
from security.access import selectors as access
from security.access.table import Action
from security.errors import ServiceError
from security.forms import refuse, user_of
from security.identity.models import User


@login_required
@require_http_methods(["GET", "POST"])
def model_import(request: HttpRequest) -> HttpResponse:
    """Upload a model file with what is known of it, and start the run that opens and registers it."""
    user = user_of(request)
    if not access.allowed_somewhere(user, Action.REGISTER):
        access.require(user, Action.REGISTER)
    form = ExternalModelForm(
        request.POST or None, request.FILES or None, user=user, initial={"system": request.GET.get("system")}
    )
    if request.method == "POST" and form.is_valid():
        try:
            run = _brought_in(user, form.cleaned_data)
            messages.success(request, "The file is stored; this run opens it and registers the model.")
            return redirect("run", pk=run.pk)
        except ServiceError as error:
            refuse(form, error)
    context = {"form": form, "limit": settings.MODEL_UPLOAD_MAX_BYTES}
    return render(request, "pipelines/model_import.html", context, status=422 if form.errors else 200)


def _brought_in(user: User, given: dict[str, Any]) -> Run:
    file, system = given["file"], given["system"]
    external.require_size(file.size)
    artifact, _ = external.upload(acting_user=user, system=system, chunks=file.chunks())
    opening = {
        "sha256": artifact.digest,
        **{name: given[name] for name in ("task", "classes", "columns", "training_sha256")},
    }
    origin = {name: given[name] for name in ("model", "description", "supplier", "reference", "lineage")}
    return external.bring_in(acting_user=user, system=system, opening=opening, origin=origin)
