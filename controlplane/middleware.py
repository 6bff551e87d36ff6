"""What a service refuses becomes an answer: a page, or a problem under ``/api/``."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from security.errors import DeniedError, ServiceError, ThrottledError
from security.rest.problems import json_problem
from security.vault.stream import DamagedError

_HEADERS = {
    # what a page may use of the device: nothing but passkeys
    "Permissions-Policy": "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "
    "microphone=(), magnetometer=(), midi=(), payment=(), usb=(), "
    "publickey-credentials-create=(self), publickey-credentials-get=(self)",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "X-Permitted-Cross-Domain-Policies": "none",
    "X-Frame-Options": "DENY",  # Django's middleware says it too, but not of answers from before it
}


class HeadersMiddleware:
    """Headers that Django and django-csp do not set; what is for one reader stays out of every cache."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self.get_response(request)
        for name, value in _HEADERS.items():
            answer.headers.setdefault(name, value)
        if not request.path.startswith(f"/{settings.STATIC_URL.strip('/')}/"):
            answer.headers.setdefault("Cache-Control", "no-store")
        return answer


class ServiceErrorMiddleware:
    """Renders ServiceError and DamagedError that a view let through."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, DamagedError):
            error = ServiceError(str(error))
            error.status, error.slug, error.title = 500, "damaged-artifact", "The stored artifact is damaged"
        if not isinstance(error, ServiceError):
            return None
        if request.path.startswith("/api/"):
            return json_problem(error.status, error.slug, error.title, error.message)
        if isinstance(error, DeniedError) and not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        answer = render(request, "errors/refused.html", {"error": error}, status=error.status)
        if isinstance(error, ThrottledError):
            answer["Retry-After"] = str(error.retry_after)
        return answer
