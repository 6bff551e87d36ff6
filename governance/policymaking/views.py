"""Pages of policies: those in force, drafts with what they would change, and the policy of a system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from governance.policy import BUILTIN, TIERS, Policy, builtin
from governance.policymaking import selectors, services, texts
from governance.policymaking.forms import AssignForm, FieldsForm, SignForm, TextForm
from governance.policymaking.models import PolicyDraft
from governance.policymaking.simulation import simulate
from governance.selectors import policies as current
from pipelines.views.listing import listing
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.errors import ServiceError
from security.forms import refuse, user_of
from security.identity import second_factor
from security.identity.factor_views import SIGNING, answered
from security.identity.models import User

PER_PAGE = 25


@login_required
@require_safe
def policies(request: HttpRequest) -> HttpResponse:
    """The policies in force, drafts, who is under which, and all versions."""
    user = user_of(request)
    selectors.require_reader(user)
    context = {
        "current": selectors.in_force(),
        "drafts": selectors.drafts().filter(state="open"),
        "assignments": access.visible(user, Action.VIEW, selectors.assignments()),
        "page": Paginator(selectors.versions(), PER_PAGE).get_page(request.GET.get("page")),
        "may_draft": access.allowed(user, Action.DRAFT_POLICY),
        "why_not": "" if access.allowed(user, Action.DRAFT_POLICY) else access.denial(user, Action.DRAFT_POLICY),
    }
    return render(request, "policymaking/policies.html", context)


@login_required
@require_safe
def policy_version(request: HttpRequest, pk: str) -> HttpResponse:
    """One published version, and what it changed in the one before."""
    version = selectors.version_for(user_of(request), pk)
    before, changes = selectors.changes_of(version)
    context = {
        "version": version,
        "policy": version.policy,
        "before": before,
        "changes": changes,
        "signatures": selectors.signed_for(version),
        "text": texts.text_of(version.policy),
    }
    return render(request, "policymaking/version.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def draft_new(request: HttpRequest) -> HttpResponse:
    """Begin a draft from a policy that there is, or from text."""
    user = user_of(request)
    access.require(user, Action.DRAFT_POLICY)
    form = TextForm(request.POST or None, initial={"text": _beginning(request.GET.get("from", ""))})
    errors: Sequence[Mapping[str, Any]] = ()
    if request.method == "POST" and form.is_valid():
        try:
            made = services.draft(acting_user=user, text=_plain(form))
            messages.success(request, "The draft is kept. Look at what it would change before you sign it.")
            return redirect("policy-draft", pk=made.pk)
        except ServiceError as error:
            errors = _refused(form, error)
    return _editor(request, form, errors, None)


@login_required
@require_safe
def policy_draft(request: HttpRequest, pk: str) -> HttpResponse:
    """A draft: what it changes, what it would do, who has signed."""
    user = user_of(request)
    return _draft_page(request, user, selectors.draft_for(user, pk))


@login_required
@require_http_methods(["GET", "POST"])
def draft_text(request: HttpRequest, pk: str) -> HttpResponse:
    """Change a draft's text."""
    user = user_of(request)
    row = selectors.draft_for(user, pk)
    access.require(user, Action.DRAFT_POLICY)
    form = TextForm(request.POST or None, initial={"text": row.text})
    errors: Sequence[Mapping[str, Any]] = ()
    if request.method == "POST" and form.is_valid():
        try:
            services.change(acting_user=user, row=row, text=_plain(form))
            return redirect("policy-draft", pk=row.pk)
        except ServiceError as error:
            errors = _refused(form, error)
    return _editor(request, form, errors, row)


@login_required
@require_http_methods(["GET", "POST"])
def draft_fields(request: HttpRequest, pk: str) -> HttpResponse:
    """Change a draft field by field; an error stands at its field."""
    user = user_of(request)
    row = selectors.draft_for(user, pk)
    access.require(user, Action.DRAFT_POLICY)
    form = FieldsForm(request.POST or None, policy=row.policy)
    if request.method == "POST" and form.is_valid():
        try:
            text = texts.text_of(Policy.model_validate(form.content()))
            services.change(acting_user=user, row=row, text=text)
            return redirect("policy-draft", pk=row.pk)
        except ServiceError as error:
            for one in error.extra.get("errors", [{"parameter": "", "message": error.message}]):
                form.add_error(one["parameter"] if one["parameter"] in form.fields else None, one["message"])
    return render(request, "policymaking/fields.html", {"draft": row, "form": form}, status=422 if form.errors else 200)


@require_POST
@login_required
def draft_sign(request: HttpRequest, pk: str) -> HttpResponse:
    """Sign a draft; the second signature publishes it."""
    user = user_of(request)
    row = selectors.draft_for(user, pk)
    form = SignForm(request.POST, **signer(user))
    if not form.is_valid():
        return _draft_page(request, user, row, form=form, status=422)
    try:
        services.sign(acting_user=user, row=row, **given(request, form))
    except ServiceError as error:
        refuse(form, error)
        return _draft_page(request, user, selectors.draft_for(user, pk), form=form, status=error.status)
    row = selectors.draft_for(user, pk)
    if row.published is not None:
        messages.success(request, f"Signed, and published as version {row.published.number}.")
        return redirect("policy-version", pk=row.published_id)
    messages.success(request, "Signed. It is published once the other signature is there.")
    return redirect("policy-draft", pk=row.pk)


@require_POST
@login_required
def draft_withdraw(request: HttpRequest, pk: str) -> HttpResponse:
    """Give a draft up."""
    user = user_of(request)
    row = selectors.draft_for(user, pk)
    services.withdraw(acting_user=user, row=row)
    messages.success(request, "The draft is withdrawn.")
    return redirect("policies")


@login_required
@require_http_methods(["GET", "POST"])
def system_policy(request: HttpRequest, slug: str) -> HttpResponse:
    """Which policy a system is under, and why; POST puts it under another."""
    user = user_of(request)
    system = access.get(user, Action.VIEW, AISystem.objects.all(), slug=slug)
    choices = {policy.key: policy.title for policy in _for_a_use()}
    form = AssignForm(request.POST or None, policies=choices, **signer(user))
    status = 200
    if request.method == "POST":
        access.require(user, Action.ASSIGN_POLICY, system)
        status = 422
        if form.is_valid():
            try:
                services.assign(acting_user=user, system=system, **given(request, form))
                messages.success(
                    request, f"{system.name} is under another policy; approvals under the old one are void."
                )
                return redirect("system", slug=system.slug)
            except ServiceError as error:
                refuse(form, error)
                status = error.status
    may = access.allowed(user, Action.ASSIGN_POLICY, system)
    context = {
        "system": system,
        "policy": current.policy_for(system),
        "assignment": selectors.assignments().filter(system=system).first(),
        "form": form if may else None,
        "why_not": "" if may else access.denial(user, Action.ASSIGN_POLICY, system),
    }
    return render(request, "policymaking/system.html", context, status=status)


def signer(user: User) -> dict[str, Any]:
    """What a form for a signature asks this person for."""
    factors = frozenset(str(row.type) for row in second_factor.factors(user))
    return {"factors": factors, "has_password": user.has_usable_password()}


def given(request: HttpRequest, form: SignForm | AssignForm) -> dict[str, Any]:
    """What a service takes: the form's fields, a passkey's answer with the state that was kept for it."""
    found = {"password": "", **form.cleaned_data, "passkey": answered(request, form, SIGNING)}
    found.pop("credential", None)
    return found


def _draft_page(
    request: HttpRequest, user: User, row: PolicyDraft, *, form: SignForm | None = None, status: int = 200
) -> HttpResponse:
    signing = selectors.signing(user, row)
    context = {
        "draft": row,
        "policy": row.policy,
        "changes": selectors.differences(row),
        "simulation": simulate(user, row.policy) if row.is_open else None,
        "signing": signing,
        "form": None if signing.why_not else form or SignForm(**signer(user)),
        "refused": form.errors if form is not None and signing.why_not else None,
        "may_draft": access.allowed(user, Action.DRAFT_POLICY),
    }
    return render(request, "policymaking/draft.html", context, status=status)


def _editor(
    request: HttpRequest, form: TextForm, errors: Sequence[Mapping[str, Any]], row: PolicyDraft | None
) -> HttpResponse:
    text = str(form["text"].value() or "")
    shown = listing(text, errors) if errors else ()
    context = {"form": form, "errors": errors, "listing": shown, "draft": row}
    return render(request, "policymaking/text.html", context, status=422 if form.errors else 200)


def _refused(form: TextForm, error: ServiceError) -> Sequence[Mapping[str, Any]]:
    """The errors by line, where the text is what is wrong; the form says it in one sentence."""
    found: Sequence[Mapping[str, Any]] = error.extra.get("errors", ())
    if found:
        form.add_error("text", "This is no policy yet; what is wrong stands at its lines.")
    else:
        refuse(form, error)
    return found


def _plain(form: TextForm) -> str:
    return str(form.cleaned_data["text"]).replace("\r\n", "\n")


def _beginning(name: str) -> str:
    """The text that a draft of a policy begins with: the current version, or what this release ships."""
    version = current.current(name) if name else None
    if version is not None and version.policy.format > 1:
        return texts.text_of(version.policy)
    return texts.text_of(builtin(name)) if name in BUILTIN else ""


def _for_a_use() -> list[Policy]:
    """The policies that a system can be put under: published or shipped, and not that of a tier."""
    known = {name: version.policy for name, version in current.current_versions().items()}
    shipped = {name: builtin(name) for name in BUILTIN}
    return [policy for name, policy in sorted((shipped | known).items()) if name not in TIERS]
