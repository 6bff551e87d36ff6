"""Every reading endpoint answers, in the shape that the schema promises, and lists cost the same for 3 and 30 rows."""

from __future__ import annotations

from collections.abc import Callable

import jsonschema
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from drf_spectacular.generators import SchemaGenerator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.support.api import Api, Rows
from tests.support.people import People

DETAILS: dict[str, Callable[[Rows], str]] = {
    "/systems/{slug}": lambda rows: f"systems/{rows.system.slug}",
    "/pipelines/{id}": lambda rows: f"pipelines/{rows.pipeline.pk}",
    "/pipeline-versions/{id}": lambda rows: f"pipeline-versions/{rows.version.pk}",
    "/runs/{id}": lambda rows: f"runs/{rows.run.pk}",
    "/runs/{id}/steps/{name}": lambda rows: f"runs/{rows.run.pk}/steps/train",
    "/artifacts/{id}": lambda rows: f"artifacts/{rows.artifact.pk}",
    "/datasets/{id}": lambda rows: f"datasets/{rows.dataset.pk}",
    "/evidence/{id}": lambda rows: f"evidence/{rows.evidence.pk}",
    "/models/{id}": lambda rows: f"models/{rows.model.pk}",
    "/model-versions/{id}": lambda rows: f"model-versions/{rows.model_version.pk}",
    "/steps/{id}": lambda rows: "steps/train.sklearn@1",
}
LISTS = {
    "pipelines": lambda rows, n: rows.new_pipeline(f"more-{n}"),
    "runs": lambda rows, n: rows.new_run(),
    "artifacts": lambda rows, n: rows.new_dataset(f"more-{n}"),
    "datasets": lambda rows, n: rows.new_dataset(f"more-{n}"),
    "evidence": lambda rows, n: rows.new_evidence(f"kind-{n}"),
    "models": lambda rows, n: rows.new_model(f"more-{n}"),
    "model-versions": lambda rows, n: rows.new_model("tiny", f"model {n}".encode()),
}


@pytest.fixture(scope="module")
def schema() -> dict:
    return SchemaGenerator().get_schema(request=None, public=True)


def conforms(schema: dict, path: str, answer) -> None:
    """The body satisfies the schema of the operation's success answer."""
    content = schema["paths"]["/api/v1" + path]["get"]["responses"]["200"]["content"]
    registry = Registry().with_resource("urn:api", Resource(contents=schema, specification=DRAFT202012))
    inner = content["application/json"]["schema"]
    pointed = {"$ref": "urn:api" + inner["$ref"]} if "$ref" in inner else inner
    jsonschema.Draft202012Validator(pointed, registry=registry).validate(answer.json())


@pytest.mark.parametrize("path", DETAILS)
def test_one_row_is_shown_in_the_shape_that_the_schema_promises(path, rows: Rows, api: Api, schema):
    answer = api.get(DETAILS[path](rows))
    assert answer.status_code == 200, answer.content
    conforms(schema, path, answer)


@pytest.mark.parametrize("path", LISTS)
def test_a_list_is_shown_in_the_shape_that_the_schema_promises(path, rows: Rows, api: Api, schema):
    answer = api.get(path)
    assert answer.status_code == 200, answer.content
    assert answer.json()["count"] > 0
    conforms(schema, f"/{path}", answer)


@pytest.mark.parametrize("path", ["me", "steps", "log", "events", "systems", "grants", "tokens", "people"])
def test_what_belongs_to_people_conforms_too(path, admin: Api, people: People, schema):
    answer = admin.get(path)
    assert answer.status_code == 200, answer.content
    conforms(schema, f"/{path}", answer)


@pytest.mark.parametrize("path", LISTS)
def test_a_list_asks_the_same_number_of_queries_for_3_and_30_rows(path, rows: Rows, api: Api):
    assert counted(api, path, rows, until=3) == counted(api, path, rows, until=30)


@pytest.mark.parametrize("path", ["grants", "people", "events", "systems"])
def test_lists_about_people_ask_the_same_number_of_queries_however_many_there_are(path, people: People):
    reader = Api(people.admin, session=True)
    reader.get(path)  # the session's first use in a minute is written down
    with CaptureQueriesContext(connection) as few:
        before = reader.get(path).json()["count"]
    for n in range(10):
        people.make(f"more{n}", f"More {n}")
        people.make_system(f"more-{n}")
        Api(people.make(f"other{n}", "Other", "engineer"))
    with CaptureQueriesContext(connection) as many:
        after = reader.get(path).json()["count"]
    assert after >= before + 10
    assert len(many) == len(few)


def test_a_run_asks_the_same_number_of_queries_however_many_steps_it_has(rows: Rows, api: Api):
    api.get("me")  # the token's first use in a minute is written down
    with CaptureQueriesContext(connection) as few:
        api.get(f"runs/{rows.run.pk}")
    for n in range(20):
        copy = rows.run.steps.get(name="train")
        copy.pk, copy.name, copy.position, copy._state.adding = None, f"copy-{n}", 10 + n, True
        copy.save(force_insert=True)
    with CaptureQueriesContext(connection) as many:
        answer = api.get(f"runs/{rows.run.pk}")
    assert len(answer.json()["steps"]) == 22
    assert len(many) == len(few)


def counted(api: Api, path: str, rows: Rows, *, until: int) -> int:
    have = api.get(path).json()["count"]
    for n in range(have, until):
        LISTS[path](rows, n)
    with CaptureQueriesContext(connection) as queries:
        answer = api.get(path, page_size=200)
    assert answer.json()["count"] >= until
    return len(queries)
