"""Pages of incidents: reporting one, its timeline, its end."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from governance.forms import SigningForm
from governance.risk import selectors
from governance.risk.builders import builders
from governance.risk.forms import CloseForm, IncidentForm, NoteForm, PlainCloseForm
from governance.risk.models import Incident
from governance.risk.services import incidents as services
from governance.risk.views.signing import signed, signer
from pipelines.selectors.registry import model_versions
from pipelines.views.permits import Permit, permit
from security.access import people
from security.access import selectors as access
from security.access.table import Action
from security.errors import ServiceError
from security.forms import refuse, user_of
from security.identity.models import User


@login_required
@require_http_methods(["GET", "POST"])
def incident_new(request: HttpRequest, slug: str) -> HttpResponse:
    """Report an incident."""
    user = user_of(request)
    system = access.get(user, Action.REPORT, people.systems(), slug=slug)
    versions = model_versions().filter(model__system=system)
    form = IncidentForm(request.POST or None, versions=versions, initial={"model_version": request.GET.get("version")})
    if request.method == "POST" and form.is_valid():
        try:
            made = services.open_incident(acting_user=user, system=system, **form.cleaned_data)
            messages.success(request, "The incident is on record.")
            return redirect("incident", pk=made.pk)
        except ServiceError as error:
            refuse(form, error)
    context = {"system": system, "form": form}
    return render(request, "risk/incident_new.html", context, status=422 if form.errors else 200)


@login_required
@require_safe
def incident(request: HttpRequest, pk: str) -> HttpResponse:
    """One incident and its timeline."""
    found = access.get(user_of(request), Action.VIEW, selectors.incidents(), pk=pk)
    return _page(request, found)


@require_POST
@login_required
def incident_note(request: HttpRequest, pk: str) -> HttpResponse:
    """Add to the timeline."""
    user = user_of(request)
    found = access.get(user, Action.REPORT, selectors.incidents(), pk=pk)
    form = NoteForm(request.POST)
    if form.is_valid():
        try:
            services.note(acting_user=user, incident=found, **form.cleaned_data)
            return redirect("incident", pk=found.pk)
        except ServiceError as error:
            refuse(form, error)
    return _page(request, found, note=form, status=422)


@require_POST
@login_required
def incident_close(request: HttpRequest, pk: str) -> HttpResponse:
    """End the incident; a grave one by a signature."""
    user = user_of(request)
    found = access.get(user, Action.VIEW, selectors.incidents(), pk=pk)
    access.require(user, _closing(found), found.system)
    form = _close_form(user, found, request)
    if not form.is_valid():
        return _page(request, found, close=form, status=422)
    given = signed(request, form) if isinstance(form, SigningForm) else form.cleaned_data
    try:
        services.close(acting_user=user, incident=found, **given)
    except ServiceError as error:
        refuse(form, error)
        return _page(request, found, close=form, status=error.status)
    messages.success(request, "The incident is closed.")
    return redirect("incident", pk=found.pk)


def _closing(found: Incident) -> Action:
    return Action.SIGN_RISK if found.grave else Action.ASSESS


def _close_form(user: User, found: Incident, request: HttpRequest | None = None) -> forms.Form:
    data = request.POST if request is not None else None
    return CloseForm(data, **signer(user)) if found.grave else PlainCloseForm(data)


def _page(
    request: HttpRequest,
    found: Incident,
    *,
    note: NoteForm | None = None,
    close: forms.Form | None = None,
    status: int = 200,
) -> HttpResponse:
    user = user_of(request)
    may_close = permit(user, _closing(found), found.system)
    if may_close and found.grave:
        may_close = Permit(selectors.why_not_close(user, builders(found.system)))
    context = {
        "incident": found,
        "system": found.system,
        "timeline": list(selectors.timeline(found)),
        "may_report": permit(user, Action.REPORT, found.system),
        "may_close": may_close,
        "note_form": note or NoteForm(),
        "close_form": close or (_close_form(user, found) if may_close else None),
        "close_open": close is not None,
    }
    return render(request, "risk/incident.html", context, status=status)
