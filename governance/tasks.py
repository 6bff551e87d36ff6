"""Celery's entrance: what governance does on the clock."""

from __future__ import annotations

from celery import shared_task

from governance.services import reviews


@shared_task(name="governance.lapse")
def lapse() -> int:
    """Record of the reviews whose deadline has passed that they lapsed; they read so already."""
    return reviews.lapse()
