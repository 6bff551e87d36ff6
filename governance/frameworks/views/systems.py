"""Pages of what one system covers, and signing on one control of it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from governance.forms import SigningForm
from governance.frameworks.forms import AttestForm, WithdrawForm
from governance.frameworks.models import Attestation, Catalogue, Control, Statement
from governance.frameworks.selectors import attestations as selectors
from governance.frameworks.selectors import catalogues
from governance.frameworks.selectors.covering import Coverage
from governance.frameworks.services import attestations as services
from governance.frameworks.views import shown
from pipelines.views.permits import permit
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.errors import ServiceError
from security.forms import refuse, user_of
from security.identity import second_factor
from security.identity.factor_views import SIGNING, answered
from security.identity.models import User

ENDABLE = ("in-force", "outdated")


@login_required
@require_safe
def system_framework(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Every control of a catalogue for one system, with what speaks for it."""
    _, system, catalogue = _both(request, slug, key)
    covered = Coverage(catalogue, [system], whole=True).covered(system)
    asked = request.GET.get("state", "")
    state = asked if asked in shown.LOOKS else ""
    context = {
        "system": system,
        "catalogue": catalogue,
        "lines": [shown.line(one, system, catalogue) for one in covered if state in ("", one.state)],
        "total": len(covered),
        "states": [("", "All"), *shown.STATE_CHOICES],
        "state": state,
        "others": [one for one in catalogues.current_catalogues() if one.pk != catalogue.pk],
    }
    return render(request, "frameworks/system.html", context)


@login_required
@require_safe
def system_control(request: HttpRequest, slug: str, key: str, identifier: str) -> HttpResponse:
    """One control for one system: evidence, attestations, crosswalks; and the form to sign."""
    user, system, catalogue = _both(request, slug, key)
    return _page(request, user, system, catalogue, identifier)


@require_POST
@login_required
def system_attest(request: HttpRequest, slug: str, key: str, identifier: str) -> HttpResponse:
    """Sign a statement. The service alone decides who may; the page says what it answered."""
    user, system, catalogue = _both(request, slug, key)
    control = catalogues.control(catalogue, identifier)
    form = AttestForm(request.POST, statements=tuple(Statement), **_signer(user))
    if not form.is_valid():
        return _page(request, user, system, catalogue, identifier, attest_form=form, status=422)
    try:
        services.attest(acting_user=user, system=system, control=control, **_signed(request, form))
    except ServiceError as error:
        refuse(form, error)
        status = error.status
        return _page(request, user, system, catalogue, identifier, attest_form=form, refusal=error, status=status)
    messages.success(request, "Signed. It counts until the day that you named, unless somebody withdraws it.")
    return redirect("system-control", slug=slug, key=key, identifier=identifier)


@require_POST
@login_required
def attestation_withdraw(request: HttpRequest, pk: str) -> HttpResponse:
    """End an attestation."""
    user = user_of(request)
    found = access.get(user, Action.VIEW, selectors.rows(), pk=pk)
    control, system = found.control, found.system
    catalogue = catalogues.current(control.catalogue.key)
    form = WithdrawForm(request.POST, auto_id=f"{found.pk}_%s", **_signer(user))
    if not form.is_valid():
        return _page(request, user, system, catalogue, control.identifier, ending=(found, form), status=422)
    try:
        services.withdraw(acting_user=user, attestation=found, **_signed(request, form))
    except ServiceError as error:
        refuse(form, error)
        status = error.status
        return _page(
            request, user, system, catalogue, control.identifier, ending=(found, form), refusal=error, status=status
        )
    messages.success(request, "Withdrawn. The control is judged without it from now on.")
    return redirect("system-control", slug=system.slug, key=catalogue.key, identifier=control.identifier)


def _both(request: HttpRequest, slug: str, key: str) -> tuple[User, AISystem, Catalogue]:
    user = user_of(request)
    system = access.get(user, Action.VIEW, AISystem.objects.all(), slug=slug)
    return user, system, catalogues.current(key)


def _page(
    request: HttpRequest,
    user: User,
    system: AISystem,
    catalogue: Catalogue,
    identifier: str,
    *,
    attest_form: AttestForm | None = None,
    ending: tuple[Attestation, WithdrawForm] | None = None,
    refusal: ServiceError | None = None,
    status: int = 200,
) -> HttpResponse:
    control = catalogues.control(catalogue, identifier)
    one = Coverage(catalogue, [system], whole=True).one(system, identifier)
    may_attest, may_exempt = permit(user, Action.ATTEST, system), permit(user, Action.EXEMPT, system)
    offered = tuple(
        statement for statement, may in ((Statement.MET, may_attest), (Statement.NOT_APPLICABLE, may_exempt)) if may
    )
    form = attest_form or AttestForm(statements=offered, **_signer(user))
    form.offer(offered)
    context = {
        "system": system,
        "catalogue": catalogue,
        "control": control,
        "kinds": shown.kinds(control),
        "line": shown.line(one, system, catalogue),
        "via": one.via,
        "attestations": _attestations(user, system, control, ending),
        "attest_form": form if offered else None,
        "may_attest": may_attest,
        "may_exempt": may_exempt,
        "must_enrol": settings.REQUIRE_MFA and not second_factor.is_enrolled(user),
        "refusal": refusal if refusal is not None and not refusal.field else None,
    }
    return render(request, "frameworks/system_control.html", context, status=status)


def _attestations(
    user: User, system: AISystem, control: Control, ending: tuple[Attestation, WithdrawForm] | None
) -> list[dict[str, Any]]:
    """What was ever signed on the control for the system, newest first; with a form for what can be withdrawn."""
    rows = selectors.rows().filter(
        system=system, control__identifier=control.identifier, control__catalogue__key=control.catalogue.key
    )
    signer, made = _signer(user), []
    for row in rows:
        status = selectors.status(row, control.digest)
        mine = ending is not None and ending[0].pk == row.pk
        form = ending[1] if ending is not None and mine else WithdrawForm(auto_id=f"{row.pk}_%s", **signer)
        made.append({"row": row, "status": status, "form": form if status in ENDABLE else None, "open": mine})
    return made


def _signer(user: User) -> dict[str, Any]:
    """What the form for a signature asks this person for."""
    factors = frozenset(str(row.type) for row in second_factor.factors(user))
    return {"factors": factors, "has_password": user.has_usable_password()}


def _signed(request: HttpRequest, form: SigningForm) -> dict[str, Any]:
    """What a service takes: the form's fields, a passkey's answer with the state that was kept for it."""
    given = {"password": "", **form.cleaned_data, "passkey": answered(request, form, SIGNING)}
    given.pop("credential", None)
    return given
