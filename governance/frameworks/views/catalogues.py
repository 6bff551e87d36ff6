"""Pages of catalogues: which there are, one as a matrix over systems, one control, import and export."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from governance.frameworks.forms import ImportForm, MatrixForm
from governance.frameworks.models import Catalogue, Control
from governance.frameworks.selectors import catalogues as selectors
from governance.frameworks.selectors.covering import Coverage
from governance.frameworks.services import catalogues as services
from governance.frameworks.views import shown
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.errors import ServiceError
from security.forms import refuse, user_of
from security.identity.models import User

SYSTEMS = 100  # columns of a matrix, and lines of a control's page
CONTROLS = 250  # lines of a matrix


@login_required
@require_safe
def frameworks(request: HttpRequest) -> HttpResponse:
    """The current version of each catalogue, and the crosswalks between them."""
    user = user_of(request)
    context = {
        "catalogues": selectors.current_catalogues(),
        "crosswalks": selectors.crosswalks(),
        "may_import": access.allowed(user, Action.IMPORT_CATALOGUE),
        "why_not": access.denial(user, Action.IMPORT_CATALOGUE),
    }
    return render(request, "frameworks/frameworks.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def framework_import(request: HttpRequest) -> HttpResponse:
    """Import an OSCAL catalogue from a file."""
    user = user_of(request)
    access.require(user, Action.IMPORT_CATALOGUE)
    form = ImportForm(request.POST or None, request.FILES or None)
    errors, status = [], 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            given = form.cleaned_data
            try:
                document = services.parse(given["file"].read())
                made = services.import_catalogue(
                    acting_user=user, document=document, key=given["key"], source=given["source"]
                )
                messages.success(request, _imported(made))
                return redirect("framework", key=made.catalogue.key)
            except ServiceError as error:
                refuse(form, error)
                errors, status = error.extra.get("errors", []), error.status
    return render(request, "frameworks/import.html", {"form": form, "errors": errors}, status=status)


@require_POST
@login_required
def framework_load(request: HttpRequest) -> HttpResponse:
    """Bring in what this release ships."""
    access.require(user_of(request), Action.IMPORT_CATALOGUE)
    new = services.load_builtin()
    messages.success(request, f"{len(new)} catalogues are new." if new else "All of them are here already.")
    return redirect("frameworks")


@login_required
@require_safe
def framework(request: HttpRequest, key: str) -> HttpResponse:
    """The matrix of one catalogue: its controls by the systems that the user may see."""
    user, catalogue = user_of(request), selectors.current(key)
    groups = _parts(catalogue)
    form = MatrixForm(request.GET, groups=list(groups.items()), states=shown.STATE_CHOICES)
    asked = form.asked
    page = Paginator(_systems(user, asked["q"]), SYSTEMS).get_page(request.GET.get("page"))
    coverage = Coverage(catalogue, list(page))
    rows = [coverage.row(system) for system in page]
    picked = [
        (at, control)
        for at, control in enumerate(coverage.controls)
        if asked["group"] in ("", _part(control)) and _has_state(rows, at, asked["state"])
    ]
    lines = Paginator(picked, CONTROLS).get_page(request.GET.get("controls"))
    context = {
        "catalogue": catalogue,
        "filter": form,
        "page": page,
        "line_page": lines,
        "lines": shown.matrix_rows(catalogue, list(page), list(lines), rows),
        "legend": shown.legend(),
        "tally": _tally(rows, picked),
    }
    return render(request, "frameworks/matrix.html", context)


@login_required
@require_safe
def framework_oscal(request: HttpRequest, key: str) -> HttpResponse:
    """The catalogue as an OSCAL 1.2.1 file."""
    user_of(request)
    catalogue = selectors.current(key)
    content = json.dumps(selectors.document(catalogue), ensure_ascii=False, indent=1)
    answer = HttpResponse(content, content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="{catalogue.key}-{catalogue.number}.oscal.json"'
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


@login_required
@require_safe
def framework_control(request: HttpRequest, key: str, identifier: str) -> HttpResponse:
    """One control: what it demands, what could show it, and how the user's systems stand to it."""
    user, catalogue = user_of(request), selectors.current(key)
    control = selectors.control(catalogue, identifier)
    page = Paginator(_systems(user, ""), SYSTEMS).get_page(request.GET.get("page"))
    coverage = Coverage(catalogue, list(page))
    at = next(at for at, one in enumerate(coverage.controls) if one.pk == control.pk)
    context = {
        "catalogue": catalogue,
        "control": control,
        "kinds": shown.kinds(control),
        "page": page,
        "lines": [(system, shown.badge(coverage.row(system)[at])) for system in page],
        "links": _links(catalogue, control),
    }
    return render(request, "frameworks/control.html", context)


def _systems(user: User, words: str) -> Any:
    rows = access.visible(user, Action.VIEW, AISystem.objects.all())
    return (rows.filter(slug__icontains=words) if words else rows).order_by("slug")


def _parts(catalogue: Catalogue) -> dict[str, str]:
    """The groups at the top of a catalogue: id → title."""
    rows = catalogue.groups.filter(parent=None).exclude(identifier="").order_by("position")
    return {group.identifier: group.title if group.label == group.identifier else str(group) for group in rows}


def _part(control: Control) -> str:
    """The group at the top that a control stands in, as far as two levels go."""
    group = control.group
    if group is None:
        return ""
    return group.parent.identifier if group.parent is not None else group.identifier


def _has_state(rows: list[Any], at: int, state: str) -> bool:
    return not state or any(row[at].state == state for row in rows)


def _tally(rows: list[Any], picked: list[tuple[int, Control]]) -> list[dict[str, Any]]:
    """How many of the cells that are shown have which state."""
    counts = dict.fromkeys(shown.LOOKS, 0)
    for row in rows:
        for at, _ in picked:
            counts[row[at].state] += 1
    return [{"word": shown.LOOKS[state][2], "count": count} for state, count in counts.items()]


def _links(catalogue: Catalogue, control: Control) -> list[tuple[Any, tuple[str, ...]]]:
    found = [(one.crosswalk, one.sources.get(control.identifier, ())) for one in selectors.into(catalogue.key)]
    return [(crosswalk, sources) for crosswalk, sources in found if sources]


def _imported(made: services.Imported) -> str:
    if not made.created:
        return "This catalogue is here already, with exactly this content."
    return f"{made.catalogue.title} is here: {made.catalogue.control_count:,} controls."
