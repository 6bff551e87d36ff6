"""The audit log's pages."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from security.access import selectors as access
from security.access.table import Action
from security.forms import user_of
from security.identity import selectors as identity
from security.identity.models import User
from security.log import published, selectors, verification
from security.log.forms import EventFilter
from security.log.merkle import leaf_hash
from security.log.models import AuditEvent
from security.log.paging import PartOfLog, WholeLog
from security.log.receipts import as_file
from security.log.visibility import visible_event, visible_events

PER_PAGE = 50


@login_required
def events(request: HttpRequest) -> HttpResponse:
    """The log, newest first, filtered."""
    user = user_of(request)
    _require_a_look(user)
    form = EventFilter(request.GET or None)
    wanted = form.cleaned_data if form.is_valid() else {}
    page = _pages(user, wanted).get_page(request.GET.get("page"))
    (size, root), (_, waiting) = selectors.head(), selectors.progress()
    names = identity.names({event.actor for event in page})
    context = {
        "page": page,
        "rows": [(event, names.get(event.actor, "")) for event in page],
        "form": form,
        "size": size,
        "root": root,
        "unnumbered": waiting,
        "key": published.verifier_key(),
    }
    return render(request, "log/events.html", context)


@login_required
def event(request: HttpRequest, index: int) -> HttpResponse:
    """One event: its canonical entry, its place in the tree, and what became of the values it commits to."""
    user = user_of(request)
    _require_a_look(user)
    found = visible_event(user, index)
    size, _ = selectors.head()
    context = {
        "event": found,
        "name": identity.names({found.actor}).get(found.actor, ""),
        "size": size,
        "last": size - 1,
        "leaf": leaf_hash(found.entry.encode()).hex(),
        "checkpoint": selectors.covering(index),
        "personal": selectors.opened([found])[found.id.hex],
    }
    return render(request, "log/event.html", context)


@login_required
@require_safe
def receipt(request: HttpRequest, index: int) -> HttpResponse:
    """The proof that an event is in the log, as a file that is checked offline."""
    user = user_of(request)
    _require_a_look(user)
    return as_file(visible_event(user, index))


@require_POST
@login_required
def verify(request: HttpRequest) -> HttpResponse:
    """Check the whole log now and say what was found."""
    user = user_of(request)
    _require_a_look(user)
    result = verification.verify()
    if result.damage is None:
        messages.success(request, f"All {result.entries:,} entries verify. Their root: {result.root.hex()}.")
    else:
        damage = result.damage
        messages.error(request, f"Entry {damage.index:,} is damaged ({damage.kind}): {damage.detail}.")
    return redirect("audit")


def _require_a_look(user: User) -> None:
    if not access.allowed_somewhere(user, Action.VIEW_LOG):
        access.require(user, Action.VIEW_LOG)


def _pages(user: User, wanted: dict[str, Any]) -> Paginator[Any]:
    if access.allowed(user, Action.VIEW_LOG) and not any(wanted.values()):
        return WholeLog(selectors.events(), PER_PAGE)
    rows, counted = (
        _filtered(some, wanted) if wanted else some
        for some in (visible_events(user), visible_events(user, AuditEvent.plain.all()))
    )
    return PartOfLog(rows, PER_PAGE, counted=counted)


def _filtered(rows: QuerySet[AuditEvent], wanted: dict[str, Any]) -> QuerySet[AuditEvent]:
    for field in ("event", "system"):
        if wanted[field]:
            rows = rows.filter(**{field: wanted[field]})
    if wanted["actor"]:
        rows = rows.filter(actor__in=_actors(wanted["actor"]))
    if wanted["subject"]:
        text = wanted["subject"].strip()
        exact = text.startswith("urn:")
        rows = rows.filter(subject=text) if exact else rows.filter(subject__endswith=f":{text}")
    if wanted["since"]:
        rows = rows.filter(time__gte=datetime.combine(wanted["since"], time(), UTC))
    if wanted["until"]:
        rows = rows.filter(time__lt=datetime.combine(wanted["until"], time(), UTC) + timedelta(days=1))
    return rows


def _actors(text: str) -> list[str]:
    """The URNs of the people whose name holds ``text``, or the URN itself."""
    if text.startswith("urn:"):
        return [text]
    found = User.objects.filter(full_name__icontains=text.strip()).values_list("pk", flat=True)[:100]
    return [f"urn:countersign:user:{pk}" for pk in found]
