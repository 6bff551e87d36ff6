"""The log over HTTP as C2SP tlog-tiles has it, so that stock monitors can follow: ``/log/checkpoint``, ``/log/tile/…``.

Who may see what: checkpoint and tiles are hashes, open to whoever may view any system's log, and to everybody where the
operator says so (``LOG_PUBLIC``). Entry bundles are the events of all systems, so they need the right to view the log
of all systems, always. A monitor sends a token: ``Authorization: Bearer cs_…``.
"""

from __future__ import annotations

import gzip
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import path
from django.utils.cache import patch_vary_headers
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from security.access import selectors as access
from security.access.table import Action
from security.errors import DeniedError, MissingError
from security.identity.models import User
from security.log import published
from security.log.tiles import Tile, TileError
from security.rest.views import ApiView

CHECKPOINT_TYPE = "text/plain; charset=utf-8"
TILE_TYPE = "application/octet-stream"
YEAR = 365 * 24 * 3600


class _AnyRenderer(BaseRenderer):
    """Stands in for negotiation; every answer here is written by its view."""

    media_type = "*/*"
    format = "any"


class _LogView(ApiView):
    """Hashes: for whoever may view some log; for everybody where the operator publishes them."""

    renderer_classes = [_AnyRenderer]
    conditional = False

    def get_permissions(self) -> list[BasePermission]:
        return [AllowAny() if settings.LOG_PUBLIC else IsAuthenticated()]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """There is one form of each; what a monitor says that it accepts changes nothing."""
        renderer = self.get_renderers()[0]
        return renderer, renderer.media_type

    def require_a_look(self, *, whole: bool) -> None:
        """Raise DeniedError unless the reader may see hashes, or with ``whole`` every entry."""
        user = self.request.user
        if whole:
            access.require(_somebody(user), Action.VIEW_LOG)
        elif not settings.LOG_PUBLIC and not access.allowed_somewhere(_somebody(user), Action.VIEW_LOG):
            raise DeniedError(access.denial(_somebody(user), Action.VIEW_LOG))


class CheckpointView(_LogView):
    """The newest signed tree head, with cosignatures (tlog-tiles, "Checkpoints")."""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponseBase:
        self.require_a_look(whole=False)
        return HttpResponse(
            published.current().note, content_type=CHECKPOINT_TYPE, headers={"Cache-Control": _cached(0, whole=False)}
        )


class TileView(_LogView):
    """A tile of hashes or a bundle of entries; neither ever changes (tlog-tiles, "Merkle Tree", "Log entries")."""

    def get_permissions(self) -> list[BasePermission]:
        return [IsAuthenticated()] if _is_bundle(self.kwargs["rest"]) else super().get_permissions()

    @extend_schema(exclude=True)
    def get(self, request: Request, rest: str) -> HttpResponseBase:
        try:
            tile = Tile.parse(f"tile/{rest}")
        except TileError as error:
            raise MissingError(f"There is {error}.") from None
        whole = tile.level is None
        self.require_a_look(whole=whole)
        headers = {"Cache-Control": _cached(YEAR, whole=whole), "X-Content-Type-Options": "nosniff"}
        answer = HttpResponse(published.content(tile), content_type=TILE_TYPE, headers=headers)
        return _compressed(request._request, answer) if whole else answer


def _somebody(user: Any) -> User:
    if not isinstance(user, User):
        raise DeniedError("Sign in, or send a token, to read the log.")
    return user


def _is_bundle(rest: str) -> bool:
    return rest.startswith("entries/")


def _cached(seconds: int, *, whole: bool) -> str:
    """Shared caches may keep what everybody may see."""
    if not seconds:
        return "no-cache"
    kept = "public" if settings.LOG_PUBLIC and not whole else "private"
    return f"{kept}, max-age={seconds}, immutable"


def _compressed(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    """Gzip where it is accepted (tlog-tiles, "Log entries": bundles SHOULD be compressed)."""
    patch_vary_headers(answer, ("Accept-Encoding",))
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        answer.content = gzip.compress(answer.content, mtime=0)
        answer["Content-Encoding"] = "gzip"
    return answer


urlpatterns = [
    path("log/checkpoint", CheckpointView.as_view(), name="log-checkpoint"),
    path("log/tile/<path:rest>", TileView.as_view(), name="log-tile"),
]
