"""Signing in and out, one's password and tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from allauth.account.internal.flows.login import perform_password_login
from allauth.account.models import Login
from django.conf import settings as django_settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from security.canonical import urn
from security.errors import InvalidError, MissingError, ThrottledError
from security.forms import refuse, user_of
from security.identity import door, second_factor, selectors, services, sessions, sso
from security.identity.forms import FirstPasswordForm, PasswordForm, SignInForm, TokenForm
from security.identity.models import User
from security.log.events import Event
from security.log.services import record


class SignIn(auth_views.LoginView):
    """The sign-in page; whoever has a second factor is asked for it next (django-allauth's stages)."""

    template_name = "identity/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            door.knock(request, request.POST.get("username", ""))
        except ThrottledError as error:
            context = self.get_context_data(form=SignInForm(request), refusal=error.message)
            headers = {"Retry-After": str(error.retry_after)}
            return self.render_to_response(context, status=error.status, headers=headers)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        user = form.get_user()
        door.opened(self.request, user)
        login = Login(user=user, redirect_url=self.get_success_url(), email_verification="none")
        with transaction.atomic():
            answer: HttpResponse = perform_password_login(self.request, {"username": user.username}, login)
        return answer

    def form_invalid(self, form: Any) -> HttpResponse:
        door.refused(str(form.data.get("username", "")))
        return super().form_invalid(form)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(provider=sso.provider(), **kwargs)


@require_POST
@login_required
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    user = user_of(request)
    with transaction.atomic():
        record(Event.USER_SIGNED_OUT, acting_user=user, subject=urn("user", user.id))
    answer: HttpResponse = auth_views.LogoutView.as_view()(request)
    answer["Clear-Site-Data"] = '"cache"'  # nothing that was shown stays in the browser
    return answer


@login_required
@require_http_methods(["GET", "POST"])
def settings(request: HttpRequest) -> HttpResponse:
    """One's own password, sessions and tokens; a new token is shown once."""
    user = user_of(request)
    form = TokenForm(request.POST or None)
    text = ""
    if request.method == "POST" and form.is_valid():
        try:
            ends = timezone.now() + timedelta(days=form.cleaned_data["days"])
            _, text = services.create_token(
                acting_user=user,
                user=user,
                name=form.cleaned_data["name"],
                scopes=form.cleaned_data["scopes"],
                expires_at=ends,
            )
            form = TokenForm()
        except InvalidError as error:
            refuse(form, error)
    return _settings_page(request, user, form=form, text=text, status=422 if form.errors else 200)


def _settings_page(request: HttpRequest, user: User, *, status: int, **context: Any) -> HttpResponse:
    shown = {
        "form": TokenForm(),
        "password_form": PasswordForm(),
        "tokens": list(selectors.tokens_of(user)),
        "places": sessions.places(user, request.session.session_key),
        "enrolled": second_factor.is_enrolled(user),
        "asked": django_settings.REQUIRE_MFA,
        **context,
    }
    return render(request, "identity/settings.html", shown, status=status)


@require_POST
@login_required
def password(request: HttpRequest) -> HttpResponse:
    """Change one's own password; other sessions end."""
    user = user_of(request)
    form = PasswordForm(request.POST)
    if form.is_valid() and _changed(request, user, form):
        messages.success(request, "Your password is changed; your other sessions have ended.")
        return redirect("settings")
    return _settings_page(request, user, status=422, password_form=form)


@login_required
@require_http_methods(["GET", "POST"])
def first_password(request: HttpRequest) -> HttpResponse:
    """The page that whoever signs in with a password of somebody else's choice sees first."""
    user = user_of(request)
    if not user.must_change_password:
        return redirect("settings")
    form = FirstPasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and _changed(request, user, form):
        messages.success(request, "The password is yours alone now.")
        return redirect("home")
    return render(request, "identity/first_password.html", {"form": form}, status=422 if form.errors else 200)


def _changed(request: HttpRequest, user: User, form: PasswordForm) -> bool:
    """Whether the password was changed; this session goes on, under a new key (ASVS 7.2.4)."""
    try:
        services.change_own_password(acting_user=user, **form.cleaned_data, keep_session=request.session.session_key)
    except InvalidError as error:
        refuse(form, error)
        return False
    user.refresh_from_db()
    sessions.renamed(request, lambda: update_session_auth_hash(request, user))
    return True


@require_POST
@login_required
def session_end(request: HttpRequest, pk: int) -> HttpResponse:
    """End one of one's own sessions."""
    sessions.end(acting_user=user_of(request), session_id=pk)
    messages.success(request, "That session has ended.")
    return redirect("settings")


@require_POST
@login_required
def sessions_end(request: HttpRequest) -> HttpResponse:
    """End every session of one's own but this one."""
    user = user_of(request)
    ended = sessions.end_all(acting_user=user, user=user, but=request.session.session_key, why="others")
    messages.success(request, f"{ended} other sessions have ended." if ended != 1 else "One other session has ended.")
    return redirect("settings")


@require_POST
@login_required
def token_revoke(request: HttpRequest, pk: str) -> HttpResponse:
    """End one of one's own tokens."""
    user = user_of(request)
    token = selectors.tokens_of(user).filter(pk=pk).first()
    if token is None:
        raise MissingError("There is no such token of yours.")
    services.revoke_token(acting_user=user, token=token)
    messages.success(request, f"The token “{token.name}” no longer works.")
    return redirect("settings")
