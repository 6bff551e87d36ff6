"""The page of a lineage: where an artifact came from and what came of it."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from governance import lineage as selector
from governance.forms import LineageForm
from governance.views import shown
from pipelines.selectors.lineage import Direction
from security.access import selectors as access
from security.access.table import Action
from security.canonical import urn
from security.forms import user_of
from security.vault.reading import artifacts

DEFAULT_DEPTH = 10


@login_required
@require_safe
def lineage(request: HttpRequest, pk: str) -> HttpResponse:
    """The graph around one artifact; ``?format=json`` gives it as data."""
    user = user_of(request)
    found = access.get(user, Action.VIEW, artifacts(), pk=pk)
    form = LineageForm(request.GET)
    form.is_valid()
    direction = cast(Direction, form.cleaned_data.get("direction") or "both")
    depth = form.cleaned_data.get("depth") or DEFAULT_DEPTH
    graph = selector.graph(found, direction, depth)
    if request.GET.get("format") == "json":
        answer = JsonResponse(graph.as_json(), json_dumps_params={"indent": 2, "ensure_ascii": False})
        answer["Content-Disposition"] = f'attachment; filename="lineage-{found.digest[:12]}.json"'
        return answer
    own = urn("artifact", found.pk)
    label = next((node.label for node in graph.nodes if node.id == own), found.digest[:12])
    names = {node.id: node.label for node in graph.nodes}
    context = {
        "artifact": found,
        "label": label,
        "lineage": graph,
        "picture": shown.lineage_picture(graph, own, f"Lineage of {label}"),
        "nodes": [(node, shown.page_of(node)) for node in graph.nodes],
        "edges": [(names.get(edge.source, ""), edge.role, names.get(edge.target, "")) for edge in graph.edges],
        "form": LineageForm(initial={"direction": direction, "depth": depth}),
        "direction": direction,
        "depth": depth,
    }
    return render(request, "governance/lineage.html", context)
