"""Pages of waivers: the list, one, asking for one, deciding, ending."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from governance.selectors import evidence
from governance.selectors.evidence import MODEL_VERSION_RELATED
from governance.waivers import effect, selectors, services
from governance.waivers.forms import DecideForm, EndForm, RequestForm, WaiverFilter
from governance.waivers.models import Waiver
from pipelines.selectors import registry
from security.access import selectors as access
from security.access.table import Action
from security.errors import ServiceError
from security.forms import refuse, user_of
from security.identity import second_factor
from security.identity.factor_views import SIGNING, answered
from security.identity.models import User
from security.identity.selectors import named
from security.listing import listed

PER_PAGE = 25


@login_required
@require_safe
def waivers(request: HttpRequest) -> HttpResponse:
    """Every waiver that this person may see, newest first."""
    user = user_of(request)
    narrowing = WaiverFilter(request.GET, user=user)
    rows = narrowing.narrow(access.visible(user, Action.VIEW, selectors.waivers()))
    page = listed(request, rows, sorts=("requested_at", "expires_at"), default="-requested_at", per_page=PER_PAGE)
    lines = [(row, row.state()) for row in page]
    return render(request, "waivers/waivers.html", {"page": page, "lines": lines, "filter": narrowing})


@login_required
@require_safe
def waiver(request: HttpRequest, pk: str) -> HttpResponse:
    """One waiver: what for, why, until when, who decided."""
    user = user_of(request)
    return _page(request, user, access.get(user, Action.VIEW, selectors.waivers(), pk=pk))


@login_required
@require_http_methods(["GET", "POST"])
def waiver_new(request: HttpRequest, pk: str) -> HttpResponse:
    """Ask for a waiver of something that is broken on a model version."""
    user = user_of(request)
    rows = registry.model_versions().select_related(*MODEL_VERSION_RELATED)
    version = access.get(user, Action.REQUEST_WAIVER, rows, pk=pk)
    found = evidence.found(version)
    (gates,) = evidence.gates_of([(found.policy, found)])
    broken = [part for gate in gates for part in gate.broken]
    limits = found.policy.waivers
    most = limits.max_days if limits else 0
    initial = {"part": request.GET.get("part", "")}
    form = RequestForm(request.POST or None, parts=broken, most_days=most, initial=initial)
    status = 422 if request.method == "POST" else 200
    if request.method == "POST" and form.is_valid():
        try:
            given = form.cleaned_data
            username = given.pop("owner")
            owner = named(username, field="owner") if username else None
            made = services.request(acting_user=user, model_version=version, owner=owner, **given)
            messages.success(request, "Asked. A risk officer who had no hand in the model decides.")
            return redirect("waiver", pk=made.pk)
        except ServiceError as error:
            refuse(form, error)
            status = error.status
    context = {"version": version, "model": version.model, "form": form, "broken": broken, "limits": limits}
    context |= {"gates": gates, "short": f"v{version.number}", "policy": found.policy}
    return render(request, "waivers/new.html", context, status=status)


@require_POST
@login_required
def waiver_decide(request: HttpRequest, pk: str) -> HttpResponse:
    """Approve or reject."""
    user = user_of(request)
    row = access.get(user, Action.VIEW, selectors.waivers(), pk=pk)
    form = DecideForm(request.POST, **_signer(user))
    if not form.is_valid():
        return _page(request, user, row, decide_form=form, status=422)
    try:
        services.decide(acting_user=user, waiver=row, **_given(request, form))
    except ServiceError as error:
        refuse(form, error)
        return _page(request, user, row, decide_form=form, refusal=error, status=error.status)
    messages.success(request, "Signed.")
    return redirect("waiver", pk=row.pk)


@require_POST
@login_required
def waiver_end(request: HttpRequest, pk: str) -> HttpResponse:
    """End a waiver now."""
    user = user_of(request)
    row = access.get(user, Action.VIEW, selectors.waivers(), pk=pk)
    form = EndForm(request.POST, **_signer(user))
    if not form.is_valid():
        return _page(request, user, row, end_form=form, status=422)
    try:
        services.end(acting_user=user, waiver=row, **_given(request, form))
    except ServiceError as error:
        refuse(form, error)
        return _page(request, user, row, end_form=form, refusal=error, status=error.status)
    messages.success(request, "The waiver has ended. Approvals that rest on it hold no more.")
    return redirect("waiver", pk=row.pk)


def _page(
    request: HttpRequest,
    user: User,
    row: Waiver,
    *,
    decide_form: DecideForm | None = None,
    end_form: EndForm | None = None,
    refusal: ServiceError | None = None,
    status: int = 200,
) -> HttpResponse:
    standing = effect.standing(row)
    why_not, why_not_end = services.why_not_decide(user, row), services.why_not_end(user, row)
    context = {
        "waiver": row,
        "version": row.model_version,
        "standing": standing,
        "decisions": row.decisions.all(),
        "uses": effect.reviews_resting_on(row),
        "decide_form": None if why_not else decide_form or DecideForm(**_signer(user)),
        "end_form": None if why_not_end else end_form or EndForm(**_signer(user)),
        "end_open": end_form is not None,
        "why_not": why_not,
        "why_not_end": why_not_end,
        "refusal": refusal if refusal is not None and not refusal.field else None,
    }
    return render(request, "waivers/waiver.html", context, status=status)


def _signer(user: User) -> dict[str, Any]:
    """What the form for a signature asks this person for."""
    factors = frozenset(str(row.type) for row in second_factor.factors(user))
    return {"factors": factors, "has_password": user.has_usable_password()}


def _given(request: HttpRequest, form: DecideForm | EndForm) -> dict[str, Any]:
    """What a service takes: the form's fields, a passkey's answer with the state that was kept for it."""
    found = {"password": "", **form.cleaned_data, "passkey": answered(request, form, SIGNING)}
    found.pop("credential", None)
    return found
