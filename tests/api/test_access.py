"""Every operation of the schema × who asks, against ``access_table``; an operation without a row fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction
from drf_spectacular.generators import SchemaGenerator

from governance.models import Approval, Review
from governance.notices.models import Webhook
from governance.policy import builtin
from governance.policymaking.models import PolicyDraft
from governance.policymaking.texts import text_of
from governance.services import reviews
from governance.waivers import services as waivers
from governance.waivers.models import Waiver
from security.access.models import RoleGrant
from security.identity.services import create_token, create_user
from security.log.models import AuditEvent
from security.workload.models import Trust
from tests.api.access_table import SPEC, TABLE
from tests.support import api as support
from tests.support import risk
from tests.support.api import PROBLEM, Api
from tests.support.models import make_model_version
from tests.support.people import PASSWORD, People

PREFIX = "/api/v1"


class World:
    """One row of everything in ``credit``, made when an operation asks for it."""

    def __init__(self, people: People) -> None:
        self.people = people
        self.rows = support.Rows(people.system, people.engineer)

    def review(self) -> Review:
        version = make_model_version(self.people.system, self.people.engineer)
        return reviews.submit(acting_user=self.people.engineer, model_version=version)

    def approval(self) -> Approval:
        review = self.review()
        for voter in (self.people.validator, self.people.risk_officer):
            reviews.vote(acting_user=voter, review=review, decision="approve", reason="good", password=PASSWORD)
        return Approval.objects.get(review=review)

    def draft(self) -> PolicyDraft:
        policy = builtin("high")
        given = {"content": policy.content(), "digest": policy.digest, "author": self.people.admin}
        return PolicyDraft.objects.create(name="high", text=text_of(policy), **given)

    def broken(self) -> Any:
        return make_model_version(self.people.system, self.people.engineer, verdict="fail")

    def waiver(self) -> Waiver:
        given = {"part": "holdout_metrics", "reason": "soon", "control": "a clerk", "days": 7}
        return waivers.request(acting_user=self.people.engineer, model_version=self.broken(), **given)

    def service_token(self) -> Any:
        service = create_user(
            acting_user=self.people.admin, username="ci", full_name="CI", password=None, is_service=True
        )
        return create_token(acting_user=self.people.admin, user=service, name="x", scopes=["read"])[0]

    def trust(self) -> Trust:
        admin, system = self.people.admin, self.people.system
        return Trust.objects.create(service=admin, system=system, issuer="github", subject="x", created_by=admin)

    def webhook(self) -> Webhook:
        return Webhook.objects.create(
            system=self.people.system, url="https://hooks.example/x", events=[], created_by=self.people.owner
        )

    def assessment(self) -> Any:
        return risk.answer(self.people.owner, self.people.system)

    def risk(self) -> Any:
        return risk.open_risk(self.people.engineer, self.people.system, likelihood=2, impact=4).risk

    def incident(self) -> Any:
        return risk.report(self.people.engineer, self.people.system)

    def submittable(self) -> Any:
        return make_model_version(self.people.system, self.people.engineer)


OF_A_SYSTEM = [
    f"/systems/{{slug}}/{part}" for part in ("risk", "profiles", "assessments", "tier-changes", "risks", "incidents")
]
IDS: dict[str, Callable[[World], Any]] = {
    "/steps/{id}": lambda w: "train.sklearn@1",
    "/tokens/{id}/revoke": lambda w: w.service_token().pk,
    "/people/{id}/deactivate": lambda w: w.people.nobody.pk,
    "/grants/{id}/revoke": lambda w: RoleGrant.objects.get(user=w.people.owner).pk,
    "/trusts/{id}/revoke": lambda w: w.trust().pk,
    "/webhooks/{id}/revoke": lambda w: w.webhook().pk,
    "/systems/{slug}": lambda w: "credit",
    "/pipelines/{id}": lambda w: w.rows.pipeline.pk,
    "/pipelines/{id}/versions": lambda w: w.rows.pipeline.pk,
    "/pipeline-versions/{id}": lambda w: w.rows.version.pk,
    "/pipeline-versions/{id}/compare": lambda w: w.rows.version.pk,
    "/runs/{id}": lambda w: w.rows.run.pk,
    "/runs/{id}/cancel": lambda w: w.rows.run.pk,
    "/runs/{id}/retry": lambda w: w.rows.run.pk,
    "/runs/{id}/steps/{name}": lambda w: w.rows.run.pk,
    "/artifacts/{id}": lambda w: w.rows.artifact.pk,
    "/artifacts/{id}/content": lambda w: w.rows.artifact.pk,
    "/artifacts/{id}/opening": lambda w: w.rows.artifact.pk,
    "/artifacts/{id}/shred": lambda w: w.rows.artifact.pk,
    "/artifacts/{id}/receipt": lambda w: w.rows.artifact.pk,
    "/artifacts/{id}/lineage": lambda w: w.rows.artifact.pk,
    "/datasets/{id}": lambda w: w.rows.dataset.pk,
    "/evidence/{id}": lambda w: w.rows.evidence.pk,
    "/models/{id}": lambda w: w.rows.model.pk,
    "/model-versions/{id}": lambda w: w.rows.model_version.pk,
    "/model-versions/{id}/lineage": lambda w: w.rows.model_version.pk,
    "/model-versions/{id}/coverage": lambda w: w.rows.model_version.pk,
    "/model-versions/{id}/bundle": lambda w: w.rows.model_version.pk,
    "/model-versions/{id}/submit": lambda w: w.submittable().pk,
    "/reviews/{id}": lambda w: w.review().pk,
    "/reviews/{id}/votes": lambda w: w.review().pk,
    "/reviews/{id}/withdraw": lambda w: w.review().pk,
    "/approvals/{id}/revoke": lambda w: w.approval().pk,
    "/model-versions/{id}/waivers": lambda w: w.broken().pk,
    "/waivers/{id}": lambda w: w.waiver().pk,
    "/waivers/{id}/decide": lambda w: w.waiver().pk,
    "/waivers/{id}/end": lambda w: w.waiver().pk,
    "/policies/{id}": lambda w: w.review().policy_version_id,
    "/policy-drafts/{id}": lambda w: w.draft().pk,
    "/policy-drafts/{id}/change": lambda w: w.draft().pk,
    "/policy-drafts/{id}/withdraw": lambda w: w.draft().pk,
    "/policy-drafts/{id}/signatures": lambda w: w.draft().pk,
    "/policy-drafts/{id}/simulation": lambda w: w.draft().pk,
    "/systems/{slug}/policy": lambda w: "credit",
    **dict.fromkeys(OF_A_SYSTEM, lambda w: "credit"),
    "/assessments/{id}": lambda w: w.assessment().pk,
    "/assessments/{id}/sign": lambda w: w.assessment().pk,
    "/risks/{id}": lambda w: w.risk().pk,
    "/risks/{id}/revisions": lambda w: w.risk().pk,
    "/risks/{id}/accept": lambda w: w.risk().pk,
    "/incidents/{id}": lambda w: w.incident().pk,
    "/incidents/{id}/entries": lambda w: w.incident().pk,
    "/incidents/{id}/close": lambda w: w.incident().pk,
    "/events/{index}": lambda w: AuditEvent.objects.filter(system="credit").first().index,
    "/events/{index}/receipt": lambda w: AuditEvent.objects.filter(system="credit").first().index,
}
QUERIES: dict[str, Callable[[World], str]] = {
    "/pipeline-versions/{id}/compare": lambda w: f"?with={w.rows.version.pk}",
    "/log/inclusion": lambda w: "?index=0",
    "/log/consistency": lambda w: "?old=1",
}


def operations() -> list[str]:
    """``METHOD /path`` of every operation in the schema."""
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    return [f"{method.upper()} {path.removeprefix(PREFIX)}" for path, item in paths.items() for method in item]


def ask(client: Api, operation: str, world: World, address: str | None = None) -> Any:
    """The request of an operation about the world's rows."""
    method, path = operation.split(" ", 1)
    address = address or addressed(path, world)
    if method == "GET":
        return client.client.get(address, headers=client.headers)
    body = TABLE[operation].body
    if body is SPEC:
        text = support.SPEC % {"name": "another"}
        return client.post(f"{address}?system=credit" if path == "/pipelines" else address, text, type="text/yaml")
    return client.post(address, json.loads(json.dumps(body).replace("{version}", str(world.rows.version.pk))))


def addressed(path: str, world: World) -> str:
    query = QUERIES[path](world) if path in QUERIES else ""
    if path in IDS:
        for name in ("{id}", "{slug}", "{index}"):
            path = path.replace(name, str(IDS[path](world))) if name in path else path
    return PREFIX + path.replace("{name}", "train") + query


def test_every_operation_has_a_row_and_every_row_an_operation():
    assert sorted(operations()) == sorted(TABLE)


@pytest.mark.parametrize("who", ["engineer", "auditor", "outsider", "admin"])
def test_who_gets_which_answer(who: str, people: People):
    world, client = World(people), Api(getattr(people, who), session=who == "admin")
    wrong = {}
    for operation, row in TABLE.items():
        with undone():
            answer = ask(client, operation, world)
            problem = answer.status_code < 400 or answer["Content-Type"] == PROBLEM
            if answer.status_code != getattr(row, who) or not problem:
                wrong[operation] = (answer.status_code, getattr(row, who), "" if answer.streaming else answer.content)
    assert wrong == {}


@pytest.mark.parametrize("who", ["nobody at all", "an expired token"])
def test_nobody_and_an_expired_token_get_401_and_change_nothing(who: str, people: People):
    world = World(people)
    client = Api() if who == "nobody at all" else Api(people.engineer).end_token()
    wrong = {}
    for operation in TABLE:
        with undone():
            address = addressed(operation.split(" ", 1)[1], world)
            before = AuditEvent.objects.count()
            answer = ask(client, operation, world, address)
            asked = answer.get("WWW-Authenticate", "").startswith("Bearer") and answer["Content-Type"] == PROBLEM
            if answer.status_code != 401 or not asked or AuditEvent.objects.count() != before:
                wrong[operation] = (answer.status_code, answer.headers)
    assert wrong == {}


@contextmanager
def undone() -> Iterator[None]:
    """Whatever is done inside is rolled back, so that each operation meets the same rows."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


LISTS = ["systems", "pipelines", "runs", "artifacts", "datasets", "evidence", "models", "model-versions", "reviews"]


@pytest.mark.parametrize("path", LISTS)
def test_a_list_holds_only_what_is_in_my_systems(path: str, people: People):
    mine, _ = support.Rows(people.system, people.engineer), support.Rows(people.other, people.outsider)
    reviews.submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))
    for reader, slug in ((people.auditor, mine.system.slug), (people.outsider, people.other.slug)):
        found = Api(reader).get(path).json()["results"]
        assert {row.get("system", row.get("slug")) for row in found} <= {slug}
    assert Api(people.nobody).get(path).json()["count"] == 0


def test_the_log_shows_an_auditor_their_system_and_an_administrator_everything(people: People):
    support.Rows(people.other, people.outsider)
    theirs = Api(people.auditor).get("events", page_size=200).json()["results"]
    assert {event["system"] for event in theirs} == {"credit"}
    foreign = AuditEvent.objects.filter(system="other").first()
    without = AuditEvent.objects.filter(system="").first()
    for event in (foreign, without):
        assert Api(people.auditor).get(f"events/{event.index}").status_code == 404
    everything = Api(people.admin, session=True).get("events", page_size=200).json()["results"]
    assert {"", "credit", "other"} <= {event["system"] for event in everything}


def test_a_filter_on_a_foreign_system_finds_nothing(people: People):
    support.Rows(people.other, people.outsider)
    assert Api(people.engineer).get("runs", system="other").json()["count"] == 0
    assert Api(people.auditor).get("events", system="other").json()["count"] == 0


def test_two_versions_are_compared_only_when_both_may_be_seen(people: People):
    mine, foreign = support.Rows(people.system, people.engineer), support.Rows(people.other, people.outsider)
    answer = Api(people.engineer).get(f"pipeline-versions/{mine.version.pk}/compare", **{"with": foreign.version.pk})
    assert answer.status_code == 404


def test_a_denial_says_why_and_who_can(people: People):
    rows = support.Rows(people.system, people.engineer)
    body = Api(people.auditor).post("runs", {"version": str(rows.version.pk)}).json()
    assert body["detail"].startswith("This token's scopes") or "Erin Engineer" in body["detail"]
    assert "engineer" in body["roles"]
