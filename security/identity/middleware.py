"""For every page of somebody who is signed in: where they are signed in, and a password that is not theirs yet."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from security.errors import ThrottledError
from security.identity import sessions
from security.identity.models import User
from security.rest.problems import json_problem
from security.rest.throttling import spend_page


class ThrottleMiddleware:
    """Counts the pages of a signed-in person; the API counts its own requests, by token."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: object) -> HttpResponse | None:
        if request.path.startswith("/api/") or not isinstance(request.user, User):
            return None
        try:
            spend_page(request.user)
        except ThrottledError as error:
            answer = render(request, "errors/refused.html", {"error": error}, status=error.status)
            answer["Retry-After"] = str(error.retry_after)
            return answer
        return None


class SessionMiddleware:
    """Notes the session; sends whoever signs in with a password that somebody else has chosen to change it first."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        if isinstance(user, User) and sessions.is_idle(request):
            sessions.end_idle(request, user)
        elif isinstance(user, User):
            if user.must_change_password and request.path not in self.open_to_all():
                return self.change_first(request)
            sessions.note(request)
        return self.get_response(request)

    @staticmethod
    def open_to_all() -> tuple[str, ...]:
        return (reverse("first-password"), reverse("sign-out"), reverse("healthz"))

    @staticmethod
    def change_first(request: HttpRequest) -> HttpResponse:
        if request.path.startswith("/api/"):
            words = "Somebody else has chosen your password: change it on the pages first."
            return json_problem(403, "denied", "Not allowed", words)
        return redirect("first-password")
