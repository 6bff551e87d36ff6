"""Pages and API answers in a small and in a large installation: time, and that the number of queries is the same."""

from __future__ import annotations

import json
from typing import Any

from bench.installation import installation, python

SMALL, LARGE = ("400", "1000"), ("1000", "100000")  # models, audit events; in both, more wait than are looked at


def measure() -> list[dict[str, Any]]:
    """One row per address: queries small and large, p50 and p95 in the large installation, in milliseconds."""
    try:
        small, large = (_answers(*size) for size in (SMALL, LARGE))
    except Exception as error:
        return [{"case": "pages", "error": f"{type(error).__name__}: {error}"}]
    return [{**large[name], "queries_small": small[name].get("queries", "–")} for name in large]


def _answers(models: str, events: str) -> dict[str, dict[str, Any]]:
    with installation(postgres=True) as env:
        return {row["case"]: row for row in json.loads(python(env, "-m", "bench.requests", models, events))}
