"""Pages of risks: a new one, what is thought of one, and accepting what is left of it."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from governance.risk import selectors
from governance.risk.builders import builders
from governance.risk.forms import AcceptForm, NewRiskForm, ReviseForm
from governance.risk.models import RiskRevision
from governance.risk.services import register
from governance.risk.views.signing import signed, signer
from pipelines.views.permits import permit
from security.access import people
from security.access import selectors as access
from security.access.table import Action
from security.errors import ServiceError
from security.forms import refuse, user_of


@login_required
@require_http_methods(["GET", "POST"])
def risk_new(request: HttpRequest, slug: str) -> HttpResponse:
    """Put a risk into the register."""
    user = user_of(request)
    system = access.get(user, Action.ASSESS, people.systems(), slug=slug)
    initial = {"owner": user.username, "source": request.GET.get("source"), "source_id": request.GET.get("id")}
    form = NewRiskForm(request.POST or None, people=access.eligible(Action.VIEW, system), initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            made = register.open_risk(acting_user=user, system=system, **form.cleaned_data)
            messages.success(request, "The risk is in the register.")
            return redirect("risk-entry", pk=made.risk_id)
        except ServiceError as error:
            refuse(form, error)
    context = {"system": system, "form": form}
    return render(request, "risk/risk_new.html", context, status=422 if form.errors else 200)


@login_required
@require_http_methods(["GET", "POST"])
def risk_entry(request: HttpRequest, pk: str) -> HttpResponse:
    """One risk: what is thought of it, who bears it until when, its history. POST writes the next revision."""
    user = user_of(request)
    action = Action.ASSESS if request.method == "POST" else Action.VIEW
    entry = access.get(user, action, selectors.entries(), risk=pk)
    if request.method != "POST":
        return _page(request, entry)
    form = ReviseForm(request.POST, people=access.eligible(Action.VIEW, entry.risk.system))
    if form.is_valid():
        try:
            register.revise(acting_user=user, risk=entry.risk, **form.cleaned_data)
            messages.success(request, "The revision is on record.")
            return redirect("risk-entry", pk=entry.risk_id)
        except ServiceError as error:
            refuse(form, error)
    return _page(request, entry, revise=form, status=422)


@require_POST
@login_required
def risk_accept(request: HttpRequest, pk: str) -> HttpResponse:
    """Sign that what is left of the risk is borne."""
    user = user_of(request)
    entry = access.get(user, Action.SIGN_RISK, selectors.entries(), risk=pk)
    form = AcceptForm(request.POST, **signer(user))
    if not form.is_valid():
        return _page(request, entry, accept=form, status=422)
    try:
        register.accept(acting_user=user, risk=entry.risk, **signed(request, form))
    except ServiceError as error:
        refuse(form, error)
        return _page(request, entry, accept=form, status=error.status)
    messages.success(request, "Signed: what is left of this risk is accepted.")
    return redirect("risk-entry", pk=entry.risk_id)


def _page(
    request: HttpRequest,
    entry: RiskRevision,
    *,
    revise: ReviseForm | None = None,
    accept: AcceptForm | None = None,
    status: int = 200,
) -> HttpResponse:
    user, system = user_of(request), entry.risk.system
    (line,) = selectors.risk_lines([entry])
    may_assess, may_sign = permit(user, Action.ASSESS, system), permit(user, Action.SIGN_RISK, system)
    why_not = may_sign.why_not or selectors.why_not_accept(user, entry, builders(system))
    offered = not (why_not or entry.closed or line.acceptance)
    form = revise or ReviseForm(people=access.eligible(Action.VIEW, system), initial=ReviseForm.of(entry))
    context = {
        "system": system,
        "risk": entry.risk,
        "entry": entry,
        "line": line,
        "history": list(selectors.revisions(entry.risk)[:100]),
        "acceptances": list(selectors.acceptances(entry.risk)[:100]),
        "may_assess": may_assess,
        "revise_form": form if may_assess else None,
        "revise_open": revise is not None,
        "accept_form": (accept or AcceptForm(initial={"seen": entry.number}, **signer(user))) if offered else None,
        "why_not": why_not,
    }
    return render(request, "risk/risk.html", context, status=status)
