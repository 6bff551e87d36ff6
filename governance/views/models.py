"""Pages of models and their versions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from governance import exports, history, lineage, sentences
from governance.forms import ModelFilter, SubmitForm
from governance.models import Approval
from governance.selectors import model_pages, version_tabs
from governance.selectors.evidence import MODEL_VERSION_RELATED
from governance.selectors.model_pages import VersionHead
from governance.services import reviews as services
from governance.views import shown
from pipelines.models import Evidence, Model
from pipelines.selectors import registry
from pipelines.views.permits import Permit, permit
from security.access import selectors as access
from security.access.table import Action
from security.canonical import urn
from security.errors import ServiceError
from security.forms import refuse, user_of
from security.identity.models import User
from security.listing import listed
from security.log.models import AuditEvent
from security.measurement import combine

PER_PAGE = 25
HISTORY = 100
LINEAGE_DEPTH = 12


@login_required
@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """All models that the user may see: newest version, gates, approval."""
    user = user_of(request)
    rows = access.visible(user, Action.VIEW, model_pages.models())
    narrowing = ModelFilter(request.GET, user=user)
    sorts = ("name", "system__slug", "version_count", "latest_at")
    page = listed(request, narrowing.narrow(rows), sorts=sorts, default="name", per_page=PER_PAGE)
    context = {"page": page, "lines": model_pages.model_lines(page), "filter": narrowing}
    return render(request, "governance/models.html", context)


@login_required
@require_safe
def model(request: HttpRequest, pk: str) -> HttpResponse:
    """One model: its versions and how its figures went."""
    user = user_of(request)
    found = access.get(user, Action.VIEW, Model.objects.select_related("system"), pk=pk)
    page = listed(request, model_pages.versions_of(found), sorts=("number",), default="-number")
    lines = model_pages.version_lines(page)
    context = {"model": found, "page": page, "lines": lines, "trends": model_pages.trends(found)}
    return render(request, "governance/model.html", context)


@login_required
@require_safe
def model_version(request: HttpRequest, pk: str) -> HttpResponse:
    """One version: the sentence it is decided by, and a tab of what stands behind it."""
    user = user_of(request)
    version = access.get(user, Action.VIEW, _versions(), pk=pk)
    head = model_pages.version_head(version)
    asked = request.GET.get("tab", "")
    tab = asked if asked in TABS else "evidence"
    context = _head_context(user, head, tab) | TABS[tab][1](request, user, head)
    return render(request, f"governance/version/{tab}.html", context)


@login_required
def model_submit(request: HttpRequest, pk: str) -> HttpResponse:
    """Ask for a review."""
    user = user_of(request)
    version = access.get(user, Action.SUBMIT, _versions(), pk=pk)
    form = SubmitForm(request.POST or None)
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            review = services.submit(acting_user=user, model_version=version, **form.cleaned_data)
            messages.success(request, "Submitted. Those who can decide see it on their home page.")
            return redirect("review", pk=review.pk)
        except ServiceError as error:
            refuse(form, error)
            status = error.status
    head = model_pages.version_head(version)
    missing = [role.replace("-", " ") for role in model_pages.missing_signers(version.model.system, head.found)]
    context = {"version": version, "model": version.model, "head": head, "form": form}
    context |= {"missing": missing, "short": f"v{version.number}"}
    return render(request, "governance/submit.html", context, status=status)


@require_POST
@login_required
def model_bundle(request: HttpRequest, pk: str) -> StreamingHttpResponse:
    """The auditor's ZIP, streamed. A POST, since making one is an event in the log."""
    user = user_of(request)
    version = access.get(user, Action.EXPORT, _versions(), pk=pk)
    pieces = exports.model_bundle(acting_user=user, model_version=version)
    answer = StreamingHttpResponse(pieces, content_type="application/zip")
    answer["Content-Disposition"] = f'attachment; filename="{exports.bundle_name(version)}"'
    answer["Cache-Control"] = "private, no-store"
    return answer


def _versions() -> Any:
    return registry.model_versions().select_related(*MODEL_VERSION_RELATED)


def _head_context(user: User, head: VersionHead, tab: str) -> dict[str, Any]:
    system = head.version.model.system
    may_submit = permit(user, Action.SUBMIT, system)
    if may_submit and head.open_review is not None:
        may_submit = Permit("This version is in review already.")
    return {
        "version": head.version,
        "model": head.version.model,
        "head": head,
        "short": f"v{head.version.number}",
        "sentence": head.sentence,
        "tabs": _tabs(head, tab),
        "may_submit": may_submit,
        "may_export": permit(user, Action.EXPORT, system),
    }


def _tabs(head: VersionHead, current: str) -> list[dict[str, Any]]:
    """Links to the tabs, each with the verdict of the gates whose evidence it shows."""
    address = reverse("model-version", args=[head.version.pk])
    made = []
    for name, (label, _, kinds) in TABS.items():
        gates = [gate.verdict for gate in head.gates if gate.kind in kinds and gate.present]
        verdict = combine(gates) if gates else None
        made.append({"label": label, "url": f"{address}?tab={name}", "current": name == current, "verdict": verdict})
    return made


def _evidence(request: HttpRequest, user: User, head: VersionHead) -> dict[str, Any]:
    required = {gate.kind for gate in head.gates}
    questions = [
        {
            "gate": gate,
            "title": shown.kind_text(gate.kind),
            "reason": sentences.reason(gate),
            "items": [shown.evidence_item(version_tabs.told(row, report=False)) for row in gate.evidence],
        }
        for gate in head.gates
    ]
    others = [version_tabs.told(row, report=False) for row in head.found.evidence if row.kind not in required]
    return {"questions": questions, "others": [shown.evidence_item(one) for one in others], "policy": head.found.policy}


def _slices(request: HttpRequest, user: User, head: VersionHead) -> dict[str, Any]:
    found = version_tabs.slices(head.found, request.GET.get("rate", ""))
    return {
        "groups": [
            {"slices": one, "item": shown.evidence_item(one.told), "pictures": [shown.picture(p) for p in one.plots]}
            for one in found
        ]
    }


def _kinds(*kinds: str) -> Callable[[HttpRequest, User, VersionHead], dict[str, Any]]:
    """A tab that shows the evidence of some kinds, each report with its pictures once."""

    def build(request: HttpRequest, user: User, head: VersionHead) -> dict[str, Any]:
        return {"results": _results(version_tabs.of_kind(head.found, *kinds))}

    return build


def _results(found: list[version_tabs.Told]) -> list[dict[str, Any]]:
    """Evidence whose step gave several kinds for one report is shown once, under all its names."""
    seen: dict[tuple[Any, Any], dict[str, Any]] = {}
    for one in found:
        key = (one.evidence.step_run_id, one.evidence.subject_id)
        if key in seen:
            seen[key]["item"]["title"] += f", {one.evidence.kind.replace('_', ' ')}"
        else:
            pictures = [shown.picture(picture) for picture in one.pictures]
            seen[key] = {"told": one, "item": shown.evidence_item(one), "pictures": pictures}
    return list(seen.values())


def _data(request: HttpRequest, user: User, head: VersionHead) -> dict[str, Any]:
    found = version_tabs.data(head.version, head.found)
    sections = [
        {"id": name, "title": title, "about": about, "none": none, "results": _results(list(getattr(found, name)))}
        for name, title, about, none in DATA_SECTIONS
    ]
    return {"data": found, "sections": sections}


def _lineage(request: HttpRequest, user: User, head: VersionHead) -> dict[str, Any]:
    artifact = head.version.artifact
    found = lineage.graph(artifact, "both", LINEAGE_DEPTH)
    label = str(head.version)
    picture = shown.lineage_picture(found, urn("artifact", artifact.pk), f"Lineage of {label}")
    nodes = [(node, shown.page_of(node)) for node in found.nodes]
    return {"lineage": found, "picture": picture, "label": label, "nodes": nodes}


def _coverage(request: HttpRequest, user: User, head: VersionHead) -> dict[str, Any]:
    asked = request.GET.get("state", "")
    state = asked if asked in dict(STATES) else ""
    functions = [
        {
            "name": one.name,
            "about": one.about,
            "total": len(one.outcomes),
            "rows": [_outcome(row, head) for row in one.outcomes if state in ("", row.coverage.state)],
            "supported": one.counts["supported"],
            "partial": one.counts["partial"],
            "missing": one.counts["missing"],
            "attest": one.counts["needs-attestation"],
        }
        for one in version_tabs.coverage(head.version)
    ]
    return {"functions": functions, "states": STATES, "state": state}


def _outcome(one: version_tabs.Outcome, head: VersionHead) -> dict[str, Any]:
    row = one.coverage
    return {
        "id": row.subcategory.id,
        "title": row.subcategory.title,
        "why": row.subcategory.why,
        "state": row.state,
        "evidence": [shown.support_item(item, head.version) for item in row.evidence],
        "missing": one.missing,
    }


def _history(request: HttpRequest, user: User, head: VersionHead) -> dict[str, Any]:
    """What the log says of this version, its evidence, its reviews and approvals. Whoever may see it may see that."""
    version = head.version
    approvals = Approval.objects.filter(model_version=version).values_list("pk", flat=True)
    about = Evidence.objects.filter(subject=version.artifact).values_list("pk", flat=True)
    subjects = [
        urn("model-version", version.pk),
        urn("run", version.step_run.run_id),
        *(urn("review", review.pk) for review in head.reviews),
        *(urn("approval", pk) for pk in approvals),
        *(urn("evidence", pk) for pk in about),
    ]
    events = AuditEvent.objects.filter(subject__in=subjects).order_by("-time", "-id")[:HISTORY]
    return {"events": history.lines(events), "reviews": head.reviews}


STATES = (
    ("", "All"),
    ("supported", "Supported"),
    ("partial", "Partly"),
    ("missing", "Missing"),
    ("needs-attestation", "A person’s word"),
)
DATA_SECTIONS = (
    ("profiles", "Shape and completeness", "types, ranges, missing values", "No data set upstream was profiled."),
    ("redactions", "Personal data", "counts by column and kind, never a value", "Nobody looked for personal data."),
    ("drift", "Compared with a reference", "how far each column moved", "The data was compared with no reference."),
    ("poisoning", "Signs of tampering", "labels and rows that do not fit", "The training rows were not scanned."),
)
Builder = Callable[[HttpRequest, User, VersionHead], dict[str, Any]]
# tab → (word, what makes its context, the kinds of evidence whose gates it stands for)
TABS: Mapping[str, tuple[str, Builder, tuple[str, ...]]] = {
    "evidence": ("Evidence", _evidence, ()),
    "slices": ("Slices", _slices, ("slice_metrics", "fairness_metrics")),
    "performance": ("Performance", _kinds("holdout_metrics", "calibration_report"), ("holdout_metrics",)),
    "robustness": ("Robustness", _kinds("adversarial_eval"), ("adversarial_eval",)),
    "data": ("Data", _data, ("data_profile", "pii_report", "drift_report", "poisoning_scan")),
    "lineage": ("Lineage", _lineage, ()),
    "coverage": ("Framework", _coverage, ()),
    "history": ("History", _history, ()),
}
