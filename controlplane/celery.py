"""The Celery app: tasks take an id, call one service, and are idempotent."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, signals
from django.db import close_old_connections

from controlplane import heartbeat, transport
from pipelines.engine import sandbox

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
app = Celery("countersign")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
heartbeat.connect()
transport.use()


def _warm_up(**_: Any) -> None:
    sandbox.warm_up()


def _keep_usable_connections(**_: Any) -> None:
    """As between two requests: a connection that failed or is old is closed, another is asked whether it works."""
    close_old_connections()


signals.worker_init.connect(_warm_up)
signals.task_prerun.connect(_keep_usable_connections)
signals.task_postrun.connect(_keep_usable_connections)
