"""Every error of the API as RFC 9457 ``application/problem+json``."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.signals import got_request_exception
from django.db import DataError, OperationalError
from django.http import Http404, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from security.errors import InvalidError, ServiceError, UnavailableError
from security.rest.parsing import MalformedError
from security.vault.providers.contract import KeyProviderError
from security.vault.stream import DamagedError

CONTENT_TYPE = "application/problem+json"
RETRY_SECONDS = 5
_BASE = "urn:countersign:problem:"
log = logging.getLogger(__name__)

_NOTHING_HERE = "There is nothing at this address; the API is described at /api/v1/schema/."
# exceptions that are not ours: status, slug, title, detail (empty: the error's own words)
_FOREIGN: tuple[tuple[type[Exception], int, str, str, str], ...] = (
    (DamagedError, 500, "damaged-artifact", "The stored artifact is damaged", ""),
    (
        KeyProviderError,
        503,
        "unavailable",
        UnavailableError.title,
        "The vault's keys cannot be had; nothing was changed.",
    ),
    (Http404, 404, "not-found", "Not found", _NOTHING_HERE),
    (PermissionDenied, 403, "denied", "Not allowed", "This is not allowed."),
    (RequestDataTooBig, 413, "too-large", "The request is too large", "A body has at most 2 MiB."),
    (UnreadablePostError, 400, MalformedError.slug, MalformedError.title, "The body ended too early."),
    (MultiPartParserError, 400, MalformedError.slug, MalformedError.title, "The form in the body cannot be read."),
    (SuspiciousOperation, 400, "bad-request", ServiceError.title, "The request is not one that is answered here."),
    (DataError, 422, "invalid", InvalidError.title, "A value is one that the database cannot hold."),
    (OperationalError, 503, "unavailable", UnavailableError.title, "The database is busy or away; try again."),
)


def problem(status: int, slug: str, title: str, detail: str, **extra: Any) -> dict[str, Any]:
    """The members of RFC 9457 §3.1 plus extensions."""
    return {"type": _BASE + slug, "title": title, "status": status, "detail": detail, **extra}


def handle(error: Exception, context: dict[str, Any]) -> Response:
    """A problem for every error; an unforeseen one is logged, and answered with its reference."""
    found = _describe(error)
    body, headers = found if found is not None else _unforeseen(error, context)
    set_rollback()
    if body["status"] == 503:
        headers["Retry-After"] = str(RETRY_SECONDS)
    return Response(body, status=body["status"], headers=headers, content_type=CONTENT_TYPE, exception=True)


def json_problem(status: int, slug: str, title: str, detail: str) -> JsonResponse:
    """A problem outside DRF (an error in a middleware)."""
    return JsonResponse(problem(status, slug, title, detail), status=status, content_type=CONTENT_TYPE)


def as_bytes(body: dict[str, Any]) -> bytes:
    """A problem as it is sent; ASCII, so that nothing in it can fail to be encoded."""
    return json.dumps(body, ensure_ascii=True, default=str).encode()


def _describe(error: Exception) -> tuple[dict[str, Any], dict[str, str]] | None:
    if isinstance(error, ServiceError):
        extra = {**({"field": error.field} if error.field else {}), **error.extra}
        wait = extra.pop("retry_after", None)
        body = problem(error.status, error.slug, error.title, error.message, **extra)
        return body, {"Retry-After": str(wait)} if wait else {}
    if isinstance(error, exceptions.ValidationError):
        return _invalid(error), {}
    if isinstance(error, exceptions.APIException):
        return _drf(error)
    for kind, status, slug, title, detail in _FOREIGN:
        if isinstance(error, kind):
            return problem(status, slug, title, detail or str(error)), {}
    return None


def _unforeseen(error: Exception, context: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    reference, request = f"urn:uuid:{uuid4()}", context.get("request")
    log.error("%s in %s %s (%s)", type(error).__name__, *_line(request), reference, exc_info=error)
    got_request_exception.send(sender=None, request=request)
    detail = "The server failed in a way it does not foresee. Give its operators the reference in instance."
    return problem(500, "unforeseen", "The server failed", detail, instance=reference), {}


def _line(request: Any) -> tuple[str, str]:
    return (request.method, request.path) if request is not None else ("?", "?")


def _invalid(error: exceptions.ValidationError) -> dict[str, Any]:
    errors = list(_errors(error.detail))
    detail = "; ".join(f"{e['field']}: {e['detail']}" if e["field"] else e["detail"] for e in errors)
    return problem(422, "invalid", "What was sent is not valid", detail, errors=errors)


def _drf(error: exceptions.APIException) -> tuple[dict[str, Any], dict[str, str]]:
    headers = {}
    if header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(math.ceil(wait))
    title, help_text = _TITLES.get(type(error), ("The request cannot be carried out", ""))
    slug = str(error.default_code).replace("_", "-")
    return problem(error.status_code, slug, title, f"{error.detail} {help_text}".strip()), headers


_TITLES: dict[type[exceptions.APIException], tuple[str, str]] = {
    exceptions.NotAuthenticated: ("Not signed in", "Send a token: “Authorization: Bearer cs_…”."),
    exceptions.AuthenticationFailed: ("Not signed in", ""),
    exceptions.PermissionDenied: ("Not allowed", ""),
    exceptions.MethodNotAllowed: ("This is not done here", "The header Allow names what is."),
    exceptions.Throttled: ("Too many requests", ""),
    exceptions.NotAcceptable: ("No such format", ""),
    exceptions.UnsupportedMediaType: ("No such body is read here", "The API's schema names what is."),
}


def _errors(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    if isinstance(detail, dict):
        for key, value in detail.items():
            yield from _errors(value, f"{path}.{key}" if path else str(key))
    elif isinstance(detail, list):
        for value in detail:
            yield from _errors(value, path)
    else:
        yield {"field": "" if path == "non_field_errors" else path, "detail": str(detail)}
