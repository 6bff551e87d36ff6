"""How gunicorn serves the pages, here and in the container: ``gunicorn -c python:controlplane.gunicorn_conf``.

A page or an API call takes milliseconds and long work is the worker's, so few threads serve many readers; polling
pages hold none between two polls. Times are in seconds.
"""

from __future__ import annotations

import gc
import os
from typing import Any

wsgi_app = "controlplane.wsgi:application"
bind = os.environ.get("WEB_BIND", "127.0.0.1:8000")
workers = int(os.environ.get("WEB_WORKERS", "2"))
threads = int(os.environ.get("WEB_THREADS", "4"))
worker_class = "gthread"
preload_app = True  # imported once, shared by the workers
timeout = 60
graceful_timeout = 5
keepalive = 5
max_requests = 20_000  # a leak stays small
max_requests_jitter = 2_000
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a heartbeat file, no content
accesslog = None  # the audit log and the proxy's own log say who did what; this one says what went wrong
errorlog = "-"
control_socket_disable = True  # nobody speaks to it, and two installations of one user would share its path


def when_ready(server: Any) -> None:
    """Before the workers are forked: what the import made stays for good, so no garbage collection looks at it again.

    Without this every full collection stops a request for some 40 ms, and its marks unshare the workers' memory.
    """
    gc.collect()
    gc.freeze()


def worker_exit(server: Any, worker: Any) -> None:
    """At the end libraries look for what was left over; what is frozen would be taken for that."""
    gc.unfreeze()


def on_exit(server: Any) -> None:
    """As ``worker_exit``, in the process that started the workers."""
    gc.unfreeze()
