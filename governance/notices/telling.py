"""Reading the log from where it was left, and noting whom to tell: in one transaction, so nothing is told twice."""

from __future__ import annotations

import json
from collections.abc import Sequence

from django.db import transaction

from governance.notices.models import Cursor, Delivery, Notice, Webhook
from governance.notices.recipients import recipients
from security.canonical import canonical_json
from security.log.models import AuditEvent

BATCH = 500


def tell(limit: int = 20 * BATCH) -> int:
    """Note whom the events since the last call are told to; returns how many entries were read. Idempotent.

    Several at once wait for each other. At most ``limit`` entries, in transactions of 500.
    """
    read = 0
    while read < limit and (some := _tell_some()):
        read += some
    return read


@transaction.atomic
def _tell_some() -> int:
    Cursor.objects.get_or_create(pk=1)
    cursor = Cursor.objects.select_for_update().get(pk=1)
    rows = AuditEvent.objects.select_related("leaf").order_by("leaf__index")
    events = list(rows.filter(leaf__index__gte=cursor.told, leaf__index__lt=cursor.told + BATCH))
    if not events:
        return 0
    _notices(events)
    _deliveries(events)
    cursor.told = events[-1].leaf.index + 1
    cursor.save(update_fields=["told"])
    return len(events)


def _notices(events: Sequence[AuditEvent]) -> None:
    told = recipients(events)
    rows = [
        Notice(recipient_id=person, event=event, index=event.leaf.index)
        for event in events
        for person in sorted(told.get(event.id, ()))
    ]
    Notice.objects.bulk_create(rows, ignore_conflicts=True)


def _deliveries(events: Sequence[AuditEvent]) -> None:
    hooks = list(Webhook.objects.filter(revoked_at=None).select_related("system"))
    rows = [
        Delivery(webhook=hook, event=event.event, index=event.leaf.index, body=_body(event))
        for event in events
        for hook in hooks
        if hook.system.slug == event.system and event.event in hook.events and event.time >= hook.created_at
    ]
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)


def _body(event: AuditEvent) -> str:
    """The entry as it stands in the log, with its number, so that a receiver can ask for its proof."""
    return canonical_json({"index": event.leaf.index, "entry": json.loads(event.entry)}).decode()
