"""Who gets which answer from which operation: one row per operation of the schema.

Columns: ``engineer`` (token with every scope, in the system), ``auditor`` (the same, in the system), ``outsider``
(token with every scope, engineer of another system), ``admin`` (session, global). Nobody at all and an expired token
always get 401. The request is the same for all of them and about rows of the system; ``body`` and ``path`` of a row
are names that ``test_access`` fills in. 201 and 200 mean that it was done.

What a person may not see does not exist for them (404); what they may see but not do is denied (403).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from governance.policy import builtin
from governance.policymaking.texts import text_of
from governance.risk.questionnaire import builtin_text
from tests.support import risk
from tests.support.people import PASSWORD


class Row(NamedTuple):
    engineer: int
    auditor: int
    outsider: int
    admin: int
    body: Any = None


RISK = {"title": "It drifts", "likelihood": 2, "impact": 4, "treatment": "reduce", "owner": "olga"}
SPEC = object()  # the body is YAML

TABLE: dict[str, Row] = {
    # own or public
    "GET /me": Row(200, 200, 200, 200),
    "GET /steps": Row(200, 200, 200, 200),
    "GET /steps/{id}": Row(200, 200, 200, 200),
    "GET /schema/pipeline": Row(200, 200, 200, 200),
    "POST /pipelines/check": Row(200, 200, 200, 200, SPEC),
    "GET /tokens": Row(200, 200, 200, 200),
    "POST /tokens": Row(403, 403, 403, 201, {"name": "ci", "scopes": ["read"]}),
    "POST /tokens/{id}/revoke": Row(404, 404, 404, 200),
    # people and roles: no token has a scope for them
    "GET /people": Row(403, 403, 403, 200),
    "POST /people": Row(
        403,
        403,
        403,
        201,
        {"username": "paula", "full_name": "Paula Person", "password": "a long enough passphrase"},
    ),
    "POST /people/{id}/deactivate": Row(403, 403, 403, 200),
    "GET /grants": Row(200, 200, 200, 200),
    "POST /grants": Row(403, 403, 404, 201, {"person": "nina", "role": "auditor", "system": "credit"}),
    "POST /grants/{id}/revoke": Row(403, 403, 404, 200),
    "GET /trusts": Row(200, 200, 200, 200),
    "POST /trusts": Row(
        403,
        403,
        404,
        422,
        {"system": "credit", "service": "nina", "issuer": "github", "subject": "repo:o/r:x", "scopes": ["run"]},
    ),
    "POST /trusts/{id}/revoke": Row(403, 403, 404, 200),
    "GET /notices": Row(200, 200, 200, 200),
    "POST /notices/read": Row(200, 200, 200, 200, {}),
    "GET /webhooks": Row(200, 200, 200, 200),
    "POST /webhooks": Row(
        403, 403, 404, 422, {"system": "credit", "url": "https://hooks.example/x", "events": ["review:submitted"]}
    ),
    "POST /webhooks/{id}/revoke": Row(403, 403, 404, 200),
    "GET /deliveries": Row(200, 200, 200, 200),
    "GET /systems": Row(200, 200, 200, 200),
    "POST /systems": Row(403, 403, 403, 201, {"slug": "fresh", "name": "Fresh"}),
    "GET /systems/{slug}": Row(200, 200, 404, 200),
    # pipelines and runs
    "GET /pipelines": Row(200, 200, 200, 200),
    "POST /pipelines": Row(201, 403, 404, 403, SPEC),
    "GET /pipelines/{id}": Row(200, 200, 404, 200),
    "GET /pipelines/{id}/versions": Row(200, 200, 404, 200),
    "GET /pipeline-versions/{id}": Row(200, 200, 404, 200),
    "GET /pipeline-versions/{id}/compare": Row(200, 200, 404, 200),
    "GET /runs": Row(200, 200, 200, 200),
    "POST /runs": Row(201, 403, 404, 403, {"version": "{version}"}),
    "GET /runs/{id}": Row(200, 200, 404, 200),
    "POST /runs/{id}/cancel": Row(200, 403, 404, 403),
    "POST /runs/{id}/retry": Row(409, 403, 404, 403),
    "GET /runs/{id}/steps/{name}": Row(200, 200, 404, 200),
    # artifacts, data, evidence, models: an administrator sees them, but not their bytes
    "GET /artifacts": Row(200, 200, 200, 200),
    "GET /artifact-findings": Row(200, 200, 200, 200),
    "GET /artifacts/{id}": Row(200, 200, 404, 200),
    "GET /artifacts/{id}/content": Row(200, 200, 404, 403),
    "GET /artifacts/{id}/opening": Row(200, 200, 404, 403),
    "POST /artifacts/{id}/shred": Row(403, 403, 404, 403, {"ground": "no-longer-needed"}),
    "GET /artifacts/{id}/receipt": Row(200, 200, 404, 200),
    "GET /artifacts/{id}/lineage": Row(200, 200, 404, 200),
    "GET /datasets": Row(200, 200, 200, 200),
    "GET /datasets/{id}": Row(200, 200, 404, 200),
    "GET /evidence": Row(200, 200, 200, 200),
    "GET /evidence/{id}": Row(200, 200, 404, 200),
    "GET /models": Row(200, 200, 200, 200),
    "GET /models/{id}": Row(200, 200, 404, 200),
    "GET /model-versions": Row(200, 200, 200, 200),
    "GET /model-versions/{id}": Row(200, 200, 404, 200),
    "GET /model-versions/{id}/lineage": Row(200, 200, 404, 200),
    "GET /model-versions/{id}/coverage": Row(200, 200, 404, 200),
    "GET /model-versions/{id}/bundle": Row(403, 200, 404, 403),
    "POST /model-versions/{id}/submit": Row(201, 403, 404, 403, {"note": "please"}),
    # reviews: signing is for people who sign in and have the role
    "GET /reviews": Row(200, 200, 200, 200),
    "GET /reviews/{id}": Row(200, 200, 404, 200),
    "POST /reviews/{id}/votes": Row(
        403, 403, 404, 403, {"decision": "approve", "reason": "good", "password": "correct horse battery staple"}
    ),
    "POST /reviews/{id}/withdraw": Row(200, 403, 404, 403),
    "GET /approvals": Row(200, 200, 200, 200),
    "POST /approvals/{id}/revoke": Row(
        403, 403, 404, 403, {"reason": "no longer", "password": "correct horse battery staple"}
    ),
    # waivers: asked for by engineers and owners, decided by risk officers
    "GET /waivers": Row(200, 200, 200, 200),
    "GET /waivers/{id}": Row(200, 200, 404, 200),
    "POST /model-versions/{id}/waivers": Row(
        201, 403, 404, 403, {"part": "slice_metrics", "reason": "soon", "control": "a clerk", "days": 7}
    ),
    "POST /waivers/{id}/decide": Row(
        403, 403, 404, 403, {"decision": "approve", "reason": "x", "password": "correct horse battery staple"}
    ),
    "POST /waivers/{id}/end": Row(403, 403, 404, 403, {"reason": "x", "password": "correct horse battery staple"}),
    # policies: read by whoever has a role anywhere, written and signed by validators and risk officers of all systems
    "GET /policies": Row(200, 200, 200, 200),
    "GET /policies/{id}": Row(200, 200, 200, 200),
    "GET /policy-drafts": Row(200, 200, 200, 200),
    "POST /policy-drafts": Row(403, 403, 403, 403, {"text": text_of(builtin("high"))}),
    "GET /policy-drafts/{id}": Row(200, 200, 200, 200),
    "GET /policy-drafts/{id}/simulation": Row(200, 200, 200, 200),
    "POST /policy-drafts/{id}/change": Row(403, 403, 403, 403, {"text": text_of(builtin("high"))}),
    "POST /policy-drafts/{id}/withdraw": Row(403, 403, 403, 403),
    "POST /policy-drafts/{id}/signatures": Row(
        403, 403, 403, 403, {"reason": "good", "password": "correct horse battery staple"}
    ),
    "GET /systems/{slug}/policy": Row(200, 200, 404, 200),
    "POST /systems/{slug}/policy": Row(
        403,
        403,
        404,
        403,
        {"policy": "financial-model-risk", "reason": "loans", "password": "correct horse battery staple"},
    ),
    # risk: whoever works in a system answers and reports, a risk officer who signs in takes rules away
    "GET /questionnaires": Row(200, 200, 200, 200),
    "POST /questionnaires": Row(403, 403, 403, 201, {"text": builtin_text().replace("medium: 30", "medium: 20")}),
    "GET /systems/{slug}/risk": Row(200, 200, 404, 200),
    "GET /systems/{slug}/profiles": Row(200, 200, 404, 200),
    "POST /systems/{slug}/profiles": Row(201, 403, 404, 403, risk.DESCRIBED),
    "GET /systems/{slug}/assessments": Row(200, 200, 404, 200),
    "POST /systems/{slug}/assessments": Row(201, 403, 404, 403, {"answers": risk.LOW}),
    "GET /systems/{slug}/tier-changes": Row(200, 200, 404, 200),
    "POST /systems/{slug}/tier-changes": Row(409, 403, 404, 403, {"tier": "high", "reason": "An incident."}),
    "GET /systems/{slug}/risks": Row(200, 200, 404, 200),
    "POST /systems/{slug}/risks": Row(201, 403, 404, 403, RISK | {"source": "person"}),
    "GET /systems/{slug}/incidents": Row(200, 200, 404, 200),
    "POST /systems/{slug}/incidents": Row(
        201, 403, 404, 403, {"title": "Wrong refusals", "severity": "serious", "what": "Twelve were refused."}
    ),
    "GET /assessments/{id}": Row(200, 200, 404, 200),
    "POST /assessments/{id}/sign": Row(403, 403, 404, 403, {"reason": "Small.", "password": PASSWORD}),
    "GET /risks/{id}": Row(200, 200, 404, 200),
    "POST /risks/{id}/revisions": Row(201, 403, 404, 403, RISK | {"seen": 1}),
    "POST /risks/{id}/accept": Row(
        403,
        403,
        404,
        403,
        {"until": risk.in_a_month().isoformat(), "reason": "Small.", "password": PASSWORD, "seen": 1},
    ),
    "GET /incidents/{id}": Row(200, 200, 404, 200),
    "POST /incidents/{id}/entries": Row(201, 403, 404, 403, {"what": "It goes on."}),
    "POST /incidents/{id}/close": Row(403, 403, 404, 403, {"what": "Mended.", "password": PASSWORD}),
    # the log
    "GET /events": Row(403, 200, 403, 200),
    "GET /events/{index}": Row(403, 200, 403, 200),
    "GET /events/{index}/receipt": Row(403, 200, 403, 200),
    "GET /log": Row(403, 200, 403, 200),
    "GET /log/inclusion": Row(403, 200, 403, 200),
    "GET /log/consistency": Row(403, 200, 403, 200),
    "GET /log/keys": Row(200, 200, 200, 200),
    "POST /log/verify": Row(403, 403, 403, 200, {}),
}
