"""``Idempotency-Key`` on POST (draft-ietf-httpapi-idempotency-key-header-07).

A key is claimed first, in a transaction of its own, so that a second request with it sees the first one. The handler
then runs in one transaction with the keeping of its answer: a server that dies in between has changed nothing, and the
claim lapses after ``CLAIM_SECONDS``. A refusal frees the key, since it changed nothing either.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from security.errors import ConflictError, InvalidError, ServiceError
from security.identity.models import User
from security.rest.models import KeptAnswer

HEADER = "Idempotency-Key"
KEPT_FOR = timedelta(hours=24)
CLAIM_SECONDS = 120
MAX_KEY = 200
_KEPT_HEADERS = ("Location",)


class ReusedKeyError(InvalidError):
    """The key came before with another request (§2.7 of the draft: 422)."""

    slug = "idempotency-key-reused"
    title = "This Idempotency-Key was used for another request"


class OutstandingError(ConflictError):
    """The first request with the key is still being carried out (§2.7: 409)."""

    slug = "idempotency-key-in-use"
    title = "The first request with this Idempotency-Key is still being carried out"

    def __init__(self) -> None:
        super().__init__(
            "Ask again in a second; the answer of the first request is then given.", extra={"retry_after": 1}
        )


def key_of(request: Request) -> str:
    """The key of a request without the quotes of a structured header, empty when absent. Raises InvalidError."""
    given = request.headers.get(HEADER)
    if given is None:
        return ""
    text = given.strip()
    key = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if not key or len(key) > MAX_KEY or any(not "!" <= character <= "~" for character in key):
        raise InvalidError(
            f"An {HEADER} has 1 to {MAX_KEY} printable ASCII characters and no blank, such as a UUID.", field=HEADER
        )
    return key


def claim(request: Request, user: User, key: str) -> KeptAnswer:
    """The row of this key: new and ours to answer (``status`` empty), or with the answer that was given.

    Raises ReusedKeyError, OutstandingError.
    """
    asked, now = _fingerprint(request, user), timezone.now()
    KeptAnswer.objects.filter(created_at__lt=now - KEPT_FOR).delete()
    try:
        with transaction.atomic():
            return KeptAnswer.objects.create(user=user, key=key, request_sha256=asked, created_at=now)
    except IntegrityError:
        kept = KeptAnswer.objects.filter(user=user, key=key).first()
    if kept is None:  # freed by a refusal this very moment
        raise OutstandingError
    if not hmac.compare_digest(kept.request_sha256, asked):
        raise ReusedKeyError("The key belongs to a request with another address, body or token; take a new key.")
    if kept.status is None and not _taken_over(kept):
        raise OutstandingError
    return kept


def once(
    kept: KeptAnswer, handler: Callable[[], Response], *, write: Callable[[Any], bytes], hidden: Sequence[str]
) -> Response:
    """Run ``handler`` and keep its answer (without the ``hidden`` members) in the same transaction.

    What a refusing handler wrote on purpose (a wrong password, a review that was superseded) stays, as it does without
    a key; an unforeseen error undoes everything. Raises OutstandingError, and undoes the handler's work, when the claim
    lapsed and another request took it over.
    """
    refusal: Exception | None = None
    with transaction.atomic():
        try:
            response = handler()
        except (ServiceError, APIException) as error:
            refusal = error
        else:
            _keep(kept, response, write, hidden)
    if refusal is not None:
        raise refusal
    return response


def _keep(kept: KeptAnswer, response: Response, write: Callable[[Any], bytes], hidden: Sequence[str]) -> None:
    data = response.data
    if isinstance(data, dict):
        data = {name: None if name in hidden else value for name, value in data.items()}
    headers = {name: response[name] for name in _KEPT_HEADERS if name in response}
    ours = KeptAnswer.objects.filter(pk=kept.pk, status=None, created_at=kept.created_at)
    if not ours.update(status=response.status_code, body=write(data).decode() or "null", headers=headers):
        raise OutstandingError


def free(kept: KeptAnswer) -> None:
    """Give the key back after a refusal."""
    KeptAnswer.objects.filter(pk=kept.pk, status=None, created_at=kept.created_at).delete()


def replay(kept: KeptAnswer) -> Response:
    """The answer that was given before."""
    headers = {**kept.headers, "Idempotency-Replayed": "true"}
    return Response(json.loads(kept.body), status=kept.status, headers=headers)


def _taken_over(kept: KeptAnswer) -> bool:
    """Claim anew a key whose request never ended; one of several that try gets it."""
    now = timezone.now()
    if now - kept.created_at < timedelta(seconds=CLAIM_SECONDS):
        return False
    taken = KeptAnswer.objects.filter(pk=kept.pk, status=None, created_at=kept.created_at).update(created_at=now)
    kept.created_at = now
    return bool(taken)


def _fingerprint(request: Request, user: User) -> str:
    """What was asked, as an HMAC: a body may hold a password, which a plain digest would let anybody guess."""
    token = str(user.acting_token.pk) if user.acting_token is not None else ""
    parts = [request.method or "", request.get_full_path(), request.content_type or "", token]
    content = "\n".join(parts).encode() + b"\n" + request.body
    return str(salted_hmac("security.rest.idempotency", content, algorithm="sha256").hexdigest())
