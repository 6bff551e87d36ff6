"""The page of one condition of an approval, and what its owner and whoever set it do to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from governance.forms import ConfirmForm, NoteForm, SendBackForm
from governance.models import Condition, ConditionState
from governance.selectors.conditions import conditions, why_not_confirm
from governance.services import conditions as services
from governance.views import shown
from governance.views.reviews import signed, signer
from security.access import selectors as access
from security.access.table import Action
from security.errors import ServiceError
from security.forms import refuse, user_of
from security.identity.models import User


@login_required
@require_safe
def condition(request: HttpRequest, pk: str) -> HttpResponse:
    """One condition: what it asks, how it stands, and what this person can do about it."""
    user = user_of(request)
    return _page(request, user, access.get(user, Action.VIEW, conditions(), pk=pk))


@require_POST
@login_required
def condition_report(request: HttpRequest, pk: str) -> HttpResponse:
    """Its owner says that it is met."""
    user = user_of(request)
    found = access.get(user, Action.VIEW, conditions(), pk=pk)
    said = f"Reported. {found.vote.voter} confirms it."
    return _done(request, user, found, NoteForm(request.POST), services.report, "report_form", said)


@require_POST
@login_required
def condition_send_back(request: HttpRequest, pk: str) -> HttpResponse:
    """Whoever set it says that it is not met yet."""
    user = user_of(request)
    found = access.get(user, Action.VIEW, conditions(), pk=pk)
    said = f"Sent back to {found.owner}."
    return _done(request, user, found, SendBackForm(request.POST), services.send_back, "send_back_form", said)


@require_POST
@login_required
def condition_confirm(request: HttpRequest, pk: str) -> HttpResponse:
    """Whoever set it signs that it is met."""
    user = user_of(request)
    found = access.get(user, Action.VIEW, conditions(), pk=pk)
    form = ConfirmForm(request.POST, **signer(user))
    return _done(request, user, found, form, services.confirm, "confirm_form", "Signed. The condition is met.")


def _done(
    request: HttpRequest,
    user: User,
    found: Condition,
    form: forms.Form,
    service: Callable[..., Condition],
    name: str,
    said: str,
) -> HttpResponse:
    """One service with what the form says, and the page again where either refuses."""
    if not form.is_valid():
        return _page(request, user, found, status=422, **{name: form})
    given = signed(request, form) if isinstance(form, ConfirmForm) else form.cleaned_data
    try:
        service(acting_user=user, condition=found, **given)
    except ServiceError as error:
        refuse(form, error)
        return _page(request, user, found, status=error.status, **{name: form})
    messages.success(request, said)
    return redirect("condition", pk=found.pk)


def _page(request: HttpRequest, user: User, found: Condition, *, status: int = 200, **given: Any) -> HttpResponse:
    reported = found.state == ConditionState.REPORTED
    why_not = why_not_confirm(user, found) if reported else ""
    seen = {"expected_version": found.row_version}
    context = {
        "condition": found,
        "review": found.review,
        "version": found.review.model_version,
        "may_report": found.state == ConditionState.OPEN and user == found.owner,
        "may_confirm": reported and not why_not,
        "why_not": why_not,
        "acts": shown.acts(found.acts.all()),
        "report_form": NoteForm(initial=seen),
        "send_back_form": SendBackForm(initial=seen),
        "confirm_form": ConfirmForm(initial=seen, **signer(user)),
        **given,
    }
    return render(request, "governance/condition.html", context, status=status)
