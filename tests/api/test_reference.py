"""The OpenAPI document and the page that shows it."""

from __future__ import annotations

import re

import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from security.measurement import Interval, Measurement
from security.rest.shapes import IntervalSerializer, MeasurementSerializer
from tests.support.api import Api
from tests.support.people import People

SUCCESS = re.compile("2..")


@pytest.fixture(scope="module")
def schema() -> dict:
    return SchemaGenerator().get_schema(request=None, public=True)


def test_the_schema_is_valid_openapi_3_1_and_made_without_a_warning(schema, tmp_path):
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yaml"))
    assert schema["openapi"].startswith("3.1")
    validate_schema(schema)


def test_every_operation_has_a_text_a_unique_name_and_the_shared_problem(schema):
    operations = [op for item in schema["paths"].values() for op in item.values()]
    assert len({op["operationId"] for op in operations}) == len(operations)
    for op in operations:
        assert op["summary"], op["operationId"]
        assert op["responses"]["4XX"] == {"$ref": "#/components/responses/Refused"}, op["operationId"]
        assert [code for code in op["responses"] if SUCCESS.fullmatch(code)], op["operationId"]
        assert op["security"] == [{"token": []}, {"session": []}], op["operationId"]


def test_every_post_takes_an_idempotency_key_and_every_get_an_etag(schema):
    for path, item in schema["paths"].items():
        for method, op in item.items():
            names = {parameter["name"] for parameter in op.get("parameters", [])}
            if method == "post":
                assert "Idempotency-Key" in names, path
            elif not path.endswith(("/bundle", "/gate")):  # bytes; and an answer that is asked for anew each time
                assert "If-None-Match" in names, path


def test_enumerations_have_names_of_their_own(schema):
    names = set(schema["components"]["schemas"])
    assert {"RunState", "StepState", "ReviewState", "LifeState", "Verdict", "Role"} <= names
    assert not [name for name in names if re.search(r"[0-9a-f]{3}Enum$", name)]


def test_the_shape_of_a_measurement_is_that_of_the_contract():
    assert list(MeasurementSerializer().fields) == list(Measurement.model_fields)
    assert list(IntervalSerializer().fields) == list(Interval.model_fields)


@pytest.mark.parametrize(("accept", "begins"), [("json", b"{"), ("yaml", b"openapi: 3.1")])
def test_the_schema_is_served_as_json_and_yaml_to_those_who_sign_in(accept, begins, people: People):
    answer = Api(people.nobody).get("schema/", format=accept)
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("application/vnd.oai.openapi")
    assert answer.content.startswith(begins)
    assert yaml.safe_load(answer.content)["info"]["title"] == "Countersign"
    refused = Api().get("schema/", format=accept)
    assert (refused.status_code, refused["Content-Type"]) == (401, "application/problem+json")


def test_the_reference_page_holds_no_inline_script_or_style(people: People):
    page = Api(people.nobody, session=True).get("docs/").content.decode()
    assert "<style" not in page
    assert "style=" not in page
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert re.search(r"\son\w+=", page) is None


def test_the_reference_page_sends_strangers_to_sign_in(db):
    assert Client().get("/api/v1/docs/").status_code == 302


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_the_reference_page_works_under_the_content_security_policy(live_server, chromium: str):
    from playwright.sync_api import sync_playwright

    people, said = People(), []
    session = Api(people.admin, session=True).client.cookies["sessionid"].value
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context()
        context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        page = context.new_page()
        page.set_default_timeout(120_000)  # it lays out every operation that there is, on whatever machine this is
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{live_server.url}/api/v1/docs/")
        page.wait_for_selector(".opblock")
        shown = page.locator(".opblock").count()
        operation = page.locator("#operations-systems-systems_create")
        operation.locator(".opblock-summary").click()
        operation.locator("button.try-out__btn").click()
        operation.locator("textarea").fill('{"slug": "from-docs", "name": "From the page"}')
        operation.locator("button.execute").click()
        operation.get_by_text('"slug": "from-docs"').first.wait_for()
        browser.close()
    assert said == []
    assert shown > 50
