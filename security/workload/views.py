"""The token endpoint (RFC 8693), and the page where a system's trusts are made and ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.errors import ServiceError, UnavailableError
from security.forms import refuse, user_of
from security.identity import throttle
from security.identity.selectors import named
from security.workload import keys, services
from security.workload.forms import TrustForm
from security.workload.jwt import RefusedError

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a type
TOKEN_TYPES = ("urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token")
# what a refused token is told as (RFC 6749 §5.2, RFC 8693 §2.2.2)
_ERRORS = {"scope": "invalid_scope", "ambiguous": "invalid_target", "foreign": "invalid_grant"}


# what a request must be (RFC 8693 §2.1), and the error otherwise
_ASKED: tuple[tuple[Callable[[Mapping[str, Any]], bool], tuple[str, str]], ...] = (
    (lambda given: given.get("grant_type") == GRANT_TYPE, ("unsupported_grant_type", f"grant_type is {GRANT_TYPE}.")),
    (
        lambda given: given.get("subject_token_type") in TOKEN_TYPES and bool(given.get("subject_token")),
        ("invalid_request", f"Send subject_token, and as its type {' or '.join(TOKEN_TYPES)}."),
    ),
    (
        lambda given: given.get("requested_token_type", ACCESS_TOKEN) == ACCESS_TOKEN,
        ("invalid_request", f"Only {ACCESS_TOKEN} is given out."),
    ),
    (lambda given: not given.get("actor_token"), ("invalid_request", "actor_token is not supported.")),
)


@csrf_exempt  # no cookie is read here: the token in the body is all that counts
@never_cache
@require_POST
def token(request: HttpRequest) -> HttpResponse:
    """Exchange a workload's token for one of ours. Form-encoded in, JSON out, as RFC 8693 §2 has it."""
    if throttle.take(throttle.EXCHANGE, throttle.address_of(request)) is not throttle.Answer.GO:
        return _error("temporarily_unavailable", "Too many requests; wait a minute.", status=429, retry=60)
    given = request.POST
    if wrong := next((words for fits, words in _ASKED if not fits(given)), None):
        return _error(*wrong)
    try:
        made, text = services.exchange(
            token=given["subject_token"], scopes=given.get("scope", "").split(), system=given.get("audience", "")
        )
    except RefusedError as error:
        return _error(_ERRORS.get(error.reason, "invalid_grant"), error.detail)
    except UnavailableError as error:
        return _error("temporarily_unavailable", error.message, status=503, retry=30)
    return JsonResponse(
        {
            "access_token": text,
            "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": int((made.expires_at - timezone.now()).total_seconds()),
            "scope": " ".join(made.scopes),
        }
    )


def _error(code: str, words: str, *, status: int = 400, retry: int = 0) -> JsonResponse:
    headers = {"Retry-After": str(retry)} if retry else {}
    return JsonResponse({"error": code, "error_description": words}, status=status, headers=headers)


@login_required
@require_http_methods(["GET", "POST"])
def workloads(request: HttpRequest, slug: str) -> HttpResponse:
    """Who may come as which service into a system; POST makes a trust."""
    user = user_of(request)
    system = access.get(user, Action.GRANT, AISystem.objects.all(), slug=slug)
    form = TrustForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            services.trust(acting_user=user, system=system, **_given(form.cleaned_data))
            messages.success(request, "The trust holds from now on.")
            return redirect("workloads", slug=system.slug)
        except ServiceError as error:
            refuse(form, error)
    context = {
        "system": system,
        "form": form,
        "rows": list(services.trusts().filter(system=system)),
        "issuers": keys.issuers().values(),
        "endpoint": request.build_absolute_uri("/oauth/token"),
    }
    return render(request, "workload/workloads.html", context, status=422 if form.errors else 200)


def _given(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "service": named(data["service"], field="service")}


@require_POST
@login_required
def workload_revoke(request: HttpRequest, slug: str, pk: str) -> HttpResponse:
    """End a trust and the tokens that it gave."""
    user = user_of(request)
    system = access.get(user, Action.GRANT, AISystem.objects.all(), slug=slug)
    row = access.get(user, Action.GRANT, services.trusts().filter(system=system), pk=pk)
    services.revoke(acting_user=user, row=row)
    messages.success(request, "The trust is ended, with every token that it gave.")
    return redirect("workloads", slug=system.slug)
