"""Reading evidence."""

from __future__ import annotations

from django.db.models import QuerySet

from pipelines.models import Evidence


def evidence() -> QuerySet[Evidence]:
    """Evidence with system, subject, report, and the step, run and pipeline it comes from, newest first."""
    return Evidence.objects.select_related("system", "subject", "report", "step_run__run__version__pipeline").order_by(
        "-created_at"
    )
