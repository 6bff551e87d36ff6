"""The page of one piece of evidence."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from governance import frameworks
from governance.selectors import policies, version_tabs
from governance.views import shown
from pipelines.models import DatasetVersion, Evidence, ModelVersion
from pipelines.selectors import evidence as selectors
from pipelines.views.permits import permit
from security.access import selectors as access
from security.access.table import Action
from security.forms import user_of
from security.vault import delivery

MAX_ROWS = 300


@login_required
@require_safe
def evidence(request: HttpRequest, pk: str) -> HttpResponse:
    """One result: what was measured, under which rules, on what, by which run; what superseded it.

    ``?show=report`` adds the report's JSON, which is a read of an artifact and stands in the log.
    """
    user = user_of(request)
    rows = selectors.evidence().select_related("superseded_by", "step_run__run__created_by")
    found = access.get(user, Action.VIEW, rows, pk=pk)
    told = version_tabs.told(found)
    report = ""
    if found.report is not None and request.GET.get("show") == "report":
        access.require(user, Action.READ_ARTIFACT, found.system)
        pieces = delivery.deliver(acting_user=user, artifact=found.report).pieces
        report = json.dumps(json.loads(b"".join(pieces)), indent=2, ensure_ascii=False)
    context = {
        "evidence": found,
        "title": shown.kind_text(found.kind),
        "told": told,
        "rows": told.by_weight[:MAX_ROWS],
        "pictures": [shown.picture(one) for one in told.pictures],
        "report": report,
        "may_read": permit(user, Action.READ_ARTIFACT, found.system),
        "run_text": shown.run_text(found),
        **_subject(found),
        **_meaning(found),
    }
    return render(request, "governance/evidence.html", context)


def _subject(found: Evidence) -> dict[str, Any]:
    """The model or data set that the result speaks of, where the registry knows it."""
    return {
        "models": list(ModelVersion.objects.filter(artifact=found.subject).select_related("model")[:5]),
        "datasets": list(DatasetVersion.objects.filter(artifact=found.subject).select_related("dataset")[:5]),
        "earlier": list(found.supersedes.order_by("-created_at")[:10]),
    }


def _meaning(found: Evidence) -> dict[str, Any]:
    """The policy's question that it answers, and the framework's outcomes that it speaks for."""
    policy = policies.policy_for(found.system)
    kind = frameworks.evidence_kinds().get(found.kind)
    return {
        "policy": policy,
        "requirement": next((one for one in policy.evidence if one.kind == found.kind), None),
        "about": kind.description if kind else "",
        "outcomes": [one for one in frameworks.subcategories() if found.kind in one.evidence],
    }
