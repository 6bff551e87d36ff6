"""The home page, the pages of systems, and what is shown when something goes wrong."""

from __future__ import annotations

from django import forms
from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template import loader
from django.views.decorators.http import require_safe

from controlplane import home as selectors
from controlplane import services
from governance.risk.selectors import summary
from governance.selectors.policies import policy_for
from governance.sentences import needed
from pipelines.views.permits import permit
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.forms import user_of
from security.listing import listed
from security.rest.problems import json_problem

SINCE = "home-since"


class SystemFilter(forms.Form):
    """Which systems to show."""

    q = forms.CharField(label="Name", required=False, max_length=100, widget=forms.TextInput(attrs={"type": "search"}))
    tier = forms.ChoiceField(
        label="Risk tier",
        required=False,
        choices=[("", "Any"), ("high", "High"), ("medium", "Medium"), ("low", "Low")],
    )


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What waits for me, what is failing, what runs out, what changed since I last looked."""
    user = user_of(request)
    since, request.session[SINCE] = services.look(user, request.session.get(SINCE))
    seen = access.visible(user, Action.VIEW, AISystem.objects.all())
    found = selectors.home(user, since)
    context = {
        "home": found,
        "waiting": {"reviews": found.waiting.badge},
        "since": since,
        "has_systems": seen.exists(),
        "has_role": bool(access.grants_of(user)),
        "may_create": access.allowed(user, Action.CREATE_SYSTEM),
        "may_register": access.allowed_somewhere(user, Action.REGISTER),
        "decides": access.allowed_somewhere(user, Action.VALIDATE)
        or access.allowed_somewhere(user, Action.ACCEPT_RISK),
        "may_see_log": access.allowed_somewhere(user, Action.VIEW_LOG),
    }
    if not context["has_role"]:
        context["admins"] = access.eligible(Action.GRANT)
    return render(request, "controlplane/home.html", context)


@login_required
@require_safe
def systems(request: HttpRequest) -> HttpResponse:
    """The AI systems that the user may view."""
    user = user_of(request)
    rows = selectors.systems(user)
    form = SystemFilter(request.GET)
    wanted = form.cleaned_data if form.is_valid() else {}
    if words := wanted.get("q"):
        rows = rows.filter(Q(name__icontains=words) | Q(slug__icontains=words) | Q(purpose__icontains=words))
    if tier := wanted.get("tier"):
        rows = rows.filter(tier=tier)
    sorts = ("slug", "name", "pipeline_count", "model_count", "open_reviews", "last_run_at")
    page = listed(request, rows, sorts=sorts, default="slug")
    context = {"page": page, "form": form, "may_create": access.allowed(user, Action.CREATE_SYSTEM)}
    return render(request, "controlplane/systems.html", context)


@login_required
@require_safe
def system(request: HttpRequest, slug: str) -> HttpResponse:
    """One AI system: purpose, tier and why, pipelines, models, reviews, runs, people."""
    user = user_of(request)
    found = access.get(user, Action.VIEW, AISystem.objects.select_related("owner"), slug=slug)
    policy = policy_for(found)
    context = {
        "system": found,
        "policy": policy,
        "needed": needed(policy),
        "risk": summary(found),
        "may_grant": access.allowed(user, Action.GRANT, found),
        "may_connect": access.allowed(user, Action.CONNECT, found),
        "may_change": permit(user, Action.CHANGE_SYSTEM, found),
        "may_register": permit(user, Action.REGISTER, found),
        "may_manage": access.allowed(user, Action.MANAGE_PEOPLE),
        **selectors.system_parts(found),
    }
    return render(request, "controlplane/system.html", context)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400."""
    return _problem(request, 400, "bad-request", "The server did not understand that")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    return _problem(request, 403, "denied", "Not allowed")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    return _problem(request, 404, "not-found", "There is nothing at this address")


def broken(request: HttpRequest) -> HttpResponse:
    """500, rendered without the request, so that nothing in it can break again."""
    if request.path.startswith("/api/"):
        return json_problem(500, "internal", "Something broke on the server", "Nothing was stored half-way.")
    return HttpResponse(loader.get_template("errors/500.html").render(), status=500)


def refused_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form whose token is missing or old."""
    return render(request, "errors/403.html", {"detail": _CSRF}, status=403)


def _problem(request: HttpRequest, status: int, slug: str, title: str) -> HttpResponse:
    if request.path.startswith("/api/"):
        return json_problem(status, slug, title, "")
    return render(request, f"errors/{status}.html", status=status)


_CSRF = (
    "This form was not sent from a page of this session (its token is missing or old), so nothing was done. "
    "Go back, reload the page, and send it again."
)
