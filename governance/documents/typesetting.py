"""Sets one PDF in a process of its own: ``python -I typesetting.py`` reads a job on standard input, writes the PDF.

It imports nothing of the house and no Django; its environment is empty, so that there is nothing to leak, and whoever
started it ends it when it takes too long. The job is one JSON object: ``outline`` and ``source`` (JSON as texts, which
reach the template as data only), ``made_at`` (RFC 3339). PDF/A-3b for archives (ISO 19005-3), with the source
attached, and PDF/UA-1 for readers of screens (ISO 14289-1). Only the fonts that come with Typst are used, and no time
but ``made_at``: the same job gives the same bytes on every machine.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path

import typst

TEMPLATE = Path(__file__).parent / "typst" / "document.typ"


def typeset(outline: str, source: str, made_at: str) -> bytes:
    """The PDF of an outline. Raises typst.TypstError."""
    moment = datetime.fromisoformat(made_at).replace(microsecond=0)
    parts = {name: str(getattr(moment, name)) for name in ("year", "month", "day", "hour", "minute", "second")}
    return typst.compile(
        TEMPLATE,
        root=TEMPLATE.parent,
        format="pdf",
        sys_inputs={"outline": outline, "source": source, **parts},
        pdf_standards=["a-3b", "ua-1"],
        ignore_system_fonts=True,
        timestamp=moment,
    )


if __name__ == "__main__":
    job = json.load(sys.stdin)
    try:
        sys.stdout.buffer.write(typeset(job["outline"], job["source"], job["made_at"]))
    except typst.TypstError as error:
        sys.exit(f"{error.message} {' '.join(error.hints)}")
