"""Whether this process serves, for whoever starts and watches it."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

PATH = "healthz"


def healthz(request: HttpRequest) -> HttpResponse:
    """Answers while the process serves; checks nothing else."""
    return HttpResponse("ok\n", content_type="text/plain")


class HealthMiddleware:
    """Answers before the host's name is looked at: a check inside the container asks 127.0.0.1, whatever people type.

    Nothing in the answer depends on the name, so nothing can be had by giving a wrong one.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return healthz(request) if request.path == f"/{PATH}" else self.get_response(request)
