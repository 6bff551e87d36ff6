"""Facts about a period: everything that the log has of a system between two moments, counted and streamed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Min, QuerySet

from governance.documents.facts import parts
from governance.models import Approval, Review
from security.access.models import AISystem
from security.identity import selectors as identity
from security.log import selectors as log
from security.log import sequencer
from security.log.models import AuditEvent

_CHUNK = 2000
_LISTED = 500  # decisions that the facts name one by one; every one of them is an event of the period as well


def audit_period(system: AISystem, *, since: datetime, until: datetime) -> dict[str, Any]:
    """How many events of each kind and by whom, the decisions of the period, and which entries of the log it spans.

    From ``since`` to before ``until``. What was recorded until now is numbered first; ``size`` is how far the log
    went then, and bounds what is streamed, so that counts and lines speak of the same events.
    """
    sequencer.number_all()
    size, root = log.head()
    rows = events(system.slug, since, until, size)
    span = rows.aggregate(count=Count("pk"), first=Min("leaf__index"), last=Max("leaf__index"))
    people = rows.order_by().values("actor").annotate(count=Count("pk")).order_by("-count", "actor")
    names = identity.names({row["actor"] for row in people})
    kinds = rows.order_by().values("event").annotate(count=Count("pk")).order_by("event")
    return {
        "since": parts.time(since),
        "until": parts.time(until),
        "size": size,
        "root": root,
        "events": span["count"],
        "first": -1 if span["first"] is None else span["first"],
        "last": -1 if span["last"] is None else span["last"],
        "by_event": [{"event": row["event"], "count": row["count"]} for row in kinds],
        "by_actor": [
            {"actor": row["actor"], "name": names.get(row["actor"], ""), "count": row["count"]} for row in people
        ],
        "decisions": _decisions(system, since, until),
        "approvals": _approvals(system, since, until),
    }


def events(system: str, since: datetime, until: datetime, size: int) -> QuerySet[AuditEvent]:
    """The numbered events of a system (slug) in a period, among the first ``size`` of the log, in its order."""
    found = AuditEvent.objects.filter(system=system, time__gte=since, time__lt=until, leaf__index__lt=size)
    return found.order_by("leaf__index")


def entries(given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The events of a period report (its facts), one by one in the order of the log: ``index``, ``leaf`` (hash in
    hexadecimal), ``entry`` (canonical JSON), the members that a list shows, and the ``name`` of who acted."""
    content = given["content"]
    since, until = (datetime.fromisoformat(content[name]) for name in ("since", "until"))
    names = {row["actor"]: row["name"] for row in content["by_actor"]}
    rows = events(given["system"]["slug"], since, until, content["size"])
    columns = rows.values_list("leaf__index", "leaf__hash", "time", "event", "actor", "subject", "entry")
    for index, leaf, time, event, actor, subject, entry in columns.iterator(chunk_size=_CHUNK):
        yield {
            "index": index,
            "leaf": bytes(leaf).hex(),
            "time": parts.time(time),
            "event": event,
            "actor": actor,
            "name": names.get(actor, ""),
            "subject": subject,
            "entry": entry,
        }


def _decisions(system: AISystem, since: datetime, until: datetime) -> list[dict[str, str]]:
    rows = Review.objects.filter(system=system, decided_at__gte=since, decided_at__lt=until)
    found = rows.select_related("model_version__model").defer("subject").order_by("decided_at", "pk")[:_LISTED]
    return [
        {
            "review": str(row.pk),
            "model": str(row.model_version),
            "state": str(row.state),
            "decided_at": parts.time(row.decided_at),
        }
        for row in found
    ]


def _approvals(system: AISystem, since: datetime, until: datetime) -> list[dict[str, str]]:
    """Approvals that were issued or revoked in the period."""
    mine = Approval.objects.filter(review__system=system)
    rows = mine.filter(issued_at__gte=since, issued_at__lt=until) | mine.filter(
        revoked_at__gte=since, revoked_at__lt=until
    )
    found = rows.select_related("model_version__model", "revoked_by").order_by("issued_at", "pk")[:_LISTED]
    return [
        {
            "approval": str(row.pk),
            "model": str(row.model_version),
            "issued_at": parts.time(row.issued_at),
            "valid_until": parts.time(row.valid_until),
            "revoked_at": parts.time(row.revoked_at),
            "revoked_by": parts.person(row.revoked_by)["name"],
            "revoked_reason": row.revoked_reason,
        }
        for row in found
    ]
