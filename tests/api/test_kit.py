"""Pages, ordering, filters, conditional requests, and keys that make POST run once."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from pipelines.models import PipelineVersion, Run
from security.access.models import AISystem
from security.identity.models import ApiToken
from security.log.models import AuditEvent
from security.rest.models import KeptAnswer
from tests.support.api import SPEC, Api, Rows
from tests.support.people import People

KEY = {"Idempotency-Key": "0b5e3d3e-8f2b-4f6a-9a34-3d9f1d6f2a11"}


def test_a_list_is_paged_counted_and_linked(api: Api, rows: Rows):
    for _ in range(4):
        rows.new_run()
    answer = api.get("runs", page=2, page_size=2, ordering="created_at")
    body = answer.json()
    assert (body["count"], len(body["results"])) == (5, 2)
    assert "page=3" in body["next"]
    assert "page=" in body["previous"] or "page_size=2" in body["previous"]
    relations = {part.rpartition('rel="')[2].strip('"') for part in answer["Link"].split(", ")}
    assert relations == {"first", "prev", "next", "last"}
    seen = [run["id"] for page in (1, 2, 3) for run in api.get("runs", page=page, page_size=2).json()["results"]]
    assert len(set(seen)) == 5


def test_ordering_turns_round(api: Api, rows: Rows):
    rows.new_pipeline("alpha")
    names = [one["name"] for one in api.get("pipelines", ordering="name").json()["results"]]
    turned = [one["name"] for one in api.get("pipelines", ordering="-name").json()["results"]]
    assert names == ["alpha", "tiny"] == turned[::-1]


@pytest.mark.parametrize(
    ("path", "matching", "other"),
    [
        ("evidence", {"kind": "performance"}, {"kind": "fairness"}),
        ("evidence", {"verdict": "pass"}, {"verdict": "fail"}),
        ("evidence", {"current": "true"}, {"current": "false"}),
        ("evidence", {"system": "credit"}, {"system": "other"}),
        ("runs", {"state": "queued"}, {"state": "failed"}),
        ("runs", {"created_by": "erin"}, {"created_by": "otto"}),
        ("runs", {"after": "2020-01-01T00:00:00Z"}, {"before": "2020-01-01T00:00:00Z"}),
        ("pipelines", {"name": "tiny"}, {"name": "Tiny"}),
        ("artifacts", {"media_type": "application/x-skops"}, {"media_type": "text/html"}),
    ],
)
def test_a_filter_keeps_what_matches_and_nothing_else(path, matching, other, api: Api, rows: Rows):
    assert api.get(path, **matching).json()["count"] >= 1
    assert api.get(path, **other).json()["count"] == 0


def test_evidence_is_found_by_the_digest_of_its_subject(api: Api, rows: Rows):
    assert api.get("evidence", subject=rows.artifact.digest).json()["count"] == 1
    assert api.get("evidence", subject="0" * 64).json()["count"] == 0


def test_what_has_not_changed_is_304_without_a_body_and_what_has_is_sent(api: Api, rows: Rows):
    first = api.get(f"runs/{rows.run.pk}")
    same = api.get(f"runs/{rows.run.pk}", headers={"If-None-Match": first["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    Run.objects.filter(pk=rows.run.pk).update(state="running")
    changed = api.get(f"runs/{rows.run.pk}", headers={"If-None-Match": first["ETag"]})
    assert (changed.status_code, changed.json()["state"]) == (200, "running")


def test_answers_are_private_and_vary_with_who_asks(api: Api):
    answer = api.get("me")
    assert "private" in answer["Cache-Control"]
    assert {"authorization", "cookie"} <= {name.strip().lower() for name in answer["Vary"].split(",")}


# ------------------------------------------------------------------------------------------- idempotency keys


def test_a_repeated_post_runs_once_and_gives_the_first_answer_again(api: Api, rows: Rows):
    body, before = {"version": str(rows.version.pk)}, Run.objects.count()
    first = api.post("runs", body, headers=KEY)
    again = api.post("runs", body, headers=KEY)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first
    assert again.json() == first.json()
    assert again["Location"] == first["Location"]
    assert Run.objects.count() == before + 1


def test_a_key_in_the_quotes_of_a_structured_header_is_the_same_key(api: Api, rows: Rows):
    body = {"version": str(rows.version.pk)}
    first = api.post("runs", body, headers={"Idempotency-Key": "abc"})
    assert api.post("runs", body, headers={"Idempotency-Key": '"abc"'}).json() == first.json()


def test_a_yaml_body_counts_as_much_as_a_json_one(api: Api):
    send = {"type": "application/yaml", "headers": KEY}
    first = api.post("pipelines?system=credit", SPEC % {"name": "x"}, **send)
    again = api.post("pipelines?system=credit", SPEC % {"name": "x"}, **send)
    assert (first.status_code, again.status_code) == (201, 201)  # the kept answer: not the 200 of “registered already”
    other = api.post("pipelines?system=credit", SPEC % {"name": "y"}, **send)
    assert other.status_code == 422
    assert PipelineVersion.objects.count() == 1


@pytest.mark.parametrize("change", ["body", "path", "token"])
def test_a_key_with_another_request_is_422(change, api: Api, rows: Rows, people: People):
    body = {"version": str(rows.version.pk)}
    api.post("runs", body, headers=KEY)
    if change == "body":
        answer = api.post("runs", {**body, "seed": 2}, headers=KEY)
    elif change == "path":
        answer = api.post(f"runs/{rows.run.pk}/cancel", body, headers=KEY)
    else:
        answer = Api(people.engineer, scopes=["read"]).post("runs", body, headers=KEY)
    assert answer.status_code == 422
    assert answer.json()["type"].endswith("idempotency-key-reused")


def test_keys_of_two_people_have_nothing_to_do_with_each_other(api: Api, rows: Rows, people: People):
    body = {"version": str(rows.version.pk)}
    mine = api.post("runs", body, headers=KEY).json()
    theirs = Api(people.second_engineer).post("runs", body, headers=KEY).json()
    assert mine["id"] != theirs["id"]


def test_a_request_while_the_first_is_carried_out_is_409_and_comes_back_in_a_second(api: Api, rows: Rows, monkeypatch):
    body, inner = {"version": str(rows.version.pk)}, []
    from pipelines.services import runs

    create = runs.create

    def slow(**given):
        inner.append(api.post("runs", body, headers=KEY))
        return create(**given)

    monkeypatch.setattr("pipelines.services.runs.create", slow)
    outer = api.post("runs", body, headers=KEY)
    assert outer.status_code == 201
    assert (inner[0].status_code, inner[0]["Retry-After"]) == (409, "1")
    assert inner[0].json()["type"].endswith("idempotency-key-in-use")


def test_a_refusal_frees_the_key(api: Api, rows: Rows):
    assert api.post("runs", {"version": "x"}, headers=KEY).status_code == 422
    assert not KeptAnswer.objects.exists()
    assert api.post("runs", {"version": str(rows.version.pk)}, headers=KEY).status_code == 201


def test_a_server_that_dies_before_it_answers_has_changed_nothing_and_its_claim_lapses(
    api: Api, rows: Rows, monkeypatch
):
    body, before = {"version": str(rows.version.pk)}, Run.objects.count()
    assert api.post("runs", body, headers=KEY).status_code == 201
    KeptAnswer.objects.update(status=None)
    assert api.post("runs", body, headers=KEY).status_code == 409
    KeptAnswer.objects.update(created_at=timezone.now() - timedelta(seconds=121))
    assert api.post("runs", body, headers=KEY).status_code == 201
    assert Run.objects.count() == before + 2


def test_a_slow_request_whose_claim_was_taken_over_undoes_its_work(api: Api, rows: Rows, monkeypatch):
    from pipelines.services import runs

    create, before = runs.create, (Run.objects.count(), AuditEvent.objects.count())

    def slow(**given):
        made = create(**given)
        KeptAnswer.objects.update(created_at=timezone.now())  # somebody else claimed the key meanwhile
        return made

    monkeypatch.setattr("pipelines.services.runs.create", slow)
    assert api.post("runs", {"version": str(rows.version.pk)}, headers=KEY).status_code == 409
    assert (Run.objects.count(), AuditEvent.objects.count()) == before


def test_an_answer_is_kept_for_a_day(api: Api, rows: Rows):
    body = {"version": str(rows.version.pk)}
    first = api.post("runs", body, headers=KEY).json()
    KeptAnswer.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert api.post("runs", body, headers=KEY).json()["id"] != first["id"]


@pytest.mark.parametrize("key", ["x" * 201, "a\tb", "ü", '""'])
def test_a_key_that_cannot_be_one_is_refused(key, api: Api, rows: Rows):
    answer = api.post("runs", {"version": str(rows.version.pk)}, headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert answer.json()["field"] == "Idempotency-Key"


def test_the_secret_of_a_new_token_is_not_kept_with_the_answer(people: People):
    session = Api(people.engineer, session=True)
    body = {"name": "ci", "scopes": ["read"]}
    first = session.post("tokens", body, headers=KEY).json()
    secret = first["text"].rpartition("_")[2]
    assert secret not in KeptAnswer.objects.get().body
    again = session.post("tokens", body, headers=KEY).json()
    assert (again["id"], again["text"]) == (first["id"], None)
    assert ApiToken.objects.filter(name="ci").count() == 1


def test_without_a_key_two_posts_are_two_intents(api: Api, rows: Rows):
    body = {"version": str(rows.version.pk)}
    assert api.post("runs", body).json()["id"] != api.post("runs", body).json()["id"]


@pytest.mark.parametrize("key", [{}, KEY])
def test_a_session_needs_the_csrf_token_to_write(key: dict[str, str], people: People):
    browser, token = Client(enforce_csrf_checks=True), "a" * 32
    browser.force_login(people.admin)
    body = b'{"slug": "x", "name": "X"}'
    refused = browser.generic("POST", "/api/v1/systems", body, "application/json", headers=key)
    assert refused.status_code == 403
    assert "CSRF" in refused.json()["detail"]
    assert not AISystem.objects.filter(slug="x").exists()
    browser.cookies["csrftoken"] = token
    sent = {"X-CSRFToken": token, **key}
    assert browser.generic("POST", "/api/v1/systems", body, "application/json", headers=sent).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_four_requests_at_once_with_one_key_start_one_run():
    people = People()
    with transaction.atomic():
        rows = Rows(people.system, people.engineer)
    api, before, answers = Api(people.engineer), Run.objects.count(), []
    together = Barrier(4)

    def send() -> None:
        together.wait()
        answers.append(api.post("runs", {"version": str(rows.version.pk)}, headers=KEY))
        connection.close()

    threads = [Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {201, 409}
    made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert len(made) == 1
    assert Run.objects.count() == before + 1
