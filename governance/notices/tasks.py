"""Celery's entrance: what notices do on the clock."""

from __future__ import annotations

from celery import shared_task

from governance.notices import delivery, digest, telling


@shared_task(name="notices.tell")
def tell() -> dict[str, int]:
    """Read what is new in the log, note whom it is told to, and send to webhooks what is due."""
    return {"read": telling.tell(), **delivery.deliver()}


@shared_task(name="notices.digest")
def send_digest() -> dict[str, int]:
    """Send the daily digest."""
    return digest.send()
