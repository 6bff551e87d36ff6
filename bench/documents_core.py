"""Inside the installation: fill it, set PDFs, stream the report of a period; prints JSON."""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from datetime import UTC, datetime
from typing import Any

import django

django.setup()

from bench.filling import fill_log, fill_models, submit_some
from bench.people import cast
from governance.documents import services
from governance.documents.models import Export
from governance.models import Review
from pipelines.models import ModelVersion
from security.access.services import create_system
from security.identity.models import User

REPEATS = 20
PERIOD = {"since": datetime(2020, 1, 1, tzinfo=UTC), "until": datetime(2100, 1, 1, tzinfo=UTC)}


def fill(models: int, few: int, many: int) -> None:
    """Models in the system ``bench`` with ``many`` events, and a system ``few`` with few of them."""
    engineer, system = cast()
    submit_some(fill_models(system, engineer, models), engineer, 3)
    fill_log(system, engineer, many)
    admin = User.objects.get(username="admin")
    fill_log(create_system(acting_user=admin, slug="few", name="Few", purpose="measuring"), engineer, few)


def made(kind: str, subject: Any, format: str, **more: Any) -> tuple[Export, float]:
    """A document, and the seconds from asking for it until it is stored and on record."""
    auditor = User.objects.get(username="aldo")
    started = time.perf_counter()
    export = services.request(
        acting_user=auditor, kind=kind, subject=str(subject), format=format, purpose="bench", **more
    )
    services.make(export.pk)
    taken = time.perf_counter() - started
    export = Export.objects.select_related("artifact").get(pk=export.pk)
    if export.artifact is None:
        raise SystemExit(f"{kind}: {export.error}")
    return export, taken


def set_pdfs() -> list[dict[str, Any]]:
    """Seconds of each kind of PDF; the first one, which reads the fonts from disk, is not counted."""
    subjects = {
        "model-card": ModelVersion.objects.order_by("created_at")[0].pk,
        "validation-report": Review.objects.order_by("submitted_at")[0].pk,
        "model-inventory": "bench",
        "technical-documentation": "bench",
        "risk-profile": "bench",
    }
    rows = []
    for kind, subject in subjects.items():
        made(kind, subject, "pdf")
        runs = [
            made(kind, subject, "pdf") for _ in range(REPEATS if kind in ("model-card", "validation-report") else 3)
        ]
        taken = [seconds for _, seconds in runs]
        size = runs[0][0].artifact.size if runs[0][0].artifact else 0
        rows.append(
            {
                "case": f"{kind}, pdf",
                "p50_s": round(statistics.median(taken), 2),
                "max_s": round(max(taken), 2),
                "bytes": size,
            }
        )
    return rows


def stream(format: str, system: str) -> dict[str, Any]:
    """One report of everything in a system, in a process of its own, and the most memory that it ever had."""
    export, taken = made("audit-period", system, format, **PERIOD)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = export.artifact.size if export.artifact else 0
    return {"p50_s": round(taken, 2), "max_s": round(taken, 2), "bytes": size, "peak_mib": round(peak)}


if __name__ == "__main__":
    order, *given = sys.argv[1:]
    if order == "fill":
        fill(*map(int, given))
    else:
        print(json.dumps(set_pdfs() if order == "set" else stream(*given)))
