"""The vault's own cost: storing and reading beside the two computations that nothing can do without."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from bench.installation import installation, python

MEMORY = Path("/dev/shm")  # noqa: S108 - a file system in memory, where there is one


def measure() -> list[dict[str, Any]]:
    """One row per measurement; ``COUNTERSIGN_BENCH_MIB`` instead of 1024 for a quick look."""
    rows, size = list[dict[str, Any]](), os.environ.get("COUNTERSIGN_BENCH_MIB", "1024")
    for where in ("nowhere", *(["memory"] if MEMORY.is_dir() else []), "disk"):
        with installation(postgres=False) as env:
            found = json.loads(python(env, "-m", "bench.vaulting", "compare", where, size))
            rows += [{"case": f"{row.pop('case')}, store: {where}", **row} for row in found]
    with installation(postgres=False) as env:
        return rows + list(json.loads(python(env, "-m", "bench.vaulting", "memory", "disk", str(10 * int(size)))))
