"""Documents: how long a PDF takes, and what the report of a period costs in time and memory."""

from __future__ import annotations

import json
from typing import Any

from bench.installation import installation, python

MODELS, FEW, MANY = "200", "1000", "100000"
STREAMED = ("jsonl", "csv", "html", "pdf")


def measure() -> list[dict[str, Any]]:
    """One row per document; ``few`` and ``many`` name systems with so many events."""
    try:
        with installation(postgres=True) as env:
            python(env, "-m", "bench.documents_core", "fill", MODELS, FEW, MANY)
            rows: list[dict[str, Any]] = json.loads(python(env, "-m", "bench.documents_core", "set"))
            for format in STREAMED:
                few, many = (
                    json.loads(python(env, "-m", "bench.documents_core", "stream", format, system))
                    for system in ("few", "bench")
                )
                rows.append({"case": f"audit report of a period, {format}", **many, "peak_mib_few": few["peak_mib"]})
            return rows
    except Exception as error:
        return [{"case": "documents", "error": f"{type(error).__name__}: {error}"}]
