"""Second factors: the second step of signing in, and the page where a person enrols and removes them."""

from __future__ import annotations

import base64
import json
from typing import Any

from allauth.account.internal.decorators import login_stage_required
from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.adapter import get_adapter
from allauth.mfa.stages import AuthenticateStage
from allauth.mfa.totp.internal.auth import generate_totp_secret
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from security.errors import MissingError, ServiceError
from security.forms import refuse, user_of
from security.identity import second_factor as factors
from security.identity import services
from security.identity.forms import FactorForm, PasskeyForm, SecondFactorForm, TotpForm
from security.identity.models import User
from security.identity.second_factor import PasskeyAnswer

SECRET, NEW, SIGN_IN, SIGNING = "totp.secret", "passkey.new", "passkey.sign-in", "passkey.signing"


@never_cache
@require_http_methods(["GET", "POST"])
@login_stage_required(stage=AuthenticateStage.key, redirect_urlname="account_login")
def sign_in_second_factor(request: HttpRequest) -> HttpResponse:
    """After the password: a code or a passkey. Only then is anybody signed in."""
    stage = request._login_stage  # type: ignore[attr-defined]  # set by the decorator
    user: User = stage.login.user
    challenge = factors.ask_passkey(user, host_of(request))
    form = SecondFactorForm(request.POST or None, passkeys=challenge is not None)
    if request.method == "POST" and form.is_valid():
        try:
            found = factors.check(user, code=form.cleaned_data["code"], passkey=answered(request, form, SIGN_IN))
            with transaction.atomic():
                record_authentication(request, user, "mfa", type=found.type)
                answer: HttpResponse = stage.exit()
            return answer
        except ServiceError as error:
            refuse(form, error)
    if challenge is not None:
        request.session[SIGN_IN] = challenge.state
    context = {"form": form, "options": json.dumps(challenge.options) if challenge else "", "person": user}
    return render(request, "identity/second_step.html", context, status=422 if form.errors else 200)


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def second_factor(request: HttpRequest) -> HttpResponse:
    """What is enrolled; POST enrols an authenticator app."""
    user = user_of(request)
    if request.method != "POST":
        return _page(request, user)
    form = TotpForm(request.POST)
    if not form.is_valid():
        return _page(request, user, totp_form=form)
    try:
        services.check_password_again(user, form.cleaned_data["password"])
        codes = factors.enrol_totp(
            acting_user=user, secret=request.session.get(SECRET, ""), code=form.cleaned_data["code"]
        )
    except ServiceError as error:
        refuse(form, error)
        return _page(request, user, totp_form=form)
    request.session.pop(SECRET, None)
    return _page(request, user, codes=codes, done="The authenticator app is enrolled.")


@never_cache
@require_POST
@login_required
def passkey_add(request: HttpRequest) -> HttpResponse:
    """Enrol a passkey."""
    user = user_of(request)
    form = PasskeyForm(request.POST, auto_id="id_passkey_%s")
    if not form.is_valid():
        return _page(request, user, passkey_form=form)
    try:
        services.check_password_again(user, form.cleaned_data["password"])
        answer = answered(request, form, NEW) or PasskeyAnswer({}, {})
        codes = factors.enrol_passkey(acting_user=user, name=form.cleaned_data["name"], answer=answer)
    except ServiceError as error:
        refuse(form, error)
        return _page(request, user, passkey_form=form)
    return _page(request, user, codes=codes, done="The passkey is enrolled.")


@never_cache
@require_POST
@login_required
def passkey_challenge(request: HttpRequest) -> HttpResponse:
    """A challenge for one's own passkeys, to sign something with (JSON)."""
    user = user_of(request)
    challenge = factors.ask_passkey(user, host_of(request))
    if challenge is None:
        raise MissingError("You have no passkey.")
    request.session[SIGNING] = challenge.state
    return JsonResponse(challenge.options)


@never_cache
@require_POST
@login_required
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """New recovery codes instead of the old."""
    user = user_of(request)
    form = FactorForm(request.POST)
    try:
        services.check_password_again(user, form.data.get("password", ""))
        codes = factors.new_recovery_codes(acting_user=user)
    except ServiceError as error:
        return _page(request, user, refusal=error.message)
    return _page(request, user, codes=codes, done="The earlier recovery codes have ended.")


@require_POST
@login_required
def factor_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove an authenticator app or a passkey."""
    user = user_of(request)
    try:
        services.check_password_again(user, request.POST.get("password", ""))
    except ServiceError as error:
        return _page(request, user, refusal=error.message)
    factors.remove(acting_user=user, factor_id=pk)
    messages.success(request, "It is removed.")
    return redirect("second-factor")


def answered(request: HttpRequest, form: Any, kept: str) -> PasskeyAnswer | None:
    """The passkey's answer in a form, with the state kept for it, which is good for one try; None without one."""
    credential = form.cleaned_data.get("credential")
    if not credential:
        return None
    state = request.session.pop(kept, None) or {}
    return PasskeyAnswer(credential if isinstance(credential, dict) else {}, state)


def host_of(request: HttpRequest) -> str:
    """The RP ID: the host without its port (WebAuthn level 3 §5.1.2)."""
    return request.get_host().rpartition(":")[0] or request.get_host()


def _page(request: HttpRequest, user: User, **context: Any) -> HttpResponse:
    rows = factors.factors(user)
    kinds = {str(row.type) for row in rows}
    wrong = any(context.get(name) is not None for name in ("totp_form", "passkey_form", "refusal"))
    shown = {
        "rows": [(row, factors.NAMES[str(row.type)]) for row in rows if str(row.type) != "recovery_codes"],
        "codes_left": next((len(row.wrap().get_unused_codes()) for row in rows if row.type == "recovery_codes"), None),
        "enrolled": bool(kinds - {"recovery_codes"}),
        "asked": settings.REQUIRE_MFA,
        "totp_form": TotpForm(),
        "passkey_form": PasskeyForm(auto_id="id_passkey_%s"),
        "password_form": FactorForm(auto_id="id_codes_%s"),
        **context,
    }
    if "totp" not in kinds:
        shown |= _new_totp(request, user)
    challenge = factors.ask_new_passkey(user, host_of(request))
    request.session[NEW] = challenge.state
    shown["options"] = json.dumps(challenge.options)
    return render(request, "identity/second_factor.html", shown, status=422 if wrong else 200)


def _new_totp(request: HttpRequest, user: User) -> dict[str, str]:
    """The secret that an app is to be given, as text and as a picture; the same until it is enrolled."""
    secret = request.session.setdefault(SECRET, generate_totp_secret())
    picture = get_adapter().build_totp_svg(factors.totp_address(user, secret))
    return {"secret": secret, "picture": base64.b64encode(picture.encode()).decode()}
