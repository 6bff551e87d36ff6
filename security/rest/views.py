"""The base of every API view: one access rule per view, idempotency keys on POST, ETags on GET."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from django.db.models import Model, QuerySet
from django.http import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.http import quote_etag
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.generics import GenericAPIView
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from security.access import selectors as access
from security.access.table import Action
from security.errors import MissingError, ServiceError
from security.identity.models import User
from security.rest import idempotency
from security.rest.filtering import Ordering, known_names, refuse_unknown
from security.rest.models import KeptAnswer
from security.rest.pagination import Pages
from security.rest.parsing import BytesParser, JsonParser
from security.rest.rendering import Negotiation, ProblemRenderer
from security.rest.schema import Schema


class LengthError(ServiceError):
    """A body in chunks, which WSGI does not read (RFC 9110 §15.5.12)."""

    status = 411
    slug = "length-required"
    title = "The length of the body is needed"


class AnswersProblems:
    """For views of DRF: every error is written as a problem, whatever format was asked for."""

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(response, "exception", False):
            request.accepted_renderer = ProblemRenderer()
            request.accepted_media_type = ProblemRenderer.media_type
        return super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]  # APIView's


class ApiView(AnswersProblems, GenericAPIView):  # type: ignore[type-arg]  # generic in the stubs only
    """Authenticate → parse → ``access`` → one service or selector → render.

    POST with ``Idempotency-Key`` runs once (``security.rest.idempotency``); ``never_kept`` names members of an answer
    that a repetition does not show again. GET answers carry an ETag, and ``If-None-Match`` gives a 304.
    """

    schema: Any = Schema()
    metadata_class = None
    content_negotiation_class = Negotiation
    parser_classes = [JsonParser]
    renderer_classes = [JSONRenderer]
    filter_backends: Any = []
    pagination_class: Any = None
    filterset_class: ClassVar[Any] = None
    ordering_fields: ClassVar[tuple[str, ...]] = ()
    query: ClassVar[tuple[str, ...]] = ()  # names of query parameters besides filters
    never_kept: ClassVar[tuple[str, ...]] = ()
    verbs: ClassVar[tuple[str, ...]] = ()  # last parts of paths that name what POST does
    conditional: ClassVar[bool] = True
    is_list: ClassVar[bool] = False
    takes_bytes: ClassVar[bool] = False  # of any length, as application/octet-stream
    http_method_names = ["get", "head", "post"]

    @property
    def person(self) -> User:
        """Who asks; permission classes have let nobody else in."""
        user = self.request.user
        if not isinstance(user, User):
            raise TypeError("a view without authentication asked who is there")
        return user

    def parsed(self, shape: type[Serializer[Any]]) -> dict[str, Any]:
        """The body as ``shape`` has it. Raises MalformedError, ValidationError."""
        serializer = shape(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def asked(self, shape: type[Serializer[Any]]) -> dict[str, Any]:
        """The query as ``shape`` has it. Raises ValidationError."""
        serializer = shape(data=self.request.query_params)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request.headers.get("Transfer-Encoding") and not request.headers.get("Content-Length"):
            raise LengthError("Send the body with a Content-Length; one in chunks is not read here.")
        if not self.streamed(request):
            # Within the limit of the settings, and before the check against forged requests, which reads the stream.
            len(request._request.body)
        super().initial(request, *args, **kwargs)
        if request.method not in self.allowed_methods:
            raise MethodNotAllowed(str(request.method))
        refuse_unknown(request, known_names(self))
        if request.method == "POST" and (key := idempotency.key_of(request)) and not self.streamed(request):
            self._claim(request, key)

    def streamed(self, request: Request) -> bool:
        """Whether the handler reads the body itself, piece by piece. Such an operation is idempotent without a key."""
        return self.takes_bytes and request.content_type == BytesParser.media_type

    def perform_authentication(self, request: Request) -> None:
        """Who asks. It counts before anything is refused to them, so that strangers are slowed down as well."""
        try:
            super().perform_authentication(request)
        finally:
            super().check_throttles(request)

    def check_throttles(self, request: Request) -> None:
        """Done by ``perform_authentication``."""

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        kept = getattr(self, "_kept", None)
        if kept is not None and response.status_code >= 400:
            idempotency.free(kept)
        final = super().finalize_response(request, response, *args, **kwargs)
        patch_vary_headers(final, ("Authorization", "Cookie"))
        if request.method in ("GET", "HEAD") and isinstance(final, Response) and final.status_code == 200:
            return _conditional(request, final)
        final.headers.setdefault("Cache-Control", "no-store")
        return final

    def _claim(self, request: Request, key: str) -> None:
        kept: KeptAnswer = idempotency.claim(request, self.person, key)
        handler: Callable[..., Any]
        if kept.status is not None:
            handler = partial(_replay, kept)
        else:
            self._kept = kept
            handler = partial(_once, getattr(self, "post"), kept, self.never_kept)  # noqa: B009 - subclasses have it
        self.__dict__["post"] = handler  # of this instance, that is, of this request


class ListView(ApiView):
    """A page of the rows in systems where the reader may do ``action``."""

    filter_backends = [DjangoFilterBackend, Ordering]
    pagination_class = Pages
    is_list = True
    action: ClassVar[Action] = Action.VIEW
    rows: ClassVar[Callable[[], QuerySet[Any]]]

    def visible(self) -> QuerySet[Any]:
        """The rows that the person may know of."""
        return access.visible(self.person, self.action, type(self).rows())

    def get_queryset(self) -> QuerySet[Any]:
        """``visible``; all rows, never read, while the schema is made."""
        return type(self).rows() if getattr(self, "swagger_fake_view", False) else self.visible()

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        return self.get_paginated_response(self.get_serializer(self.shown(page), many=True).data)

    def shown(self, page: Sequence[Any]) -> Sequence[Any]:
        """What is rendered of a page of rows; the rows themselves unless a view adds to them."""
        return page


class OneView(ApiView):
    """One row, named by ``id`` in the path."""

    action: ClassVar[Action] = Action.VIEW
    rows: ClassVar[Callable[[], QuerySet[Any]]]
    lookup: ClassVar[str] = "pk"
    lookup_url_kwarg = "id"

    def get_queryset(self) -> QuerySet[Any]:
        """Unfiltered: ``one`` decides by ``access``."""
        return type(self).rows()

    def one(self, action: Action | None = None) -> Any:
        """The row, if the person may do ``action`` (the view's own, if not given). Raises MissingError, DeniedError."""
        found: Model = access.get(
            self.person, action or self.action, self.get_queryset(), **{self.lookup: self.kwargs[self.lookup_url_kwarg]}
        )
        return found

    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return Response(self.get_serializer(self.one()).data)


class NothingHere(ApiView):
    """Every address under /api/ that is not one."""

    authentication_classes = []
    permission_classes = []
    http_method_names = ["get", "head", "post", "put", "patch", "delete", "options"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise MissingError(f"There is nothing at {request.path[:200]}; the API is described at /api/v1/schema/.")

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        raise MissingError("There is nothing here.")


def _once(
    handler: Callable[..., Response], kept: KeptAnswer, hidden: tuple[str, ...], *args: Any, **kwargs: Any
) -> Response:
    return idempotency.once(kept, partial(handler, *args, **kwargs), write=JSONRenderer().render, hidden=hidden)


def _replay(kept: KeptAnswer, *args: Any, **kwargs: Any) -> Response:
    return idempotency.replay(kept)


def _conditional(request: Request, response: Response) -> HttpResponseBase:
    response.render()
    etag = quote_etag(hashlib.sha256(response.content).hexdigest()[:32])
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    return get_conditional_response(request._request, etag=etag, response=response) or response
