"""The pages of reports: what can be made for whom, what was made by whom, and one of them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from governance.documents import delivery, selectors, services
from governance.documents.facts.standing import standing
from governance.documents.forms import ExportFilter, ExportForm, MomentForm
from governance.documents.kinds import KINDS
from governance.documents.models import Export
from pipelines.views.permits import permit
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.canonical import urn
from security.errors import MissingError, ServiceError
from security.forms import refuse, user_of
from security.listing import listed
from security.log import receipts
from security.log.events import Event

PER_PAGE = 25


@login_required
@require_safe
def reports(request: HttpRequest) -> HttpResponse:
    """What can be made, and everything that was made in the reader's systems."""
    user = user_of(request)
    narrowing = ExportFilter(request.GET, user=user)
    rows = narrowing.narrow(access.visible(user, Action.VIEW, selectors.exports()))
    page = listed(request, rows, sorts=("requested_at", "kind", "state"), default="-requested_at", per_page=PER_PAGE)
    context = {
        "page": page,
        "lines": [(export, KINDS[export.kind].title) for export in page],
        "filter": narrowing,
        "kinds": [(kind, selectors.roles_for(kind)) for kind in KINDS.values()],
        "systems": selectors.systems(user),
    }
    return render(request, "documents/reports.html", context)


@login_required
def report_new(request: HttpRequest, slug: str, kind: str) -> HttpResponse:
    """Ask for a document of one kind in one system."""
    user = user_of(request)
    if kind not in KINDS:
        raise MissingError("There is no such document.")
    wanted = KINDS[kind]
    system = access.get(user, Action.EXPORT, AISystem.objects.all(), slug=slug)
    form = ExportForm(
        request.POST or None,
        kind=wanted,
        subjects=selectors.subjects(wanted, system),
        initial={"subject": request.GET.get("subject", "")},
    )
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            export = services.request(acting_user=user, **form.asked)
            told = "Asked for: a worker makes it." if export.is_open else "Made, and on record."
            messages.success(request, told)
            return redirect("report", pk=export.pk)
        except ServiceError as error:
            refuse(form, error)
            status = error.status
    context = {"kind": wanted, "system": system, "form": form, "roles": selectors.roles_for(wanted)}
    return render(request, "documents/report_new.html", context, status=status)


@login_required
@require_safe
def report(request: HttpRequest, pk: str) -> HttpResponse:
    """One document that was asked for; while it is being made the page looks again by itself."""
    user = user_of(request)
    export = access.get(user, Action.VIEW, selectors.exports(), pk=pk)
    kind = KINDS[export.kind]
    context: dict[str, Any] = {
        "export": export,
        "kind": kind,
        "format": kind.formats[export.format],
        "may_read": permit(user, Action.EXPORT, export.system),
        "parameters": sorted(export.parameters.items()),
    }
    part = "documents/live/report.html" if request.headers.get("HX-Request") else "documents/report.html"
    return render(request, part, context)


@login_required
@require_safe
def report_content(request: HttpRequest, pk: str) -> HttpResponse | StreamingHttpResponse:
    """The file, as a download; the reading is in the log."""
    user = user_of(request)
    export = access.get(user, Action.EXPORT, selectors.exports(), pk=pk)
    headers = {**delivery.headers(export), "Cache-Control": "private, no-store"}
    if request.method == "HEAD":
        return HttpResponse(headers=headers)
    return StreamingHttpResponse(delivery.pieces(acting_user=user, export=export), headers=headers)


@login_required
@require_safe
def report_receipt(request: HttpRequest, pk: str) -> HttpResponse:
    """The proof that the log holds the making of it, with its digest, as a file that is checked offline."""
    export: Export = access.get(user_of(request), Action.VIEW, selectors.exports(), pk=pk)
    return receipts.as_file(receipts.about(urn("export", export.pk), Event.EXPORT_CREATED))


@login_required
@require_safe
def as_of(request: HttpRequest, slug: str) -> HttpResponse:
    """What could be used in a system at a past moment, approved by whom, on which evidence."""
    user = user_of(request)
    system = access.get(user, Action.VIEW, AISystem.objects.all(), slug=slug)
    form = MomentForm(request.GET)
    found = standing(system, at=form.moment)
    live = sum(row["status"] == "active" for row in found["versions"])
    context = {"system": system, "form": form, "standing": found, "at": form.moment, "live": live}
    return render(request, "documents/as_of.html", context | {"may_export": permit(user, Action.EXPORT, system)})
