"""Celery's entrance: a task takes an id and calls one service."""

from __future__ import annotations

from celery import shared_task

from pipelines.engine import execution, leases


@shared_task(name="pipelines.run_step")
def run_step(step_run_id: str) -> str:
    """Execute one queued step."""
    return execution.execute(step_run_id)


@shared_task(name="pipelines.reap")
def reap() -> dict[str, int]:
    """Take back what dead workers hold; send again what was lost."""
    return leases.reap()
