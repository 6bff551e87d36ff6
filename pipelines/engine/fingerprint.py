"""What code and environment a run is executed with."""

from __future__ import annotations

import hashlib
import platform
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from security.canonical import digest_of

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("controlplane", "governance", "pipelines", "security")
SHOWN = ("scikit-learn", "numpy", "pandas", "pyarrow", "duckdb", "presidio-analyzer", "adversarial-robustness-toolbox")


@cache
def code() -> dict[str, Any]:
    """``{"files", "sha256"}``: one digest over the project's own Python files, each by path and content."""
    digest, count = hashlib.sha256(), 0
    for floor in FLOORS:
        for path in sorted((ROOT / floor).rglob("*.py")):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(ROOT).as_posix()}\0{content}\n".encode())
            count += 1
    return {"files": count, "sha256": digest.hexdigest()}


@cache
def environment() -> dict[str, Any]:
    """Python, platform, the packages that decide results, and all installed ones with one digest over them."""
    installed = {str(dist.metadata["Name"]).lower(): dist.version for dist in metadata.distributions()}
    return {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": {name: installed[name] for name in SHOWN if name in installed},
        "packages_sha256": digest_of(installed),
        "installed": installed,
    }
