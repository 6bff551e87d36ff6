"""The audit log on PostgreSQL: events integrated, what recording costs, verification, proofs."""

from __future__ import annotations

import json
from typing import Any

from bench.installation import installation, python

COMMITS, STORED = "500", "1000000"  # for each of 8 writers and round; events in the log that is verified


def measure(stored: str = STORED) -> list[dict[str, Any]]:
    """One row per case."""
    try:
        with installation(postgres=True) as env:
            rows: list[dict[str, Any]] = json.loads(python(env, "-m", "bench.log_writers", COMMITS, stored))
            return rows
    except Exception as error:
        return [{"case": "the log", "error": f"{type(error).__name__}: {error}"}]
