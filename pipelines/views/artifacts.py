"""Pages of artifacts and datasets: what they are, where they came from, what used them; never what a table holds."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from pipelines.forms import DatasetFilter
from pipelines.models import Dataset, DatasetVersion
from pipelines.pictures.reports import pictures
from pipelines.selectors import data as data_selectors
from pipelines.selectors import whereabouts
from pipelines.selectors.columns import columns_of
from pipelines.views.permits import permit
from security.access import selectors as access
from security.access.table import Action
from security.canonical import urn
from security.forms import user_of
from security.listing import listed
from security.log import receipts
from security.log.events import Event
from security.vault import delivery, reading
from security.vault.models import Artifact

KINDS = {
    "application/json": "Report",
    "application/vnd.apache.parquet": "Table",
    "application/x-skops": "Model",
    "application/octet-stream": "Source file",
}


@login_required
@require_safe
def artifact(request: HttpRequest, pk: str) -> HttpResponse:
    """One artifact. ``?show=content`` adds a report's JSON, which is a read and stands in the log."""
    user = user_of(request)
    found = access.get(user, Action.VIEW, reading.artifacts(), pk=pk)
    known = whereabouts.whereabouts(found)
    maker = known.made_by[0].step_run if known.made_by else None
    report = whereabouts.read_report(found) if found.shredded_at is None else None
    content = ""
    if report is not None and request.GET.get("show") == "content":
        access.require(user, Action.READ_ARTIFACT, found.system)
        pieces = delivery.deliver(acting_user=user, artifact=found).pieces
        content = json.dumps(json.loads(b"".join(pieces)), indent=2, ensure_ascii=False)
    context = {
        "artifact": found,
        "kind": KINDS.get(found.media_type, "Artifact"),
        "known": known,
        "maker": maker,
        "is_report": report is not None,
        "too_large": found.media_type == whereabouts.REPORT and found.size > whereabouts.MAX_REPORT_BYTES,
        "pictures": pictures(maker.uses, report, maker.params) if maker else [],
        "content": content,
        "may_read": permit(user, Action.READ_ARTIFACT, found.system),
        "filename": delivery.filename(found),
    }
    return render(request, "pipelines/artifact.html", context)


@login_required
@require_safe
def artifact_content(request: HttpRequest, pk: str) -> HttpResponse | StreamingHttpResponse:
    """The verified bytes, as a download that no browser opens by itself; the read is in the log."""
    user = user_of(request)
    found = access.get(user, Action.READ_ARTIFACT, reading.artifacts(), pk=pk)
    return download(user, found, head=request.method == "HEAD")


@login_required
@require_safe
def artifact_receipt(request: HttpRequest, pk: str) -> HttpResponse:
    """The proof that the log holds the storing of it, as a file that is checked offline."""
    found = access.get(user_of(request), Action.VIEW, reading.artifacts(), pk=pk)
    return receipts.as_file(receipts.about(urn("artifact", found.pk), Event.ARTIFACT_STORED))


def download(user: Any, found: Artifact, *, head: bool) -> HttpResponse | StreamingHttpResponse:
    """An answer that carries the artifact: attachment, its length, its digest, never sniffed, never cached."""
    answer: HttpResponse | StreamingHttpResponse
    if head:
        answer = HttpResponse(content_type=found.media_type)
    else:
        answer = StreamingHttpResponse(
            delivery.deliver(acting_user=user, artifact=found).pieces, content_type=found.media_type
        )
    answer["Content-Disposition"] = f'attachment; filename="{delivery.filename(found)}"'
    answer["Content-Length"] = str(found.size)
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Cache-Control"] = "private, no-store"
    answer["ETag"] = f'"{found.digest}"'
    return answer


@login_required
@require_safe
def datasets(request: HttpRequest) -> HttpResponse:
    """All datasets that the user may see, with their newest version."""
    user = user_of(request)
    rows = _with_newest(access.visible(user, Action.VIEW, data_selectors.datasets()))
    narrowing = DatasetFilter(request.GET, user=user)
    sorts = ("name", "system__slug", "version_count", "newest_rows", "newest_at")
    page = listed(request, narrowing.narrow(rows), sorts=sorts, default="name")
    return render(request, "pipelines/datasets.html", {"page": page, "filter": narrowing})


def _with_newest(rows: QuerySet[Dataset]) -> QuerySet[Dataset]:
    """With ``newest_id``, ``newest_rows``, ``newest_columns`` and ``newest_at`` of the newest version."""
    newest = DatasetVersion.objects.filter(dataset=OuterRef("pk")).order_by("-number")
    names = {"newest_id": "pk", "newest_rows": "rows", "newest_columns": "columns", "newest_at": "created_at"}
    return rows.annotate(**{name: Subquery(newest.values(field)[:1]) for name, field in names.items()})


@login_required
@require_safe
def dataset_version(request: HttpRequest, pk: str) -> HttpResponse:
    """One version of a dataset: its columns with profile and redactions, where it came from, what used it."""
    user = user_of(request)
    found = access.get(user, Action.VIEW, data_selectors.dataset_versions(), pk=pk)
    known = whereabouts.whereabouts(found.artifact)
    described = columns_of(found, known)
    context = {
        "version": found,
        "dataset": found.dataset,
        "artifact": found.artifact,
        "known": known,
        "described": described,
        "others": list(found.dataset.versions.exclude(pk=found.pk).order_by("-number")[:20]),
        "maker": found.step_run,
        "inputs": list(found.step_run.inputs.select_related("artifact")),
    }
    return render(request, "pipelines/dataset_version.html", context)
