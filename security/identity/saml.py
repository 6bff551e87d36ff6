"""Sign-in through a SAML 2.0 provider, django-allauth's own views, for people who are linked (see ``sso``).

What is asked of an answer: an assertion signed by the provider's certificate with SHA-256 or better, for this
installation and this address, in its time, and to a request that this browser's session made (no unasked answers, each
request once). Single logout is not spoken: a session is ended here. The addresses exist without a provider as well, and
then answer 404.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.module_loading import import_string
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from security.errors import UnavailableError

_VIEWS = "allauth.socialaccount.providers.saml.views."
_ANSWER_CHARACTERS = 200_000  # in Base64; an answer that large names nobody that we know


def login(request: HttpRequest, organization_slug: str) -> HttpResponse:
    """Off to the provider, by POST; a GET shows the button."""
    return _answer("login", request, organization_slug)


@csrf_exempt  # it comes from the provider's page; what counts is the signed answer, to a request of the same session
@require_POST
def answer(request: HttpRequest, organization_slug: str) -> HttpResponse:
    """The provider's answer, kept for a moment, since the browser sends our session's cookie only from here on."""
    if not 0 < len(request.POST.get("SAMLResponse", "")) <= _ANSWER_CHARACTERS:
        raise Http404("no answer of a provider")
    return _answer("acs", request, organization_slug)


@require_safe
def finish(request: HttpRequest, organization_slug: str) -> HttpResponse:
    """The kept answer is verified, and whoever is linked is in."""
    try:
        return _answer("finish_acs", request, organization_slug)
    except (SyntaxError, ValueError):  # of the XML: not well-formed, with a document type, with entities
        return redirect("sign-in-refused")


def _answer(name: str, request: HttpRequest, slug: str) -> HttpResponse:
    """What one of django-allauth's views says. Raises Http404 without such a provider, UnavailableError without it."""
    if not settings.SAML_IDP_ENTITY_ID or slug != settings.SAML_ID:
        raise Http404("no such provider")
    try:
        view: Any = import_string(_VIEWS + name)
    except ImportError:
        raise UnavailableError("SAML needs a package: pip install -r requirements-saml.txt.") from None
    request.META.setdefault("HTTP_HOST", request.get_host())  # which HTTP/1.0 need not send, and the view reads
    found: HttpResponse = view(request, organization_slug=slug)
    return found
