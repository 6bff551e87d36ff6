"""The risk of one system: its description, its questionnaire, its tier and why; the questionnaire itself."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from governance.risk import selectors
from governance.risk.builders import builders
from governance.risk.forms import AnswerForm, LowerForm, ProfileForm, QuestionnaireForm, RaiseForm
from governance.risk.models import Assessment, QuestionnaireVersion
from governance.risk.questionnaire import builtin, builtin_text
from governance.risk.services import assessments, profiles, questionnaires, tiers
from governance.risk.views.signing import signed, signer
from pipelines.views.permits import permit
from security.access import people
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.errors import ServiceError
from security.forms import refuse, user_of

SHOWN = 20


@login_required
@require_safe
def risk(request: HttpRequest, slug: str) -> HttpResponse:
    """Everything on record about the risk of a system."""
    user = user_of(request)
    system = access.get(user, Action.VIEW, people.systems(), slug=slug)
    return _page(request, system)


@require_POST
@login_required
def tier_raise(request: HttpRequest, slug: str) -> HttpResponse:
    """Put the system into a higher tier."""
    user = user_of(request)
    system = access.get(user, Action.ASSESS, people.systems(), slug=slug)
    form = RaiseForm(request.POST, tier=system.tier)
    if form.is_valid():
        try:
            tiers.raise_tier(acting_user=user, system=system, **form.cleaned_data)
            messages.success(request, "The tier is raised. Approvals under the earlier one no longer hold.")
            return redirect("risk", slug=system.slug)
        except ServiceError as error:
            refuse(form, error)
    return _page(request, system, raise_form=form, status=422)


def _page(
    request: HttpRequest, system: AISystem, *, raise_form: RaiseForm | None = None, status: int = 200
) -> HttpResponse:
    user = user_of(request)
    risks = selectors.entries().filter(risk__system=system)
    incidents = selectors.incidents().filter(system=system)
    assess = permit(user, Action.ASSESS, system)
    context = {
        "system": system,
        "standing": selectors.tier_standing(system),
        "residual": selectors.residual(system),
        "profile": selectors.profile(system),
        "changes": list(selectors.tier_changes().filter(system=system)[:SHOWN]),
        "assessments": list(selectors.assessments().filter(system=system)[:SHOWN]),
        "risks": selectors.risk_lines(risks[: SHOWN * 5]),
        "risk_count": risks.count(),
        "incidents": list(incidents[:SHOWN]),
        "incident_count": incidents.count(),
        "may_assess": assess,
        "may_report": permit(user, Action.REPORT, system),
        "raise_form": raise_form or (RaiseForm(tier=system.tier) if assess and system.tier != "high" else None),
        "raise_open": raise_form is not None,
    }
    return render(request, "risk/system.html", context, status=status)


@login_required
@require_http_methods(["GET", "POST"])
def risk_profile(request: HttpRequest, slug: str) -> HttpResponse:
    """Describe the system."""
    user = user_of(request)
    system = access.get(user, Action.ASSESS, people.systems(), slug=slug)
    form = ProfileForm(request.POST or None, initial=_described(system))
    if request.method == "POST" and form.is_valid():
        try:
            profiles.describe(acting_user=user, system=system, **form.cleaned_data)
            messages.success(request, "The description is on record. Answer the questionnaire about it next.")
            return redirect("risk", slug=system.slug)
        except ServiceError as error:
            refuse(form, error)
    context = {"system": system, "form": form}
    return render(request, "risk/profile.html", context, status=422 if form.errors else 200)


def _described(system: AISystem) -> dict[str, str]:
    found = selectors.profile(system)
    if found is None:
        return {}
    names = ("users", "affected_people", "deployment_context")
    return {name: getattr(found, name) for name in names} | {"data_categories": "\n".join(found.data_categories)}


@login_required
@require_http_methods(["GET", "POST"])
def risk_answer(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer the questionnaire."""
    user = user_of(request)
    system = access.get(user, Action.ASSESS, people.systems(), slug=slug)
    found = selectors.current_questionnaire()
    version = found.questionnaire if found else builtin()
    form = AnswerForm(request.POST or None, version=version)
    if request.method == "POST" and form.is_valid():
        try:
            made = assessments.answer(acting_user=user, system=system, **form.given())
            messages.success(request, f"The answers come to {made.tier}, with {made.score} of 100 points.")
            return redirect("assessment", pk=made.pk)
        except ServiceError as error:
            error.field = form.field_of(error.field) if error.field else ""
            refuse(form, error)
    context = {
        "system": system,
        "form": form,
        "version": version,
        "number": found.number if found else 1,
        "profile": selectors.profile(system),
        "builds": user.pk in builders(system),
    }
    return render(request, "risk/answer.html", context, status=422 if form.errors else 200)


@login_required
@require_safe
def assessment(request: HttpRequest, pk: str) -> HttpResponse:
    """What was answered, what it came to, and the signature that it takes to lower a tier by it."""
    found = access.get(user_of(request), Action.VIEW, selectors.assessments(), pk=pk)
    return _assessment(request, found)


@require_POST
@login_required
def tier_lower(request: HttpRequest, pk: str) -> HttpResponse:
    """Sign that the tier goes down to what was answered."""
    user = user_of(request)
    found = access.get(user, Action.SIGN_RISK, selectors.assessments(), pk=pk)
    form = LowerForm(request.POST, **signer(user))
    if not form.is_valid():
        return _assessment(request, found, form=form, status=422)
    try:
        change = tiers.lower_tier(acting_user=user, assessment=found, **signed(request, form))
    except ServiceError as error:
        refuse(form, error)
        return _assessment(request, found, form=form, refusal=error, status=error.status)
    messages.success(request, f"Signed: the tier is {change.after} from now on.")
    return redirect("risk", slug=found.system.slug)


def _assessment(
    request: HttpRequest,
    found: Assessment,
    *,
    form: LowerForm | None = None,
    refusal: ServiceError | None = None,
    status: int = 200,
) -> HttpResponse:
    user, hands = user_of(request), builders(found.system)
    why_not = selectors.why_not_lower(found, hands)
    may = permit(user, Action.SIGN_RISK, found.system)
    personal = may.why_not or selectors.why_not_this_signer(user, found, hands)
    context = {
        "assessment": found,
        "system": found.system,
        "answered": selectors.answered(found),
        "change": getattr(found, "tier_change", None),
        "why_not": why_not,
        "personal": personal,
        "eligible": [] if why_not else selectors.signers(found, hands),
        "form": None if why_not or personal else form or LowerForm(**signer(user)),
        "refusal": refusal,
    }
    return render(request, "risk/assessment.html", context, status=status)


@login_required
@require_http_methods(["GET", "POST"])
def questionnaire(request: HttpRequest) -> HttpResponse:
    """The questionnaire that is answered now, its versions, and for administrators the form for the next one."""
    user = user_of(request)
    if request.method == "POST" or not access.grants_of(user):
        access.require(user, Action.PUBLISH_QUESTIONNAIRE)
    found = selectors.current_questionnaire()
    form = QuestionnaireForm(request.POST or None, initial={"text": _as_text(found)})
    if request.method == "POST" and form.is_valid():
        try:
            made = questionnaires.publish(acting_user=user, **form.cleaned_data)
            messages.success(request, f"Version {made.number} is published; every system is answered anew with it.")
            return redirect("questionnaire")
        except ServiceError as error:
            refuse(form, error)
    context: dict[str, Any] = {
        "versions": list(selectors.questionnaires()[:SHOWN]),
        "version": found.questionnaire if found else builtin(),
        "form": form if access.allowed(user, Action.PUBLISH_QUESTIONNAIRE) else None,
        "open": bool(form.errors),
    }
    return render(request, "risk/questionnaire.html", context, status=422 if form.errors else 200)


def _as_text(found: QuestionnaireVersion | None) -> str:
    """The current version as YAML that can be changed and published; as shipped, while it is that one."""
    if found is None or found.digest == builtin().digest:
        return builtin_text()
    return found.questionnaire.as_yaml()
