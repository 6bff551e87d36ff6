"""Errors that a service raises on purpose; pages and the API turn each into an answer (RFC 9457 in the API)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ServiceError(Exception):
    """Base: ``message`` is for the person, ``field`` names the form field or parameter, ``extra`` is JSON beside it."""

    status = 400
    slug = "bad-request"
    title = "The request cannot be carried out"

    def __init__(self, message: str, *, field: str = "", extra: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.extra = dict(extra or {})


class InvalidError(ServiceError):
    """What was sent does not make sense; ``field`` says which part."""

    status = 422
    slug = "invalid"
    title = "What was sent is not valid"


class DeniedError(ServiceError):
    """The person may see this, but may not do that. The message says why and who can."""

    status = 403
    slug = "denied"
    title = "Not allowed"


class MissingError(ServiceError):
    """No such object, or none that this person may know of."""

    status = 404
    slug = "not-found"
    title = "Not found"


class ConflictError(ServiceError):
    """The object is in a state that does not allow this, or somebody else was faster."""

    status = 409
    slug = "conflict"
    title = "Not possible in the present state"


class UnavailableError(ServiceError):
    """A part the service needs (store, key, disk) is not available now; nothing was changed."""

    status = 503
    slug = "unavailable"
    title = "Temporarily not available"


class ShreddedError(UnavailableError):
    """The artifact's key was destroyed: its bytes are not available, and never will be again."""

    status = 410
    slug = "shredded"
    title = "Erased"


class ThrottledError(ServiceError):
    """Too many attempts or requests; ``retry_after`` seconds later it is worth trying again (RFC 6585 §4)."""

    status = 429
    slug = "throttled"
    title = "Too many requests"

    def __init__(self, message: str, *, retry_after: int, field: str = "") -> None:
        super().__init__(message, field=field, extra={"retry_after": retry_after})
        self.retry_after = retry_after
