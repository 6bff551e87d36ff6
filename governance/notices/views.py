"""The inbox of whoever is signed in, and the webhooks of a system."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from governance.notices import selectors, services
from governance.notices.forms import WebhookForm
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.errors import ServiceError
from security.forms import refuse, user_of

PER_PAGE = 50


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def inbox(request: HttpRequest) -> HttpResponse:
    """What I was told, newest first; ``?unread=1`` only what is unread. POST marks as read up to an entry."""
    user = user_of(request)
    if request.method == "POST":
        given = request.POST.get("up_to", "")
        up_to = int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None
        services.mark_read(acting_user=user, up_to=up_to)
        return redirect("inbox")
    only_unread = request.GET.get("unread") == "1"
    rows = selectors.notices(user)
    page = Paginator(rows.filter(read_at=None) if only_unread else rows, PER_PAGE).get_page(request.GET.get("page"))
    lines = selectors.lines(list(page))
    context = {
        "page_of": page,
        "lines": lines,
        "newest": lines[0].index if lines and page.number == 1 else None,
        "unread": selectors.unread(user),
        "only_unread": only_unread,
    }
    return render(request, "notices/inbox.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def webhooks(request: HttpRequest, slug: str) -> HttpResponse:
    """Which addresses are told of a system's events, and how it went; POST makes one and shows its secret."""
    user = user_of(request)
    system = access.get(user, Action.CONNECT, AISystem.objects.all(), slug=slug)
    form, secret = WebhookForm(request.POST or None), ""
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_webhook(acting_user=user, system=system, **form.cleaned_data)
            form, secret = WebhookForm(), services.secret_of(made)
        except ServiceError as error:
            refuse(form, error)
    context = {
        "system": system,
        "form": form,
        "secret": secret,
        "rows": list(selectors.webhooks().filter(system=system)),
        "deliveries": list(selectors.deliveries().filter(webhook__system=system)[:30]),
        "hosts": settings.WEBHOOK_HOSTS,
    }
    return render(request, "notices/webhooks.html", context, status=422 if form.errors else 200)


@require_POST
@login_required
def webhook_revoke(request: HttpRequest, slug: str, pk: str) -> HttpResponse:
    """End a webhook."""
    user = user_of(request)
    system = access.get(user, Action.CONNECT, AISystem.objects.all(), slug=slug)
    row = access.get(user, Action.CONNECT, selectors.webhooks().filter(system=system), pk=pk)
    services.revoke_webhook(acting_user=user, webhook=row)
    messages.success(request, "The webhook is ended.")
    return redirect("webhooks", slug=system.slug)
