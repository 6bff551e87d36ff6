"""PDF: the outline set by Typst in a process of its own, with the facts attached."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from governance.documents import visible
from security.canonical import canonical_json
from security.errors import UnavailableError

_SCRIPT = Path(__file__).parents[1] / "typesetting.py"
SECONDS = 60


class NotSetError(RuntimeError):
    """The typesetter refused a document: a fault of the template, since no text of people is code in it."""


def write(outline: Mapping[str, Any], facts: Mapping[str, Any]) -> bytes:
    """The PDF; the same bytes for the same outline and facts. Raises NotSetError, UnavailableError (too slow)."""
    job = {
        "outline": json.dumps(visible.everywhere(dict(outline), visible.for_paper), ensure_ascii=False),
        "source": canonical_json(dict(facts)).decode(),
        "made_at": facts["made_at"],
    }
    command = [sys.executable, "-I", str(_SCRIPT)]
    try:
        done = subprocess.run(  # noqa: S603 - our own script, told nothing but data
            command, input=json.dumps(job).encode(), capture_output=True, env={}, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"This document took longer than {SECONDS} s to set; ask for it as HTML.") from None
    if done.returncode or not done.stdout.startswith(b"%PDF"):
        raise NotSetError(done.stderr.decode(errors="replace")[-2000:])
    return done.stdout
