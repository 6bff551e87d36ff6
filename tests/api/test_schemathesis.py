"""Requests generated from the schema, valid and not: no 5xx, and every answer is one that the schema names."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning, Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.core.failures import FailureGroup

from tests.api.test_access import IDS, World
from tests.support.api import Api
from tests.support.people import People

SCHEMA = "/api/v1/schema/?format=json"
ALWAYS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
# kept: signing out of the rows the other operations need, and the whole log for each example
LEFT_OUT = {"POST": {"/api/v1/people/{id}/deactivate", "/api/v1/tokens/{id}/revoke", "/api/v1/grants/{id}/revoke"}}
ONCE = settings(
    max_examples=6,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def app() -> Iterator[Any]:
    """The WSGI application; it leaves the test's own database connection open between requests."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield get_wsgi_application()
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def reader(request: pytest.FixtureRequest, people: People) -> Api:
    """The engineer with a token, or the administrator with a session."""
    return Api(people.engineer) if request.param == "engineer token" else Api(people.admin, session=True)


@pytest.mark.parametrize("reader", ["engineer token", "admin session"], indirect=True)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: str(mode.value))
def test_whatever_the_schema_allows_or_forbids_the_answer_is_one_it_names(
    reader: Api, mode: GenerationMode, people: People, app: Any
):
    world = World(people)
    schema = schemathesis.openapi.from_wsgi(SCHEMA, signed_in(app, reader))
    real = {f"/api/v1{path}": str(made(world)) for path, made in IDS.items() if not path.startswith("/approvals")}
    asked, succeeded, wrong = 0, 0, {}
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in LEFT_OUT.get(operation.method.upper(), ()):
            continue
        try:
            count, done = try_out(operation, mode, real)
            asked, succeeded = asked + count, succeeded + bool(done)
        except FailureGroup as group:
            wrong[operation.label] = [str(failure) for failure in group.exceptions]
    assert not wrong, "\n\n".join(f"{label}: {texts}" for label, texts in wrong.items())
    assert asked > 150
    if mode is GenerationMode.POSITIVE:
        assert succeeded >= 30  # operations that did something at least once


def try_out(operation: Any, mode: GenerationMode, real: dict[str, str]) -> tuple[int, int]:
    """Send generated requests, half of them about rows that exist; returns how many, and how many succeeded."""
    names = [*ALWAYS, *(["negative_data_rejection"] if mode is GenerationMode.NEGATIVE else [])]
    checks = CHECKS.get_by_names(names)
    count, done = 0, 0

    @ONCE
    @given(case=operation.as_strategy(generation_mode=mode), exists=st.booleans())
    def send(case: Any, exists: bool) -> None:
        nonlocal count, done
        if exists and operation.path in real and mode is GenerationMode.POSITIVE:
            name = next(iter(set(case.path_parameters) & {"id", "slug", "index"}))
            case.path_parameters[name] = real[operation.path]
        count += 1
        answer = case.call()
        done += answer.status_code < 300
        case.validate_response(answer, checks=checks)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HypothesisWarning)
        try:
            send()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # nothing can be wrong with an operation that takes nothing
    return count, done


def signed_in(app: Any, reader: Api) -> Any:
    """The application as the reader's token or session reaches it (a client of WSGI keeps cookies to itself)."""
    token = "a" * 32
    given = {f"HTTP_{name.upper()}": value for name, value in reader.headers.items()}
    if not given:
        session = reader.client.cookies["sessionid"].value
        given = {"HTTP_COOKIE": f"sessionid={session}; csrftoken={token}", "HTTP_X_CSRFTOKEN": token}
    return lambda environ, start: app({**environ, **given}, start)
