"""Registering, running, submitting, people, roles and tokens through the API; each with its audit event."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from governance.models import Vote
from pipelines.models import Run, RunState, StepState
from security.identity.models import ApiToken
from security.log.events import Event
from security.log.models import AuditEvent
from tests.support.api import SPEC, Api, Rows
from tests.support.models import make_model_version
from tests.support.people import PASSWORD, People


def events(kind: Event) -> int:
    return AuditEvent.objects.filter(event=kind).count()


def yaml(api: Api, text: str, path: str = "pipelines?system=credit"):
    return api.post(path, text, type="application/yaml")


# --------------------------------------------------------------------------------------------------- pipelines


def test_a_spec_is_registered_once_and_a_change_is_a_new_version(api: Api, people: People):
    first = yaml(api, SPEC % {"name": "loans"})
    assert first.status_code == 201
    assert first["Location"] == f"/api/v1/pipeline-versions/{first.json()['id']}"
    again = yaml(api, "# a comment\n" + SPEC % {"name": "loans"})
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    changed = yaml(api, (SPEC % {"name": "loans"}).replace("title: Tiny", "title: Larger"))
    assert (changed.status_code, changed.json()["number"]) == (201, 2)
    assert events(Event.PIPELINE_VERSION_REGISTERED) == 2
    pipeline = first.json()["pipeline"]["id"]
    assert [one["number"] for one in api.get(f"pipelines/{pipeline}/versions").json()["results"]] == [2, 1]
    assert api.get(f"pipelines/{pipeline}").json()["latest"]["number"] == 2


@pytest.mark.parametrize("body", [{"system": "credit", "spec": SPEC % {"name": "x"}}, {"spec": SPEC % {"name": "x"}}])
def test_a_spec_can_come_inside_json(body, api: Api):
    where = "pipelines" if "system" in body else "pipelines?system=credit"
    assert api.post(where, body).status_code == 201


def test_a_spec_needs_a_system_to_belong_to(api: Api):
    answer = yaml(api, SPEC % {"name": "x"}, "pipelines")
    assert (answer.status_code, answer.json()["field"]) == (422, "system")


def test_a_check_stores_nothing_and_names_the_digest_that_registering_would_give(api: Api):
    checked = yaml(api, SPEC % {"name": "x"}, "pipelines/check")
    assert checked.status_code == 200
    assert api.get("pipelines").json()["count"] == 0
    assert yaml(api, SPEC % {"name": "x"}).json()["digest"] == checked.json()["digest"]


@pytest.mark.parametrize("ask", [{"format": "yaml"}, {"headers": {"Accept": "application/yaml"}}])
def test_a_version_gives_back_the_text_it_was_registered_with(ask, api: Api):
    text = "# mine\n" + SPEC % {"name": "x"}
    made = yaml(api, text).json()
    answer = api.get(f"pipeline-versions/{made['id']}", **ask)
    assert answer["Content-Type"].startswith("application/yaml")
    assert answer.content.decode() == text


def test_two_versions_are_compared_step_by_step(api: Api):
    old = yaml(api, SPEC % {"name": "x"}).json()
    new = yaml(api, (SPEC % {"name": "x"}).replace("target: label", "target: other")).json()
    body = api.get(f"pipeline-versions/{old['id']}/compare", **{"with": new["id"]}).json()
    change = {
        "path": "steps.train.with.target",
        "kind": "changed",
        "step": "train",
        "before": "label",
        "after": "other",
    }
    assert body["changes"] == [change]


# --------------------------------------------------------------------------------------------------------- runs


@pytest.mark.parametrize("by", ["version", "pipeline"])
def test_a_run_is_started_with_its_parameters_and_seed(by: str, api: Api, rows: Rows):
    named = {"version": str(rows.version.pk)} if by == "version" else {"pipeline": str(rows.pipeline.pk)}
    answer = api.post("runs", {**named, "parameters": {"source": "other.csv"}, "seed": 7})
    assert answer.status_code == 201
    body = answer.json()
    assert (body["state"], body["seed"], body["parameters"]) == ("queued", 7, {"source": "other.csv"})
    assert [(step["name"], step["state"]) for step in body["steps"]] == [("load", "queued"), ("train", "waiting")]
    assert body["steps"][1]["needs"] == {"table": "load.table"}
    assert api.get(answer["Location"]).json()["id"] == body["id"]


def test_a_run_is_cancelled_once_and_can_be_retried(api: Api, rows: Rows):
    cancelled = api.post(f"runs/{rows.run.pk}/cancel").json()
    assert (cancelled["state"], events(Event.RUN_CANCEL_REQUESTED)) == ("cancelled", 1)
    again = api.post(f"runs/{rows.run.pk}/cancel")
    assert (again.status_code, again.json()["title"]) == (409, "Not possible in the present state")
    assert api.post(f"runs/{rows.run.pk}/retry").json()["state"] in ("queued", "running")
    assert events(Event.RUN_RETRIED) == 1


def test_a_failed_step_tells_why_where_and_how_far_it_was(api: Api, rows: Rows):
    error = {"kind": "step", "message": "The file has no rows.", "param": "path", "details": {"lines": 1}}
    progress = {"done": 5, "total": None, "note": "reading", "at": "2026-11-21T06:50:48Z"}
    rows.run.steps.filter(name="load").update(state=StepState.FAILED, error=error, progress=progress, log="one\ntwo")
    Run.objects.filter(pk=rows.run.pk).update(state=RunState.FAILED)
    run = api.get(f"runs/{rows.run.pk}").json()
    assert (run["steps_failed"], run["steps"][0]["error"]) == (1, error)
    assert run["steps"][0]["progress"] == {"done": 5, "total": None, "note": "reading"}
    assert "log" not in run["steps"][0]
    assert api.get(f"runs/{rows.run.pk}/steps/load").json()["log"] == "one\ntwo"


# --------------------------------------------------------------------------------------------- reviews and votes


def test_a_model_is_submitted_by_its_engineer_and_decided_by_others_who_sign_in(api: Api, people: People):
    version = make_model_version(people.system, people.engineer)
    made = api.post(f"model-versions/{version.pk}/submit", {"note": "ready"})
    assert made.status_code == 201
    review = made.json()
    assert (review["state"], review["gates_passed"]) == ("in-review", review["gates_total"])
    assert review["decision"]["why_not"]
    signature = {"decision": "approve", "reason": "the evidence holds", "password": PASSWORD}
    for voter in (people.validator, people.risk_officer):
        signed = Api(voter, session=True).post(f"reviews/{review['id']}/votes", signature)
        assert (signed.status_code, signed.json()["printed_name"]) == (201, voter.full_name)
        assert PASSWORD not in signed.content.decode()
    done = api.get(made["Location"]).json()
    assert (done["state"], done["approval"]["status"]) == ("approved", "active")
    assert len(done["votes"]) == 2
    approval = api.get("approvals").json()["results"][0]
    ended = Api(people.risk_officer, session=True).post(
        f"approvals/{approval['id']}/revoke", {"reason": "drift", "password": PASSWORD}
    )
    assert ended.json()["status"] == "revoked"


@pytest.mark.parametrize("who", ["engineer", "validator", "auditor"])
def test_the_builder_and_every_token_are_refused_a_vote_with_a_sentence(who: str, people: People, api: Api):
    version = make_model_version(people.system, people.engineer)
    review = api.post(f"model-versions/{version.pk}/submit", {}).json()
    client = Api(people.engineer, session=True) if who == "engineer" else Api(getattr(people, who))
    answer = client.post(f"reviews/{review['id']}/votes", {"decision": "approve", "reason": "x", "password": PASSWORD})
    assert answer.status_code == 403
    assert len(answer.json()["detail"]) > 20
    assert not Vote.objects.exists()


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "one"}])
def test_a_wrong_password_is_on_record_with_and_without_an_idempotency_key(key, people: People, api: Api):
    version = make_model_version(people.system, people.engineer)
    review = api.post(f"model-versions/{version.pk}/submit", {}).json()
    session = Api(people.validator, session=True)
    body = {"decision": "approve", "reason": "x", "password": "not this one"}
    answer = session.post(f"reviews/{review['id']}/votes", body, headers=key)
    assert answer.status_code == 403
    assert events(Event.SIGNATURE_REFUSED) == 1


def test_reviews_cost_the_same_number_of_queries_for_3_and_9(people: People, api: Api, django_assert_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def submit(count: int) -> int:
        for _ in range(count):
            version = make_model_version(people.system, people.engineer)
            api.post(f"model-versions/{version.pk}/submit", {})
        with CaptureQueriesContext(connection) as queries:
            answer = api.get("reviews")
        assert answer.json()["count"] >= count
        return len(queries)

    assert submit(3) == submit(6)


def test_coverage_counts_the_outcomes_and_names_the_evidence(people: People, api: Api):
    version = make_model_version(people.system, people.engineer)
    body = api.get(f"model-versions/{version.pk}/coverage").json()
    assert sum(body["counts"].values()) == len(body["results"]) == 72
    backed = [row for row in body["results"] if row["state"] == "supported"]
    assert backed
    assert all(row["evidence"] for row in backed)


@pytest.mark.parametrize(
    ("query", "kinds"), [({"direction": "up"}, {"source", "dataset"}), ({"direction": "down"}, set())]
)
def test_lineage_goes_up_to_the_source_file(query, kinds, people: People, api: Api):
    version = make_model_version(people.system, people.engineer)
    body = api.get(f"model-versions/{version.pk}/lineage", **query).json()
    found = {node["kind"] for node in body["nodes"]}
    assert kinds <= found
    assert ("source" in found) == (query["direction"] == "up")
    assert {edge["from"] for edge in body["edges"]} <= {node["id"] for node in body["nodes"]}


@pytest.mark.parametrize("query", [{"depth": 0}, {"depth": 101}, {"depth": "x"}, {"direction": "sideways"}])
def test_lineage_refuses_what_it_cannot_walk(query, people: People, api: Api, rows: Rows):
    assert api.get(f"artifacts/{rows.artifact.pk}/lineage", **query).status_code == 422


# ------------------------------------------------------------------------------------- people, roles and tokens


def test_an_administrator_creates_people_and_nobody_reads_their_password(admin: Api):
    body = {"username": "paula", "full_name": "Paula Person", "password": "a long enough passphrase"}
    made = admin.post("people", body)
    assert made.status_code == 201
    assert "password" not in made.json()
    weak = admin.post("people", {**body, "username": "pia", "password": "short"})
    assert (weak.status_code, weak.json()["field"]) == (422, "password")
    assert "short" not in weak.json()["detail"].replace("too short", "")
    assert admin.post("people", body).status_code == 422  # the name is taken


def test_a_deactivated_person_is_out_at_once(admin: Api, people: People):
    theirs = Api(people.second_engineer)
    assert theirs.get("me").status_code == 200
    admin.post(f"people/{people.second_engineer.pk}/deactivate")
    assert theirs.get("me").status_code == 401


def test_a_role_is_granted_to_others_only_and_ends_when_revoked(admin: Api, people: People):
    assert admin.post("grants", {"person": "admin", "role": "engineer"}).status_code == 403
    made = admin.post("grants", {"person": "nina", "role": "auditor", "system": "credit"}).json()
    nina = Api(people.nobody)
    assert nina.get("systems").json()["count"] == 1
    assert admin.post("grants", {"person": "nina", "role": "auditor", "system": "credit"}).status_code == 409
    assert admin.post(f"grants/{made['id']}/revoke").json()["state"] == "revoked"
    assert nina.get("systems").json()["count"] == 0


def test_an_administrator_makes_a_token_for_a_service_and_for_nobody_else(admin: Api, people: People):
    admin.post("people", {"username": "ci", "full_name": "CI", "is_service": True})
    made = admin.post("tokens", {"name": "ci", "scopes": ["run"], "person": "ci"})
    assert made.status_code == 201
    refused = admin.post("tokens", {"name": "x", "scopes": ["run"], "person": "erin"})
    assert refused.status_code == 403


def test_a_token_s_secret_is_shown_once_and_only_its_hash_is_kept(people: People):
    session = Api(people.engineer, session=True)
    text = session.post("tokens", {"name": "ci", "scopes": ["read"]}).json()["text"]
    _, key, secret = text.split("_", 2)
    stored = ApiToken.objects.get(key=key)
    assert secret not in repr(vars(stored))
    assert secret not in session.get("tokens").content.decode()
    assert not AuditEvent.objects.filter(entry__contains=secret).exists()


class TestTokens:
    """What a bearer token opens and what it does not."""

    def bearer(self, text: str):
        api = Api()
        api.headers["Authorization"] = text
        return api.get("me")

    def made(self, people: People, **more) -> tuple[Api, str]:
        api = Api(people.engineer, **more)
        return api, api.headers["Authorization"]

    def test_a_live_token_says_who_it_acts_for_and_what_it_may(self, people: People):
        api, _ = self.made(people, scopes=["read"])
        body = api.get("me").json()
        assert body["person"]["username"] == "erin"
        assert body["token"]["scopes"] == ["read"]
        (role,) = [one for one in body["roles"] if (one["role"], one["system"]) == ("engineer", "credit")]
        assert timezone.now() < datetime.fromisoformat(role["expires_at"]) < timezone.now() + timedelta(days=366)

    @pytest.mark.parametrize("change", ["expired", "revoked", "secret", "key", "prefix", "scheme", "empty", "odd"])
    def test_anything_else_is_401_with_the_same_words(self, change: str, people: People):
        api, text = self.made(people)
        head, key, secret = text.removeprefix("Bearer ").split("_", 2)
        if change == "expired":
            api.end_token(at=timezone.now() - timedelta(seconds=1))
        elif change == "revoked":
            api.post(f"tokens/{api.token.pk}/revoke")
        given = {
            "secret": f"Bearer {head}_{key}_{secret[:-1]}{'A' if secret[-1] != 'A' else 'B'}",
            "key": f"Bearer {head}_{'0' * 16}_{secret}",
            "prefix": f"Bearer xx_{key}_{secret}",
            "scheme": f"Basic {head}_{key}_{secret}",
            "empty": "Bearer ",
            "odd": "Bearer \x00\xff_é",
        }.get(change, text)
        answer = self.bearer(given)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == 'Bearer realm="countersign"'
        if change != "scheme":
            assert answer.json()["detail"].startswith("The token is unknown, expired or revoked.")

    def test_a_scope_that_does_not_cover_the_action_is_403_and_says_so(self, people: People, rows: Rows):
        api, _ = self.made(people, scopes=["read"])
        answer = api.post("runs", {"version": str(rows.version.pk)})
        assert answer.status_code == 403
        assert "scopes (read) do not cover" in answer.json()["detail"]
        runner, _ = self.made(people, scopes=["run"])
        assert runner.post("runs", {"version": str(rows.version.pk)}).status_code == 201
        assert runner.get(f"artifacts/{rows.artifact.pk}/content").status_code == 403

    def test_a_token_does_not_outlive_the_role_of_its_person(self, people: People, rows: Rows, admin: Api):
        api, _ = self.made(people)
        grant = people.engineer.grants.get()
        admin.post(f"grants/{grant.pk}/revoke")
        assert api.get(f"runs/{rows.run.pk}").status_code == 404

    def test_a_token_revokes_itself_but_makes_no_other(self, people: People):
        api, text = self.made(people)
        assert api.post("tokens", {"name": "more", "scopes": ["read"]}).status_code == 403
        assert api.post(f"tokens/{api.token.pk}/revoke").json()["state"] == "revoked"
        assert self.bearer(text).status_code == 401
