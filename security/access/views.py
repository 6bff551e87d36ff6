"""Systems, people and roles."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from security.access import selectors as access
from security.access import services
from security.access.forms import GrantForm, NewSystemForm, SystemForm
from security.access.models import AISystem, RoleGrant
from security.access.table import Action
from security.errors import MissingError, ServiceError
from security.forms import refuse, user_of
from security.identity import second_factor, sso
from security.identity import selectors as identity
from security.identity import services as identity_services
from security.identity.forms import LinkForm, PersonForm, ResetPasswordForm
from security.identity.models import User
from security.listing import listed


@login_required
def people(request: HttpRequest) -> HttpResponse:
    """Everybody that those who may see people can see, with their live roles."""
    user = user_of(request)
    if not access.allowed_somewhere(user, Action.VIEW_LOG):
        access.require(user, Action.MANAGE_PEOPLE)
    rows = identity.people()
    if wanted := request.GET.get("q", "").replace("\0", "").strip():
        rows = rows.filter(Q(username__icontains=wanted) | Q(full_name__icontains=wanted))
    page = listed(request, rows, sorts=("username", "full_name", "created_at"), default="username")
    grants: dict[object, list[RoleGrant]] = {}
    for grant in access.live_grants().filter(user__in=[person.pk for person in page]).select_related("system"):
        grants.setdefault(grant.user_id, []).append(grant)
    context = {
        "page": page,
        "rows": [(person, grants.get(person.pk, [])) for person in page],
        "may_manage": access.allowed(user, Action.MANAGE_PEOPLE),
        "q": wanted,
    }
    return render(request, "access/people.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def person_new(request: HttpRequest) -> HttpResponse:
    """Create a person or a service."""
    user = user_of(request)
    access.require(user, Action.MANAGE_PEOPLE)
    form = PersonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            data = form.cleaned_data | {"password": form.cleaned_data["password"] or None}
            made = identity_services.create_user(acting_user=user, **data)
            messages.success(request, f"{made.full_name} can be given roles now.")
            return redirect("person", pk=made.pk)
        except ServiceError as error:
            refuse(form, error)
    return render(request, "access/person_new.html", {"form": form}, status=422 if form.errors else 200)


@login_required
@require_http_methods(["GET", "POST"])
def person(request: HttpRequest, pk: str) -> HttpResponse:
    """One person: their roles, and for administrators a form that grants another."""
    user = user_of(request)
    found = User.objects.filter(pk=pk).first()
    if found is None or not (user.pk == found.pk or access.allowed(user, Action.MANAGE_PEOPLE)):
        access.require(user, Action.MANAGE_PEOPLE)
        raise MissingError("There is no such person.")
    form = GrantForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            services.grant_role(
                acting_user=user, user=found, role=data["role"], system=data["system"], expires_at=data["expires_at"]
            )
            messages.success(request, "The role is granted.")
            return redirect("person", pk=found.pk)
        except ServiceError as error:
            refuse(form, error)
    return _person_page(request, user, found, form=form, status=422 if form.errors else 200)


def _person_page(request: HttpRequest, user: User, found: User, *, status: int, **context: Any) -> HttpResponse:
    shown = {
        "person": found,
        "grants": RoleGrant.objects.filter(user=found).select_related("system", "granted_by"),
        "form": GrantForm(),
        "may_grant": access.allowed(user, Action.GRANT),
        "password_form": ResetPasswordForm(),
        "link_form": LinkForm(),
        "links": sso.links_of(found),
        "provider": sso.provider(),
        "enrolled": second_factor.is_enrolled(found),
        "hand_days": settings.CREDENTIALS_DAYS,
        **context,
    }
    return render(request, "access/person.html", shown, status=status)


def _managed(request: HttpRequest, pk: str) -> tuple[User, User]:
    """Who asks, and the person they manage. Raises DeniedError, MissingError."""
    user = user_of(request)
    access.require(user, Action.MANAGE_PEOPLE)
    found = User.objects.filter(pk=pk).first()
    if found is None:
        raise MissingError("There is no such person.")
    return user, found


@require_POST
@login_required
def person_password(request: HttpRequest, pk: str) -> HttpResponse:
    """Set the password of somebody who has lost theirs."""
    user, found = _managed(request, pk)
    form = ResetPasswordForm(request.POST)
    if form.is_valid():
        try:
            identity_services.reset_password(acting_user=user, user=found, password=form.cleaned_data["password"])
            messages.success(request, f"Tell {found.full_name} the password in person; they must change it.")
            return redirect("person", pk=found.pk)
        except ServiceError as error:
            refuse(form, error)
    return _person_page(request, user, found, password_form=form, status=422)


@require_POST
@login_required
def person_sessions_end(request: HttpRequest, pk: str) -> HttpResponse:
    """Sign a person out everywhere."""
    user, found = _managed(request, pk)
    ended = identity_services.end_sessions(acting_user=user, user=found)
    messages.success(request, f"{found.full_name} is signed out everywhere (sessions ended: {ended}).")
    return redirect("person", pk=found.pk)


@require_POST
@login_required
def person_factor_reset(request: HttpRequest, pk: str) -> HttpResponse:
    """Take away a second factor that is lost."""
    user, found = _managed(request, pk)
    identity_services.reset_second_factor(acting_user=user, user=found)
    messages.success(request, f"{found.full_name} has no second factor now.")
    return redirect("person", pk=found.pk)


@require_POST
@login_required
def person_link(request: HttpRequest, pk: str) -> HttpResponse:
    """Let a subject of the OpenID Connect provider sign in as this person."""
    user, found = _managed(request, pk)
    form = LinkForm(request.POST)
    if form.is_valid():
        try:
            sso.link(acting_user=user, user=found, subject=form.cleaned_data["subject"])
            messages.success(request, "The account is linked.")
            return redirect("person", pk=found.pk)
        except ServiceError as error:
            refuse(form, error)
    return _person_page(request, user, found, link_form=form, status=422)


@require_POST
@login_required
def person_unlink(request: HttpRequest, pk: str, link: int) -> HttpResponse:
    """End a link."""
    user, found = _managed(request, pk)
    sso.unlink(acting_user=user, user=found, link_id=link)
    messages.success(request, "The link is ended.")
    return redirect("person", pk=found.pk)


@require_POST
@login_required
def person_deactivate(request: HttpRequest, pk: str) -> HttpResponse:
    """Stop a person from signing in."""
    user, found = _managed(request, pk)
    identity_services.deactivate_user(acting_user=user, user=found)
    messages.success(request, f"{found.full_name} can no longer sign in.")
    return redirect("person", pk=found.pk)


@require_POST
@login_required
def grant_revoke(request: HttpRequest, pk: str) -> HttpResponse:
    """End a role."""
    user = user_of(request)
    grant = RoleGrant.objects.select_related("system").filter(pk=pk).first()
    if grant is None:
        access.require(user, Action.GRANT)
        raise MissingError("There is no such role grant.")
    services.revoke_role(acting_user=user, grant=grant)
    messages.success(request, "The role is revoked.")
    return redirect("person", pk=grant.user_id)


@login_required
@require_http_methods(["GET", "POST"])
def system_new(request: HttpRequest) -> HttpResponse:
    """Create an AI system."""
    user = user_of(request)
    access.require(user, Action.CREATE_SYSTEM)
    form = NewSystemForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_system(acting_user=user, owner=None, **form.cleaned_data)
            messages.success(request, f"{made.name} exists; give people their roles in it.")
            return redirect("system", slug=made.slug)
        except ServiceError as error:
            refuse(form, error)
    return render(request, "access/system_new.html", {"form": form}, status=422 if form.errors else 200)


@login_required
@require_http_methods(["GET", "POST"])
def system_change(request: HttpRequest, slug: str) -> HttpResponse:
    """Change a system's name and purpose."""
    user = user_of(request)
    system = access.get(user, Action.CHANGE_SYSTEM, AISystem.objects.all(), slug=slug)
    form = SystemForm(request.POST or None, initial={"name": system.name, "purpose": system.purpose})
    if request.method == "POST" and form.is_valid():
        try:
            services.change_system(acting_user=user, system=system, **form.cleaned_data)
            return redirect("system", slug=system.slug)
        except ServiceError as error:
            refuse(form, error)
    return render(
        request, "access/system_change.html", {"form": form, "system": system}, status=422 if form.errors else 200
    )
