"""Reading notices, and making and ending webhooks."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.utils import timezone

from governance.notices import signatures
from governance.notices.models import DeliveryState, Notice, Webhook
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.canonical import urn
from security.errors import ConflictError, InvalidError
from security.identity import second_factor
from security.identity.models import User
from security.log.events import Event
from security.log.services import record
from security.vault import services as vault

MAX_WEBHOOKS = 20  # of one system
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def mark_read(*, acting_user: User, up_to: int | None = None, only: Iterable[UUID] | None = None) -> int:
    """Mark one's own notices as read: of entries up to ``up_to``, or of the events named by ``only``, or all.

    Returns how many were unread. It is no event of the log: it concerns nobody but the reader.
    """
    rows = Notice.objects.filter(recipient=acting_user, read_at=None)
    if up_to is not None:
        rows = rows.filter(index__lte=up_to)
    if only is not None:
        rows = rows.filter(event__in=list(only))
    changed = rows.update(read_at=timezone.now())
    cache.delete(unread_key(acting_user))
    return changed


def unread_key(user: User) -> str:
    """Where the number of a person's unread notices is cached."""
    return f"notices-unread:{user.pk}"


@transaction.atomic
def create_webhook(*, acting_user: User, system: AISystem, url: str, events: Iterable[str]) -> Webhook:
    """Tell an address of these events of a system from now on. Raises DeniedError, InvalidError (field), ConflictError.

    Only addresses whose host the operators have listed in ``WEBHOOK_HOSTS``: what may be reached from this server is
    not for whoever owns a system to decide.
    """
    access.require(acting_user, Action.CONNECT, system)
    second_factor.require_enrolled(acting_user)
    address = allowed_url(url)
    wanted = sorted(set(events))
    if not wanted or (unknown := [name for name in wanted if name not in set(Event)]):
        named = ", ".join(unknown) if wanted else "nothing"
        raise InvalidError(
            f"Choose events of the log by name, such as review:submitted; found {named}.", field="events"
        )
    AISystem.objects.select_for_update().get(pk=system.pk)
    if Webhook.objects.filter(system=system, revoked_at=None).count() >= MAX_WEBHOOKS:
        raise ConflictError(f"A system has at most {MAX_WEBHOOKS} webhooks; end one first.")
    made = Webhook.objects.create(system=system, url=address, events=wanted, created_by=acting_user)
    payload = {"webhook": str(made.pk), "host": urlsplit(address).netloc, "events": wanted}
    record(
        Event.WEBHOOK_CREATED,
        acting_user=acting_user,
        subject=urn("system", system.pk),
        system=system.slug,
        payload=payload,
    )
    return made


@transaction.atomic
def revoke_webhook(*, acting_user: User, webhook: Webhook) -> Webhook:
    """Tell an address nothing more; what is on its way is dropped. Raises DeniedError, ConflictError."""
    access.require(acting_user, Action.CONNECT, webhook.system)
    row = Webhook.objects.select_for_update(of=("self",)).select_related("system", "created_by").get(pk=webhook.pk)
    if row.revoked_at is not None:
        raise ConflictError("This webhook was ended already.")
    row.revoked_at = timezone.now()
    row.save(update_fields=["revoked_at"])
    dropped = row.deliveries.filter(state=DeliveryState.PENDING).update(
        state=DeliveryState.FAILED, problem="the webhook was ended"
    )
    record(
        Event.WEBHOOK_REVOKED,
        acting_user=acting_user,
        subject=urn("system", row.system_id),
        system=row.system.slug,
        payload={"webhook": str(row.pk), "dropped": dropped},
    )
    return row


def secret_of(webhook: Webhook) -> str:
    """What its deliveries are signed with; shown to whoever makes the webhook, once."""
    return signatures.secret(vault.system_secret(webhook.system), str(webhook.pk))


def allowed_url(url: str) -> str:
    """The address as it is called. Raises InvalidError unless it is HTTPS to a listed host, or HTTP to this machine."""
    text = url.strip()
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InvalidError("This is no address: write https://host/path.", field="url") from None
    host = parts.netloc.rpartition("@")[2].lower()
    if "@" in parts.netloc or parts.fragment or not text.isascii() or not text.isprintable() or " " in text:
        raise InvalidError("An address holds no name, password, fragment or blank.", field="url")
    bare = host.removesuffix(f":{port}") if port is not None else host
    if parts.scheme != "https" and not (parts.scheme == "http" and bare in LOOPBACK):
        raise InvalidError("An address begins with https://.", field="url")
    if host not in settings.WEBHOOK_HOSTS:
        there = ", ".join(settings.WEBHOOK_HOSTS) or "none"
        raise InvalidError(
            f"The host {host or 'of this address'} is not among those that the operators allow in WEBHOOK_HOSTS "
            f"({there}).",
            field="url",
        )
    return text
