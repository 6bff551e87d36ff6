"""Reading notices and webhooks."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.cache import cache
from django.db.models import Count, Max, Q, QuerySet

from governance import history
from governance.notices.models import Delivery, DeliveryState, Notice, Webhook
from governance.notices.services import unread_key
from security.identity.models import User

MANY = 99
_KEPT_SECONDS = 30


def notices(user: User) -> QuerySet[Notice]:
    """What a person was told, newest first."""
    return Notice.objects.filter(recipient=user).select_related("event").order_by("-index")


def unread(user: User) -> int:
    """How many a person has not read, at most ``MANY`` + 1; kept for half a minute."""
    key = unread_key(user)
    found = cache.get(key)
    if found is None:
        found = Notice.objects.filter(recipient=user, read_at=None)[: MANY + 1].count()
        cache.set(key, found, _KEPT_SECONDS)
    return int(found)


def badge(user: User) -> str:
    """``unread`` for the navigation: ``3``, ``99+``, or nothing."""
    number = unread(user)
    return "" if not number else str(number) if number <= MANY else f"{MANY}+"


def lines(rows: Sequence[Notice]) -> list[history.Line]:
    """What notices say, in a constant number of queries; ``index`` and ``new`` (unread) as the notice has them."""
    said = history.lines([row.event for row in rows])
    return [
        history.Line(row.index, line.text, line.actor, line.at, line.tone, line.url, line.detail, row.read_at is None)
        for row, line in zip(rows, said, strict=True)
    ]


def webhooks() -> QuerySet[Webhook]:
    """All of them, with how many deliveries wait, failed and arrived, and when one did last."""
    states = {
        f"{state}_count": Count("deliveries", filter=Q(deliveries__state=state)) for state in DeliveryState.values
    }
    rows = Webhook.objects.select_related("system", "created_by")
    return rows.annotate(last_at=Max("deliveries__delivered_at"), **states).order_by("-created_at")


def deliveries() -> QuerySet[Delivery]:
    """All of them, newest first."""
    return Delivery.objects.select_related("webhook__system").order_by("-index", "pk")
