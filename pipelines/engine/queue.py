"""The way from the database to a worker: a task name and an id, nothing else."""

from __future__ import annotations

import logging
from uuid import UUID

from celery import current_app
from django.db import transaction

RUN_STEP = "pipelines.run_step"
log = logging.getLogger(__name__)


def send_after_commit(step_run_id: UUID) -> None:
    """Queue a step once the surrounding transaction has committed. A message that cannot be sent is not an error:
    the reaper finds the step and sends it again."""
    transaction.on_commit(lambda: send(step_run_id))


def send(step_run_id: UUID) -> bool:
    """Send one message; False (and a warning) when the broker is away."""
    try:
        current_app.send_task(RUN_STEP, args=[str(step_run_id)], retry=False)
    except Exception as error:
        log.warning("queue away (%s): step %s will be sent again", type(error).__name__, step_run_id)
        return False
    return True
