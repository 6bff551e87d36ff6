"""Every way into the program: URL patterns as Django resolves them, and the operations of the API's schema."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.generators import SchemaGenerator

API = "/api/v1"
# below /api/ the schema names operations; these are what it leaves out: itself, its page, and “nothing is here”
_OF_THE_API = re.compile(r"^/api/")


def pages(known: Sequence[str], patterns: Iterable[Any] | None = None, before: str = "/") -> Iterator[str]:
    """The route of every URL pattern outside the API's schema (``known``: its ``operations``), ``/runs/<uuid:pk>/``."""
    for one in get_resolver().url_patterns if patterns is None else patterns:
        route = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from pages(known, one.url_patterns, route)
        elif isinstance(one, URLPattern) and not (_OF_THE_API.match(route) and _in_schema(route, known)):
            yield route


def operations() -> list[str]:
    """``METHOD /path`` of every operation in the schema."""
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    return [f"{method.upper()} {path}" for path, item in paths.items() for method in item]


def everything() -> list[str]:
    """``METHOD route`` of all of them: each page is asked with GET and with POST, whatever it answers to."""
    known = operations()  # made once: it takes a second
    found = dict.fromkeys(pages(known))
    return [f"{method} {route}" for route in found for method in ("GET", "POST")] + known


def _in_schema(route: str, known: Iterable[str]) -> bool:
    """Whether the schema has this pattern, by comparing it with its parameters taken out."""
    bare = re.sub(r"<[^>]*>", "{}", route)
    return any(re.sub(r"\{[^}]*\}", "{}", operation.split(" ", 1)[1]) == bare for operation in known)
