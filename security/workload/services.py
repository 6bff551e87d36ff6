"""Trusting the tokens of a CI system, and exchanging one for a short-lived token of ours (RFC 8693)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.canonical import urn
from security.errors import ConflictError, InvalidError
from security.identity import second_factor
from security.identity.models import ApiToken, User
from security.identity.services import TOKEN_SCOPES, mint
from security.log.events import Event
from security.log.services import record
from security.workload import jwt, keys
from security.workload.jwt import Claims, RefusedError
from security.workload.models import Trust, UsedToken

MAX_MINUTES = 60
# What of a subject must be written out: a pattern for everybody's repositories or every namespace is no trust.
_LITERAL = {
    "github": (re.compile(r"repo:[^*:/]+/[^*:/]+:.+"), "repo:owner/name:…, with owner and name written out"),
    "kubernetes": (
        re.compile(r"system:serviceaccount:[^*:]+:[^*:]+"),
        "system:serviceaccount:namespace:name, without *",
    ),
    "oidc": (re.compile(r"[^*]{4,}.*"), "at least four characters before the first *"),
}


def trusts() -> QuerySet[Trust]:
    """All of them, with service, system and maker."""
    return Trust.objects.select_related("service", "system", "created_by").order_by("-created_at")


@transaction.atomic
def trust(
    *,
    acting_user: User,
    service: User,
    system: AISystem,
    issuer: str,
    subject: str,
    scopes: list[str],
    claims: Mapping[str, str] | None = None,
    minutes: int = 15,
) -> Trust:
    """Let tokens of ``issuer`` whose subject fits act as ``service`` in ``system``.

    Raises DeniedError, InvalidError (field).
    """
    access.require(acting_user, Action.GRANT, system)
    second_factor.require_enrolled(acting_user)
    if not service.is_service or not service.is_active:
        raise InvalidError("Only an active service can be acted as; a person cannot.", field="service")
    known = keys.issuers()
    if issuer not in known:
        there = ", ".join(known) or "none: set WORKLOAD_ISSUERS"
        raise InvalidError(f"No issuer {issuer!r} is configured; there is {there}.", field="issuer")
    shape, words = _LITERAL.get(known[issuer].kind, _LITERAL["oidc"])
    if not shape.fullmatch(subject) or len(subject) > 300:
        raise InvalidError(f"A subject of this issuer is {words}.", field="subject")
    if not scopes or set(scopes) - set(TOKEN_SCOPES):
        raise InvalidError(f"Choose among the scopes {', '.join(TOKEN_SCOPES)}.", field="scopes")
    if not 1 <= minutes <= MAX_MINUTES:
        raise InvalidError(f"A token lives for 1 to {MAX_MINUTES} minutes.", field="minutes")
    wanted = dict(claims or {})
    if len(wanted) > 10 or not all(isinstance(value, str) and len(value) <= 300 for value in wanted.values()):
        raise InvalidError("At most ten further claims, each a text.", field="claims")
    made = Trust.objects.create(
        service=service,
        system=system,
        issuer=issuer,
        subject=subject,
        claims=wanted,
        scopes=sorted(set(scopes)),
        minutes=minutes,
        created_by=acting_user,
    )
    payload = {"service": str(service.pk), "issuer": issuer, "subject": subject, "scopes": made.scopes}
    _record(Event.TRUST_CREATED, acting_user, made, {**payload, "claims": wanted})
    return made


@transaction.atomic
def revoke(*, acting_user: User, row: Trust) -> Trust:
    """End a trust, and every token that it gave and that still lives. Raises DeniedError, ConflictError."""
    access.require(acting_user, Action.GRANT, row.system)
    row = Trust.objects.select_for_update(of=("self",)).select_related("system", "service").get(pk=row.pk)
    if row.revoked_at is not None:
        raise ConflictError("This trust has been revoked already.")
    row.revoked_at = timezone.now()
    row.save(update_fields=["revoked_at"])
    ended = ApiToken.objects.filter(user=row.service, name=_name(row), revoked_at=None, expires_at__gt=timezone.now())
    _record(Event.TRUST_REVOKED, acting_user, row, {"tokens": ended.update(revoked_at=timezone.now())})
    return row


def exchange(*, token: str, scopes: Iterable[str] = (), system: str = "") -> tuple[ApiToken, str]:
    """Our token, with its text, for a token of a trusted issuer; each is exchanged once.

    ``scopes`` empty: all that the trust has; ``system``: a slug, where several trusts fit. What an issuer did sign and
    is refused all the same is on record; what nobody we know signed is not, so that strangers cannot fill the log.
    Raises RefusedError, UnavailableError.
    """
    issuer = next((one for one in keys.issuers().values() if one.url == jwt.issuer_of(token)), None)
    if issuer is None:
        raise RefusedError("issuer", "No such issuer is configured here.")
    kid = jwt.key_id_of(token)
    try:
        known = keys.keys_of(issuer, kid)
        claims = jwt.verify(token, known, issuer=issuer.url, audience=issuer.audience, now=time.time())
        found = _fitting(issuer.name, claims, system)
        return _give(found, claims, _wanted(found, scopes))
    except RefusedError as error:
        if error.signed:
            with transaction.atomic():
                payload = {"issuer": issuer.name, "reason": error.reason}
                record(Event.EXCHANGE_REFUSED, acting_user=None, subject=urn("issuer", issuer.name), payload=payload)
        raise


def _fitting(issuer: str, claims: Claims, system: str) -> Trust:
    """The one live trust that these claims fit."""
    rows = trusts().filter(issuer=issuer, revoked_at=None, service__is_active=True, service__is_service=True)
    if system:
        rows = rows.filter(system__slug=system)
    fitting = [row for row in rows if jwt.fits(row.subject, claims.subject) and _agree(row.claims, claims.all)]
    if not fitting:
        raise RefusedError("foreign", "Nothing here trusts this subject.", signed=True)
    if len(fitting) > 1:
        slugs = ", ".join(sorted({row.system.slug for row in fitting}))
        raise RefusedError("ambiguous", f"Several trusts fit; name one system as audience: {slugs}.", signed=True)
    return fitting[0]


def _agree(wanted: Mapping[str, str], given: Mapping[str, Any]) -> bool:
    return all(given.get(name) == value for name, value in wanted.items())


def _wanted(row: Trust, scopes: Iterable[str]) -> list[str]:
    asked = sorted(set(scopes)) or list(row.scopes)
    if set(asked) - set(row.scopes):
        raise RefusedError("scope", f"This trust has the scopes {', '.join(row.scopes)} only.", signed=True)
    return asked


def _give(row: Trust, claims: Claims, scopes: list[str]) -> tuple[ApiToken, str]:
    now = timezone.now()
    with transaction.atomic():
        UsedToken.objects.filter(expires_at__lt=now - timedelta(minutes=5)).delete()
        try:
            with transaction.atomic():
                ends = datetime.fromtimestamp(claims.expires, UTC)
                UsedToken.objects.create(digest=claims.fingerprint, expires_at=ends)
        except IntegrityError:
            raise RefusedError("replayed", "This token has been exchanged already.", signed=True) from None
        expires_at = now + timedelta(minutes=row.minutes)
        token, text = mint(user=row.service, name=_name(row), scopes=scopes, expires_at=expires_at, system=row.system)
        record(
            Event.TOKEN_EXCHANGED,
            acting_user=row.service,
            subject=urn("token", token.pk),
            system=row.system.slug,
            payload={
                "trust": str(row.pk),
                "issuer": row.issuer,
                "subject": claims.subject,
                "token": claims.fingerprint,
                "scopes": scopes,
                "expires": expires_at.isoformat(),
            },
        )
    return token, text


def _name(row: Trust) -> str:
    return f"exchanged under {row.pk}"


def _record(event: Event, acting_user: User, row: Trust, payload: dict[str, Any]) -> None:
    record(event, acting_user=acting_user, subject=urn("trust", row.pk), system=row.system.slug, payload=payload)
