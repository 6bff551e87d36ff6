"""The example client takes a real specification from its file to a review, through the API alone."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections

from pipelines.models import Run
from tests.support.api import Api
from tests.support.engine import drain
from tests.support.people import People

SPEC = b"""\
apiVersion: countersign/v1
kind: Pipeline
metadata: {name: tiny}
parameters:
  source: {type: string, default: tiny.csv, description: file}
steps:
  - name: load
    uses: extract.csv@1
    with: {path: "${source}"}
  - name: train
    uses: train.sklearn@1
    inputs: {table: load.table}
    with: {target: label, estimator: logistic_regression}
  - name: register
    uses: register.model@1
    inputs: {model: train.model, training: train.report}
    with: {model: tiny}
"""


@pytest.fixture
def example() -> ModuleType:
    path = Path(__file__).parents[2] / "examples" / "api_client.py"
    spec = importlib.util.spec_from_file_location("api_client", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def http(people: People) -> Iterator[httpx.Client]:
    """httpx on the WSGI application; it leaves the test's own database connection open between requests."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    transport = httpx.WSGITransport(app=get_wsgi_application())
    headers = Api(people.engineer, scopes=["read", "run", "submit"]).headers
    with httpx.Client(transport=transport, base_url="http://localhost", headers=headers) as client:
        yield client
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def test_the_client_registers_runs_watches_and_submits(example, http: httpx.Client, data_root: Path, capsys):
    with (data_root / "tiny.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("a", "b", "label"), *((n, n % 7, int(n % 7 > 3)) for n in range(200))])
    review = example.main(http, "credit", SPEC, {}, lambda: drain(Run.objects.get()) and None)
    assert review["state"] == "in-review"
    said = capsys.readouterr().out
    assert "register" in said
    assert "gates pass" in said
    assert "Vera Validator" in said


def test_the_client_says_what_the_server_refused(example, http: httpx.Client):
    with pytest.raises(example.RefusedError, match=r"line \d+: .*"):
        example.main(http, "credit", SPEC.replace(b"extract.csv@1", b"extract.cvs@1"), {}, lambda: None)
