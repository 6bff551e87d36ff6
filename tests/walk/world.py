"""One row of everything in ``credit``, and the request that each route is asked with."""

from __future__ import annotations

import json
from typing import Any

from allauth.mfa.models import Authenticator
from django.test import Client
from django.utils import timezone

from governance.models import Approval, Condition
from governance.notices.models import Webhook
from governance.policy import builtin
from governance.policymaking.models import PolicyDraft
from governance.policymaking.texts import text_of
from governance.risk import questionnaire
from governance.services import reviews
from governance.waivers import services as waivers
from security.access.models import RoleGrant
from security.access.table import Role
from security.identity.models import User
from security.identity.services import create_token, create_user
from security.log.models import AuditEvent
from security.workload.models import Trust
from tests.support import api as support
from tests.support import catalogues, risk
from tests.support.catalogues import soon
from tests.support.documents import make_export
from tests.support.models import make_model_version
from tests.support.people import PASSWORD, People
from tests.walk.routes import API

SIGNED = {"decision": "approve", "reason": "Checked.", "password": PASSWORD}
ATTESTED = {"statement": "met", "text": "Seen.", "password": PASSWORD}
REVOKED = {"reason": "No longer.", "password": PASSWORD}
PERSON = {"username": "paula", "full_name": "Paula Person", "password": "a long enough passphrase"}
SPEC = support.SPEC % {"name": "another"}
POLICY = {"text": text_of(builtin("high"))}
WAIVED = {"part": "slice_metrics", "reason": "In a week.", "control": "A clerk reads each.", "days": 7}
ASSIGNED = {"policy": "financial-model-risk", "reason": "It prices loans.", "password": PASSWORD}

ANSWERED = {f"q_{question}": given for question, given in risk.LOW.items()}
SCORED = {"title": "It drifts", "likelihood": 2, "impact": 4, "treatment": "reduce", "owner": "olga"}
SCORES = SCORED | {"residual_likelihood": 2, "residual_impact": 4}
BORNE = {"until": risk.in_a_month().isoformat(), "reason": "Small.", "password": PASSWORD, "seen": 1}
WRONG = {"title": "Wrong refusals", "severity": "serious", "what": "Twelve were refused."}

_CONTROL = "/systems/<slug:slug>/frameworks/<slug:key>/controls/<str:identifier>/"
# What is sent, where an empty body would end before the question of access: pages as forms, the API as JSON.
BODIES: dict[str, Any] = {
    "POST /people/new/": PERSON,
    "POST /people/<uuid:pk>/": {"role": "auditor"},
    "POST /people/<uuid:pk>/password/": {"password": "a long enough passphrase"},
    "POST /systems/new/": {"slug": "fresh", "name": "Fresh"},
    "POST /systems/<slug:slug>/change/": {"name": "Credit", "purpose": ""},
    "POST /questionnaire/": {"text": questionnaire.builtin_text().replace("medium: 30", "medium: 20")},
    "POST /systems/<slug:slug>/risk/profile/": risk.DESCRIBED | {"data_categories": "none"},
    "POST /systems/<slug:slug>/risk/answer/": ANSWERED | {"questionnaire": questionnaire.builtin().digest},
    "POST /systems/<slug:slug>/risks/new/": SCORES | {"source": "person"},
    "POST /systems/<slug:slug>/incidents/new/": WRONG,
    "POST /assessments/<uuid:pk>/sign/": REVOKED,
    "POST /risks/<uuid:pk>/": SCORES | {"seen": 1},
    "POST /risks/<uuid:pk>/accept/": BORNE,
    "POST /incidents/<uuid:pk>/note/": {"what": "It goes on."},
    "POST /incidents/<uuid:pk>/close/": {"what": "Mended.", "password": PASSWORD},
    "POST /settings/": {"name": "laptop", "scopes": ["read"], "days": "7"},
    "POST /settings/password/": {"current": PASSWORD, "password": "a quite different long phrase"},
    "POST /settings/second-factor/<int:pk>/remove/": {"password": PASSWORD},
    "POST /settings/second-factor/recovery-codes/": {"password": PASSWORD},
    "POST /pipelines/new/": {"system": "credit", "spec": SPEC, "text": SPEC},
    "POST /models/import/": {"system": "credit"},
    "POST /model-versions/<uuid:pk>/submit/": {"note": "please"},
    "POST /reviews/<uuid:pk>/vote/": SIGNED,
    "POST /approvals/<uuid:pk>/revoke/": REVOKED,
    "POST /reports/new/<slug:slug>/<slug:kind>/": lambda world: {
        "subject": str(world.rows.model_version.pk),
        "format": "json",
        "purpose": "audit",
    },
    "POST /systems/<slug:slug>/webhooks/": {"url": "https://hooks.example/x", "events": ["review:submitted"]},
    f"POST {_CONTROL}attest/": {**ATTESTED, "valid_until": soon().date().isoformat()},
    "POST /attestations/<uuid:pk>/withdraw/": REVOKED,
    f"POST {API}/attestations": {
        **ATTESTED,
        "valid_until": soon().isoformat(),
        "system": "credit",
        "catalogue": "nist-ai-rmf",
        "control": "govern-1.1",
    },
    f"POST {API}/attestations/{{id}}/withdraw": REVOKED,
    "POST /approvals/<uuid:pk>/suspend/": REVOKED,
    "POST /conditions/<uuid:pk>/report/": {"note": "Done."},
    "POST /conditions/<uuid:pk>/send-back/": {"note": "Not done."},
    "POST /conditions/<uuid:pk>/confirm/": REVOKED,
    f"POST {API}/approvals/{{id}}/suspend": REVOKED,
    f"POST {API}/conditions/{{id}}/report": {"note": "Done."},
    f"POST {API}/conditions/{{id}}/send-back": {"note": "Not done."},
    f"POST {API}/conditions/{{id}}/confirm": REVOKED,
    "POST /model-versions/<uuid:pk>/waivers/new/": WAIVED,
    "POST /waivers/<uuid:pk>/decide/": SIGNED,
    "POST /waivers/<uuid:pk>/end/": REVOKED,
    f"POST {API}/model-versions/{{id}}/waivers": WAIVED,
    f"POST {API}/waivers/{{id}}/decide": SIGNED,
    f"POST {API}/waivers/{{id}}/end": REVOKED,
    "POST /policies/drafts/new/": POLICY,
    "POST /policies/drafts/<uuid:pk>/text/": POLICY,
    "POST /policies/drafts/<uuid:pk>/sign/": REVOKED,
    "POST /systems/<slug:slug>/policy/": ASSIGNED,
    f"POST {API}/policy-drafts": POLICY,
    f"POST {API}/policy-drafts/{{id}}/change": POLICY,
    f"POST {API}/policy-drafts/{{id}}/signatures": REVOKED,
    f"POST {API}/systems/{{slug}}/policy": ASSIGNED,
    f"POST {API}/tokens": {"name": "ci", "scopes": ["read"]},
    f"POST {API}/people": PERSON,
    f"POST {API}/grants": {"person": "nina", "role": "auditor", "system": "credit"},
    f"POST {API}/systems": {"slug": "fresh", "name": "Fresh"},
    f"POST {API}/trusts": {
        "system": "credit",
        "service": "robot",
        "issuer": "github",
        "subject": "repo:o/r:x",
        "scopes": ["run"],
    },
    f"POST {API}/webhooks": {"system": "credit", "url": "https://hooks.example/x", "events": ["review:submitted"]},
    f"POST {API}/runs": lambda world: {"version": str(world.rows.version.pk)},
    f"POST {API}/external-models": lambda world: {**support.EXTERNAL, "sha256": world.rows.artifact.digest},
    f"POST {API}/model-versions/{{id}}/submit": {"note": "please"},
    f"POST {API}/reviews/{{id}}/votes": SIGNED,
    f"POST {API}/approvals/{{id}}/revoke": REVOKED,
    f"POST {API}/exports": lambda world: {
        "kind": "model-card",
        "subject": str(world.rows.model_version.pk),
        "format": "json",
        "purpose": "audit",
    },
    f"POST {API}/questionnaires": {"text": questionnaire.builtin_text().replace("medium: 30", "medium: 20")},
    f"POST {API}/systems/{{slug}}/profiles": risk.DESCRIBED,
    f"POST {API}/systems/{{slug}}/assessments": {"answers": risk.LOW},
    f"POST {API}/systems/{{slug}}/tier-changes": {"tier": "high", "reason": "An incident."},
    f"POST {API}/systems/{{slug}}/risks": SCORED | {"source": "person"},
    f"POST {API}/systems/{{slug}}/incidents": WRONG,
    f"POST {API}/assessments/{{id}}/sign": REVOKED,
    f"POST {API}/risks/{{id}}/revisions": SCORED | {"seen": 1},
    f"POST {API}/risks/{{id}}/accept": BORNE,
    f"POST {API}/incidents/{{id}}/entries": {"what": "It goes on."},
    f"POST {API}/incidents/{{id}}/close": {"what": "Mended.", "password": PASSWORD},
}
FILE = f"POST {API}/model-files"
YAML = (f"POST {API}/pipelines", f"POST {API}/pipelines/check")


class World:
    """``mine(user)`` are rows that belong to a person rather than to a system."""

    def __init__(self, people: People) -> None:
        self.people = people
        self.rows = support.Rows(people.system, people.engineer)
        self.review = reviews.submit(acting_user=people.engineer, model_version=self._version())
        decided = reviews.submit(acting_user=people.engineer, model_version=self._version())
        condition = {"text": "Watch it.", "owner": people.owner.username, "due": timezone.now().date()}
        for voter, conditions in ((people.validator, [condition]), (people.risk_officer, [])):
            signed = {"decision": "approve", "reason": "Good.", "password": PASSWORD, "conditions": conditions}
            reviews.vote(acting_user=voter, review=decided, **signed)
        self.approval = Approval.objects.get(review=decided)
        self.export = make_export(people.auditor, "model-inventory", people.system.slug)
        self.condition = Condition.objects.get(review=decided)
        self.submittable = self._version()
        risk.describe(people.owner, people.system)
        self.assessment = risk.answer(people.owner, people.system)
        self.risk = risk.open_risk(people.engineer, people.system, likelihood=2, impact=4).risk
        self.incident = risk.report(people.engineer, people.system, model_version=self.submittable)
        self.catalogue = catalogues.builtin()
        self.attestation = catalogues.attested(people.owner, people.system)
        self.broken = make_model_version(people.system, people.engineer, verdict="fail")
        self.waiver = waivers.request(
            acting_user=people.engineer, model_version=self.broken, **{**WAIVED, "part": "holdout_metrics"}
        )
        policy = builtin("high")
        self.draft = PolicyDraft.objects.create(
            name="high", text=POLICY["text"], content=policy.content(), digest=policy.digest, author=people.admin
        )
        self.rows.pipeline = self.rows.new_pipeline("walked")  # the models' own has no specification to show
        self.rows.version = self.rows.pipeline.versions.get()
        self.service = create_user(
            acting_user=people.admin, username="robot", full_name="Robot", password=None, is_service=True
        )
        self.token = create_token(acting_user=people.admin, user=self.service, name="x", scopes=["read"])[0]
        self.trust = Trust.objects.create(
            service=self.service, system=people.system, issuer="github", subject="repo:o/r:x", created_by=people.admin
        )
        self.webhook = Webhook.objects.create(
            system=people.system, url="https://hooks.example/x", events=[], created_by=people.owner
        )
        self.grant = RoleGrant.objects.get(user=people.owner)
        self.event = AuditEvent.objects.filter(system="credit").order_by("index").first()
        self.factor = Authenticator.objects.create(user=people.nobody, type="totp", data={"secret": "x"})

    def _version(self) -> Any:
        return make_model_version(self.people.system, self.people.engineer)

    def address(self, route: str) -> str:
        """The route with the ids of this world in it."""
        path = route.removeprefix(API) if route.startswith(API) else route
        for mark, value in self._ids(path).items():
            route = route.replace(mark, str(value))
        asked = {
            "/compare": f"?with={self.rows.version.pk}",
            "/log/inclusion": "?index=0",
            "/gate": f"?digest={'0' * 64}&environment=production",
            "/log/consistency": "?old=1",
        }
        route += next((query for part, query in asked.items() if part in route), "")
        return route

    def _ids(self, path: str) -> dict[str, Any]:
        marks = {
            "{slug}": "credit", "<slug:slug>": "credit", "{name}": "train", "<slug:name>": "train", "{number}": 1,
            "{index}": self.event.index, "<int:index>": self.event.index, "<slug:provider_id>": "oidc",
            "<slug:organization_slug>": "saml", "<int:link>": 1,
            "<slug:kind>": "model-card", "<path:rest>": "0/000.p/1",
            "<slug:key>": "nist-ai-rmf", "<str:identifier>": "govern-1.1",
        }  # fmt: skip
        subject = next((one for start, one in self._subjects() if path.startswith(start)), None)
        if subject is not None:
            marks |= {"{id}": subject, "<uuid:pk>": subject, "<int:pk>": subject}
        return marks

    def _subjects(self) -> list[tuple[str, Any]]:
        """What the id in an address names, by how the address begins; the first that fits."""
        rows = self.rows
        return [
            ("/steps/", "train.sklearn@1"),
            ("/settings/tokens/", self.token.pk),
            ("/settings/", self.factor.pk),
            ("/tokens/", self.token.pk),
            ("/people/", self.people.nobody.pk),
            ("/grants/", self.grant.pk),
            ("/systems/<slug:slug>/webhooks/", self.webhook.pk),
            ("/systems/", self.trust.pk),
            ("/trusts/", self.trust.pk),
            ("/webhooks/", self.webhook.pk),
            ("/policies/drafts/", self.draft.pk),
            ("/policies/", decided_policy(self.approval)),
            ("/policy-drafts/", self.draft.pk),
            ("/pipelines/", rows.pipeline.pk),
            ("/pipeline-versions/", rows.version.pk),
            ("/runs/", rows.run.pk),
            ("/artifacts/", rows.artifact.pk),
            ("/lineage/", rows.artifact.pk),
            ("/datasets/", rows.dataset.pk),
            ("/dataset-versions/", rows.dataset_version.pk),
            ("/evidence/", rows.evidence.pk),
            ("/models/", rows.model.pk),
            ("/model-versions/{id}/submit", self.submittable.pk),
            ("/model-versions/<uuid:pk>/submit", self.submittable.pk),
            ("/model-versions/{id}/waivers", self.broken.pk),
            ("/model-versions/<uuid:pk>/waivers", self.broken.pk),
            ("/waivers/", self.waiver.pk),
            ("/model-versions/", rows.model_version.pk),
            ("/reviews/", self.review.pk),
            ("/statements/", decided_statement(self.approval)),
            ("/conditions/", self.condition.pk),
            ("/approvals/", self.approval.pk),
            ("/reports/", self.export.pk),
            ("/exports/", self.export.pk),
            ("/assessments/", self.assessment.pk),
            ("/risks/", self.risk.pk),
            ("/incidents/", self.incident.pk),
            ("/catalogues/", self.catalogue.pk),
            ("/attestations/", self.attestation.pk),
        ]

    def ask(self, client: Client, headers: dict[str, str], name: str) -> Any:
        """The request of one row of the table."""
        method, route = name.split(" ", 1)
        address = self.address(route)
        if method == "GET":
            return client.get(address, headers=headers)
        if name in YAML:
            query = "?system=credit" if name == YAML[0] else ""
            return client.generic("POST", address + query, SPEC, "text/yaml", headers=headers)
        if name == FILE:
            return client.generic(
                "POST", f"{address}?system=credit", support.MODEL_FILE, support.BYTES, headers=headers
            )
        body = BODIES.get(name, {})
        body = body(self) if callable(body) else body
        if route.startswith(API):
            return client.generic(method, address, json.dumps(body), "application/json", headers=headers)
        return client.post(address, body, headers=headers)


def decided_statement(approval: Approval) -> Any:
    """The statement of one of its votes."""
    return approval.review.votes.values_list("statement", flat=True)[0]


def decided_policy(approval: Approval) -> Any:
    """The policy version that an approval was issued under."""
    return approval.review.policy_version_id


def visitor(people: People, role: str, system: Any) -> tuple[Client, dict[str, str]]:
    """Somebody who holds ``role`` in ``system`` only: a person's session, a service's token of every scope."""
    service = role == Role.SERVICE
    user = create_user(
        acting_user=None, username=f"w-{role}-{system.slug}", full_name="Walker", password=None, is_service=service
    )
    if not service:
        User.objects.filter(pk=user.pk).update(password=people.nobody.password)
        user.refresh_from_db()
    RoleGrant.objects.create(user=user, role=role, system=system, granted_by=people.admin)
    client = Client()
    if not service:
        client.force_login(user)
        return client, {}
    scopes = list(support.ALL_SCOPES)
    text = create_token(acting_user=people.admin, user=user, name="walk", scopes=scopes)[1]
    return client, {"Authorization": f"Bearer {text}"}
