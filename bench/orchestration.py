"""What a step costs besides its work: 100 no-op steps in a chain, on each broker and database."""

from __future__ import annotations

import json
from typing import Any

from bench.installation import RABBITMQ, REDIS, installation, python, worker

CASES = (
    ("SQLite, filesystem queue", False, ""),
    ("PostgreSQL, Redis", True, REDIS),
    ("PostgreSQL, RabbitMQ", True, RABBITMQ),
)


def measure(count: int = 100) -> list[dict[str, Any]]:
    """One row per case; a service that is not there gives a row with ``error``."""
    rows = []
    for name, postgres, broker in CASES:
        try:
            with installation(postgres=postgres, broker=broker) as env, worker(env):
                rows.append({"case": name, **json.loads(python(env, "-m", "bench.chain", str(count)))})
        except Exception as error:
            rows.append({"case": name, "error": f"{type(error).__name__}: {error}"})
    return rows
