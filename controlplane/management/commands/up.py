"""``manage.py up``: web, worker and the sequencer of the audit log of one installation, until Ctrl-C."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from controlplane import ports, serving
from governance.frameworks.services.catalogues import load_builtin
from security.access.selectors import live_grants
from security.access.table import Role
from security.log import background

FIRST_ADMINISTRATOR = ".venv/bin/python manage.py create_person NAME --full-name 'First Last' --admin"


class Command(BaseCommand):
    help = "Serve the pages and the API and run a worker; Ctrl-C stops both."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
        parser.add_argument("--port", type=int, default=8000, help="port of the pages and the API")
        parser.add_argument("--concurrency", type=int, default=2, help="steps that may run at once")

    def handle(self, *, host: str, port: int, concurrency: int, **_: Any) -> None:
        _require_migrations()
        load_builtin()
        ports.require_free(host, port)
        logs, address, started = Path(settings.VAR) / "log", ports.address(host, port), time.time()
        try:
            with serving.Supervisor(cwd=settings.BASE_DIR) as supervisor:
                supervisor.start(serving.worker(logs, concurrency=concurrency))
                supervisor.start(serving.web(logs, host=host, port=port))
                self.stdout.write("Starting web and worker ...")
                supervisor.wait_until(lambda: serving.web_ready(address), "The web server")
                supervisor.wait_until(lambda: serving.worker_ready(started), "The worker")
                self._welcome(address, logs)
                with background.following():
                    supervisor.serve()
        except serving.ProgramError as error:
            raise CommandError(f"{error}\nEverything has been stopped.") from None
        except serving.StoppedError:
            self.stdout.write("\nStopped.")

    def _welcome(self, address: str, logs: Path) -> None:
        lines = [f"Pages   {address}/", f"API     {address}/api/v1/", f"Logs    {logs}", "Ctrl-C stops everything."]
        if not live_grants().filter(role=Role.ADMIN).exists():
            lines.insert(3, f"There is no administrator yet. In another terminal: {FIRST_ADMINISTRATOR}")
        self.stdout.write("\n".join(lines))
        self.stdout.flush()


def _require_migrations() -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise CommandError("The database is not up to date; run manage.py migrate first.")
