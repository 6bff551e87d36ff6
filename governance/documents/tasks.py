"""Celery's entrance: a task takes an id and calls one service."""

from __future__ import annotations

from celery import shared_task

from governance.documents import services


@shared_task(name=services.TASK)
def make(export_id: str) -> str:
    """Make one document that was asked for."""
    return services.make(export_id)


@shared_task(name="documents.take_back")
def take_back() -> int:
    """Send again what was lost."""
    return services.take_back()
