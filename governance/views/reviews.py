"""Pages of reviews: what waits, one review, and the three things a person can do to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from governance import sentences
from governance.forms import DecisionForm, ReviewFilter, RevokeForm, SigningForm
from governance.models import Approval, Decision, Review
from governance.risk.selectors import stopping
from governance.selectors import approvals, inclusion, version_tabs, waiting
from governance.selectors import reviews as selectors
from governance.selectors.evidence import Gate
from governance.selectors.standing import readings
from governance.services import reviews as services
from governance.views import shown
from pipelines.pictures.reports import ReportPicture
from pipelines.views.permits import permit
from security.access import selectors as access
from security.access.table import Action
from security.errors import ServiceError
from security.forms import refuse, user_of
from security.identity import second_factor
from security.identity.factor_views import SIGNING, answered
from security.identity.models import User
from security.listing import listed

PER_PAGE = 25
DECISIONS = (Decision.APPROVE.value, Decision.REJECT.value)


@login_required
@require_safe
def reviews(request: HttpRequest) -> HttpResponse:
    """What waits for this person first, then every review that they may see."""
    user = user_of(request)
    rows = access.visible(user, Action.VIEW, selectors.brief())
    narrowing = ReviewFilter(request.GET, user=user)
    sorts = ("submitted_at", "model_version__model__name", "system__slug", "state")
    page = listed(request, narrowing.narrow(rows), sorts=sorts, default="-submitted_at", per_page=PER_PAGE)
    mine = waiting.waiting(user, also=page)
    now = readings(page, found=mine.behind)
    context = {
        "waiting": {"reviews": mine.badge},
        "mine": mine,
        "mine_lines": waiting.waiting_lines(mine.found),
        "page": page,
        "lines": [(review, now[review.pk]) for review in page],
        "filter": narrowing,
    }
    return render(request, "governance/reviews.html", context)


@login_required
@require_safe
def review(request: HttpRequest, pk: str) -> HttpResponse:
    """One review: the questions of the policy on the left, the decision on the right."""
    user = user_of(request)
    found = access.get(user, Action.VIEW, selectors.reviews(), pk=pk)
    return _page(request, user, found)


@require_POST
@login_required
def review_vote(request: HttpRequest, pk: str) -> HttpResponse:
    """Sign a decision. The service alone decides who may; the page says what it answered."""
    user = user_of(request)
    found = access.get(user, Action.VIEW, selectors.reviews(), pk=pk)
    form = DecisionForm(request.POST, decisions=DECISIONS, **_signer(user))
    if not form.is_valid():
        return _page(request, user, found, decision_form=form, status=422)
    try:
        vote = services.vote(acting_user=user, review=found, **_signed(request, form))
    except ServiceError as error:
        refuse(form, error)
        return _page(request, user, _again(found), decision_form=form, refusal=error, status=error.status)
    found.refresh_from_db()
    messages.success(request, _signed_words(vote.decision, found))
    _say_if_waiting(request, found)
    return redirect("review", pk=found.pk)


@require_POST
@login_required
def review_withdraw(request: HttpRequest, pk: str) -> HttpResponse:
    """Take a review back."""
    user = user_of(request)
    found = access.get(user, Action.VIEW, selectors.reviews(), pk=pk)
    services.withdraw(acting_user=user, review=found)
    messages.success(request, "The review is withdrawn; the version can be submitted again.")
    return redirect("review", pk=found.pk)


@require_POST
@login_required
def approval_revoke(request: HttpRequest, pk: str) -> HttpResponse:
    """End an approval at once."""
    user = user_of(request)
    approval = access.get(user, Action.VIEW, approvals.rows(), pk=pk)
    found = access.get(user, Action.VIEW, selectors.reviews(), pk=approval.review_id)
    form = RevokeForm(request.POST, **_signer(user))
    if not form.is_valid():
        return _page(request, user, found, revoke_form=form, status=422)
    try:
        services.revoke(acting_user=user, approval=approval, **_signed(request, form))
    except ServiceError as error:
        refuse(form, error)
        return _page(request, user, found, revoke_form=form, refusal=error, status=error.status)
    messages.success(request, "The approval is revoked. Nothing may use this version from now on.")
    _say_if_waiting(request, found)
    return redirect("review", pk=found.pk)


def _page(
    request: HttpRequest,
    user: User,
    found: Review,
    *,
    decision_form: DecisionForm | None = None,
    revoke_form: RevokeForm | None = None,
    refusal: ServiceError | None = None,
    status: int = 200,
) -> HttpResponse:
    page = selectors.review_page(found, user)
    now, decision = page.standing, page.decision
    offered = tuple(one for one, can in zip(DECISIONS, (decision.can_approve, decision.can_reject), strict=True) if can)
    if decision_form is not None and decision.can_vote:
        decision_form = _with_choices(decision_form, offered, user)
    elif decision.can_vote:
        decision_form = DecisionForm(decisions=offered, **_signer(user))
    context = {
        "page": page,
        "review": found,
        "version": page.model_version,
        "standing": now,
        "sentence": _sentence(page),
        "questions": _questions(now.gates),
        "role": decision.role.replace("-", " "),
        "signatures": shown.signatures(now.seats, now.votes, now.policy),
        "decision_form": decision_form if decision.can_vote else None,
        "revoke_form": revoke_form or RevokeForm(**_signer(user)),
        "must_enrol": settings.REQUIRE_MFA and not second_factor.is_enrolled(user),
        "revoke_open": revoke_form is not None,
        "refusal": refusal if refusal is not None and not refusal.field else None,
        "changed": sentences.changes(now.changes),
        "stops": stopping(found.model_version) if found.is_open else [],
        "may_withdraw": permit(user, Action.WITHDRAW, found.system),
        "may_read_log": access.allowed(user, Action.VIEW_LOG, found.system),
        "may_revoke": permit(user, Action.REVOKE, found.system),
    }
    return render(request, "governance/review.html", context, status=status)


def _say_if_waiting(request: HttpRequest, review: Review) -> None:
    """A decision holds once it is committed; that nobody can take it away is shown once the log includes it."""
    if not inclusion.all_included(inclusion.places(review, approvals.rows().filter(review=review).first())):
        messages.warning(
            request, "It is recorded, and not yet included in the audit log: this page shows its number once it is."
        )


def _signer(user: User) -> dict[str, Any]:
    """What the form for a signature asks this person for."""
    factors = frozenset(str(row.type) for row in second_factor.factors(user))
    return {"factors": factors, "has_password": user.has_usable_password()}


def _signed(request: HttpRequest, form: SigningForm) -> dict[str, Any]:
    """What a service takes: the form's fields, a passkey's answer with the state that was kept for it."""
    given = {"password": "", **form.cleaned_data, "passkey": answered(request, form, SIGNING)}
    given.pop("credential", None)
    return given


def _with_choices(form: DecisionForm, offered: tuple[str, ...], user: User) -> DecisionForm:
    """The form as it was sent, with only what can be chosen now; its errors stay."""
    fresh = DecisionForm(form.data, decisions=offered, **_signer(user))
    fresh.full_clean()
    for field, errors in form.errors.items():
        if not fresh.has_error(field):
            fresh.add_error(None if field == "__all__" else field, list(errors))
    return fresh


def _questions(gates: Sequence[Gate]) -> list[dict[str, Any]]:
    """The policy's questions with their results; one step's result that answers two of them is shown at the first."""
    answered: dict[tuple[Any, ...], Gate] = {}
    made = []
    for gate in gates:
        key = tuple(sorted((str(row.step_run_id), str(row.subject_id), row.verdict) for row in gate.evidence))
        earlier = answered.setdefault(key, gate) if key else gate
        results = [] if earlier is not gate else [_result(*pair) for pair in version_tabs.gate_told(gate)]
        made.append(
            {
                "gate": gate,
                "title": shown.kind_text(gate.kind),
                "reason": sentences.reason(gate),
                "results": results,
                "same_as": None if earlier is gate else earlier,
            }
        )
    return made


def _result(one: version_tabs.Told, picture: ReportPicture | None) -> dict[str, Any]:
    return {"told": one, "item": shown.evidence_item(one), "picture": shown.picture(picture) if picture else None}


def _sentence(page: selectors.ReviewPage) -> sentences.Sentence:
    now = page.standing
    if page.approval is not None:
        changed = now.changes if page.approval_status == "void" else []
        until, reason = page.approval.valid_until, page.approval.revoked_reason
        return sentences.held(page.approval_status, until, now.gates, changed, reason)
    if now.state == "in-review":
        return sentences.undecided(now.gates, sum(seat.open for seat in now.seats), submitted=True)
    return sentences.closed(now.state, now.gates, now.changes)


def _again(found: Review) -> Review:
    """As it is stored now: the refused vote may have found out that the review is superseded."""
    return selectors.reviews().get(pk=found.pk)


def _signed_words(decision: str, found: Review) -> str:
    if Approval.objects.filter(review=found).exists():
        return "Signed. Every signature is there: the approval is issued."
    if decision == Decision.REJECT:
        return "Signed. The version is rejected."
    return "Signed. The approval is issued once the other signatures are there."
