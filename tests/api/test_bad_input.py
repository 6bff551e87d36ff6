"""Whatever is sent, the answer is a problem that helps (RFC 9457), never a 5xx, and nothing is stored."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from pipelines.models import Pipeline, PipelineVersion, Run
from tests.support.api import PROBLEM, SPEC, Api, Rows
from tests.support.people import People

HUGE = "9" * 5000
QUERIES = [
    ("runs", "state=%00", 422),
    ("runs", "state=sleeping", 422),
    ("runs", "pipeline=1", 422),
    ("runs", "pipeline=" + "0" * 32, 422),
    ("runs", "state=", 422),
    ("runs", f"pipeline={HUGE}", 422),
    ("runs", "after=0001-01-01T00:00:00%2B23:59", 422),
    ("runs", "before=9999-12-31T23:59:59-23:59", 422),
    ("runs", "after=yesterday", 422),
    ("runs", "after=2026-11-21", 200),
    ("runs", "page=0", 422),
    ("runs", "page=-1", 422),
    ("runs", "page=1e3", 422),
    ("runs", "page=%F0%9D%9F%8F", 422),
    ("runs", f"page={HUGE}", 422),
    ("runs", "page=999999999", 404),
    ("runs", "page_size=201", 422),
    ("runs", "page_size=0", 422),
    ("runs", "ordering=password", 422),
    ("runs", "ordering=-", 422),
    ("runs", "ordering=created_at,-created_at", 422),
    ("runs", "ordering=created_by__password", 422),
    ("runs", "ordering=" + "created_at," * 500, 422),
    ("runs", "format=xml", 406),
    ("systems", "name=%00", 422),
    ("systems", "name=%ED%A0%80", 200),
    ("systems", f"name={HUGE}", 422),
    ("systems", "tier=extreme", 422),
    ("grants", "system=%00%00", 422),
    ("evidence", "subject=abc", 422),
    ("evidence", "subject=" + "A" * 64, 422),
    ("evidence", "current=maybe", 422),
    ("pipeline-versions/00000000-0000-0000-0000-000000000000/compare", "with=x", 422),
    ("pipelines/" + "0" * 36, "", 404),
    ("pipelines/00000000-0000-0000-0000-000000000000", "", 404),
    ("runs/%00", "", 404),
    ("runs/00000000-0000-0000-0000-000000000000/steps/%00", "", 404),
    ("steps/%00", "", 404),
    ("systems/NOT-A-SLUG", "", 404),
    ("nothing", "", 404),
    ("me/", "", 404),
]
LOG_QUERIES = [
    ("events", f"first={2**63}", 422),
    ("events", "first=9199999999999999999", 200),
    ("events", "first=%D9%A3", 422),
    ("events", "first=+5", 422),
    ("events", "first=", 422),
    ("events", "first=-1", 422),
    ("events", "first=1.5", 422),
    ("events", f"first={HUGE}", 422),
    ("events", "actor=%00", 422),
    ("events", "event=user:exploded", 422),
    ("events", "event=%ED%A0%80", 422),
    (f"events/{2**64}", "", 404),
    (f"events/{HUGE}", "", 404),
    ("events/-1", "", 404),
]


def is_problem(answer, status: int) -> dict:
    assert answer.status_code == status, (answer.status_code, answer.content[:400])
    assert answer["Content-Type"] == PROBLEM
    body = json.loads(answer.content)
    assert body["status"] == status
    assert body["type"].startswith("urn:countersign:problem:")
    assert body["title"]
    assert body["detail"]
    return body


@pytest.mark.parametrize(("path", "query", "status"), QUERIES, ids=[f"{p}?{q}"[:60] for p, q, _ in QUERIES])
def test_a_hostile_query_gets_a_problem(path, query, status, api: Api):
    answer = api.get(f"/api/v1/{path}?{query}")
    assert answer.status_code == status, answer.content[:400]
    if status >= 400:
        is_problem(answer, status)


@pytest.mark.parametrize(("path", "query", "status"), LOG_QUERIES, ids=[f"{p}?{q}"[:60] for p, q, _ in LOG_QUERIES])
def test_a_hostile_query_of_the_log_gets_a_problem(path, query, status, people: People):
    answer = Api(people.auditor).get(f"/api/v1/{path}?{query}")
    assert answer.status_code == status, answer.content[:400]
    if status >= 400:
        is_problem(answer, status)


def test_an_unknown_filter_is_refused_with_the_names_that_are_known(api: Api):
    body = is_problem(api.get("runs", stat="failed"), 422)
    assert body["field"] == "stat"
    assert "state" in body["known"]
    assert "Did you mean 'state'?" in body["detail"]


def test_an_unknown_query_parameter_of_one_object_is_refused(api: Api, rows: Rows):
    assert is_problem(api.get(f"runs/{rows.run.pk}", expand="all"), 422)["known"] == []


BODIES = [
    (b'{"name": "x",\n  "slug": }', 400, "line 2, column 11"),
    (b"", 422, "required"),
    (b"null", 422, ""),
    (b"[]", 422, "dictionary"),
    (b'"text"', 422, ""),
    (b"12", 422, ""),
    (b"\xff\xfe", 400, "not UTF-8"),
    (b'{"name": NaN}', 400, "NaN"),
    (b'{"name": 1e999}', 400, "double"),
    (b'{"name": ' + b"9" * 5000 + b"}", 400, "digits"),
    (b"[" * 100_000, 400, "deep"),
    (b'{"a":' * 80 + b"1" + b"}" * 80, 400, "deep"),
    (b'{"name": "\\u0000"}', 400, "NUL"),
    (b'{"name": "\\ud800"}', 400, "surrogate"),
    (b'{"\\udfff": 1}', 400, "surrogate"),
    (b'{"name": "a", "name": "b"}', 400, "twice"),
    (b'{"slug": "x", "name": "X", "colour": "red"}', 422, "colour"),
    (b'{"slug": "X!", "name": "X"}', 422, "slug"),
    (b'{"slug": "x", "name": ["X"]}', 422, "name"),
    (b'{"slug": "x", "name": "X", "owner": "nobody-here"}', 422, "active person"),
]


@pytest.mark.parametrize(("body", "status", "words"), BODIES, ids=[str(b[:30]) for b, _, _ in BODIES])
def test_a_bad_body_gets_a_problem_that_says_what_and_where(body, status, words, admin: Api):
    found = is_problem(admin.post("systems", body), status)
    assert words in json.dumps(found)


def test_malformed_json_names_line_and_column(admin: Api):
    found = is_problem(admin.post("systems", b'{"name": "x",\n  "slug": }'), 400)
    assert (found["line"], found["column"]) == (2, 11)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_a_media_type_that_is_not_taken_is_415(kind, admin: Api):
    is_problem(admin.send("POST", "systems", b"name=x", type=kind), 415)


FORM = "multipart/form-data; boundary=x"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"--x\r\nContent-Disposition: form-data; name=slug\r\n\r\nx\r\n--x--\r\n", FORM, 415),
        (b"garbage", "multipart/form-data", 415),
        (b"a=b&" * 2000, "application/x-www-form-urlencoded", 415),
        (b"a=b", "application/x-www-form-urlencoded", 415),
        (b"x" * (2 * 2**20 + 1), "application/x-www-form-urlencoded", 413),
    ],
)
def test_a_form_that_the_check_against_forged_requests_reads_first_is_a_problem_too(body, kind, status, people: People):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(people.admin)
    browser.cookies["csrftoken"] = "a" * 32
    is_problem(browser.generic("POST", "/api/v1/systems", body, kind, headers={"X-CSRFToken": "a" * 32}), status)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_a_method_that_is_not_there_is_405_and_names_those_there_are(method, api: Api):
    answer = api.send(method, "runs")
    is_problem(answer, 405)
    assert answer["Allow"] == "GET, HEAD, POST"


def test_a_format_that_is_not_written_is_406(api: Api):
    is_problem(api.get("runs", headers={"Accept": "text/html"}), 406)


@pytest.mark.parametrize("path", ["/api/", "/api/v1/", "/api/v2/runs", "/api/v1/runs/x", "/api/v1/runs/"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_an_unknown_address_is_a_problem_for_everybody(path, method, db):
    is_problem(Api().send(method, path), 404)


def test_a_body_over_two_mebibytes_is_413(api: Api):
    body = is_problem(api.post("pipelines?system=credit", b"x" * (2 * 2**20 + 1), type="application/yaml"), 413)
    assert "2 MiB" in body["detail"]


def test_ten_megabytes_of_yaml_are_413_before_they_are_read(api: Api):
    is_problem(api.post("pipelines?system=credit", b"a: b\n" * 2_000_000, type="application/yaml"), 413)
    assert not Pipeline.objects.exists()


def test_a_body_in_chunks_is_411_and_not_taken_for_an_empty_one(api: Api):
    sent = {"type": "application/yaml", "headers": {"Transfer-Encoding": "chunked"}}
    is_problem(api.post("pipelines?system=credit", None, **sent), 411)


def test_a_spec_over_its_limit_is_422_and_says_so(api: Api):
    found = is_problem(api.post("pipelines?system=credit", b"#" * (2**20 + 1), type="application/yaml"), 422)
    assert "1,048,576" in found["detail"]


def test_a_wrong_spec_is_answered_with_every_error_on_its_line(api: Api, people: People):
    text = (SPEC % {"name": "x"}).replace("extract.csv@1", "extract.cvs@1").replace("target: label", "tarket: label")
    found = is_problem(api.post("pipelines?system=credit", text, type="text/yaml"), 422)
    assert found["type"] == "urn:countersign:problem:invalid-spec"
    first, second = found["errors"][0], found["errors"][-1]
    assert (first["line"], first["step"]) == (8, "load")
    assert "extract.csv@1" in first["hint"]
    assert second["step"] == "train"
    assert {error["parameter"] for error in found["errors"]} >= {"tarket"}
    assert not PipelineVersion.objects.exists()


BOMB = "a: &a [x]\n" + "\n".join(f"b{n}: &b{n} [*a, *a]" for n in range(50))


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        "!!python/object/apply:os.system [id]",
        "- " * 5000,
        "\0",
        "a: 'b",
        "{" * 5000,
        "\ud83d".encode("utf-8", "surrogatepass"),
    ],
    ids=["aliases", "tag", "deep", "NUL", "open quote", "open braces", "surrogate"],
)
@pytest.mark.parametrize("path", ["pipelines?system=credit", "pipelines/check"])
def test_a_hostile_spec_is_refused(path, text, api: Api):
    found = is_problem(api.post(path, text, type="application/yaml"), 422)
    assert found["errors"][0]["line"] >= 1
    assert not Pipeline.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"version": None},
        {"version": "x"},
        {"version": "00000000-0000-0000-0000-000000000000", "pipeline": "00000000-0000-0000-0000-000000000000"},
        {"seed": 2**40},
        {"seed": -1},
        {"seed": "1.5"},
        {"parameters": {"unknown": 1}},
        {"parameters": {"source": 5}},
        {"parameters": {"source": None}},
        {"parameters": {"source": {"deep": []}}},
        {"parameters": {"source": 2**80}},
        {"parameters": []},
        {"parametres": {}},
    ],
)
def test_a_run_that_cannot_be_is_refused(body, api: Api, rows: Rows):
    before = Run.objects.count()
    named = {} if "version" in body or body == {} else {"version": str(rows.version.pk)}
    is_problem(api.post("runs", {**named, **body}), 422)
    assert Run.objects.count() == before


def test_an_unforeseen_error_is_a_500_with_a_reference_and_none_of_its_words(api: Api, monkeypatch, caplog):
    def fails(*args, **kwargs):
        raise RuntimeError("secret words")

    monkeypatch.setattr("pipelines.selectors.runs.runs_with_steps", fails)
    monkeypatch.setattr("pipelines.api.runs.RunsView.rows", staticmethod(fails))
    api.client.raise_request_exception = False
    with caplog.at_level("CRITICAL", logger="security.rest.problems"):
        answer = api.get("runs")
    found = is_problem(answer, 500)
    assert found["instance"].startswith("urn:uuid:")
    assert b"secret words" not in answer.content


def test_a_busy_database_is_503_and_says_when_to_come_back(api: Api, monkeypatch):
    from django.db import OperationalError

    def busy(*args, **kwargs):
        raise OperationalError("database is locked")

    monkeypatch.setattr("pipelines.api.runs.RunsView.rows", staticmethod(busy))
    answer = api.get("runs")
    is_problem(answer, 503)
    assert answer["Retry-After"] == "5"
