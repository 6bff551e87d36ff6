"""Signed-in clients, and a small pipeline with runs that went well, badly, and not at all yet."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from pipelines.models import PipelineVersion, Run
from pipelines.services import registration, runs
from security.identity.models import User
from tests.support.engine import drain, run_spec
from tests.support.people import People

SMALL = """\
apiVersion: countersign/v1
kind: Pipeline
metadata: {name: small, title: Small pipeline}
parameters:
  how: {type: string, default: work, choices: [work, refuse, sleep], description: what the first step does}
  amount: {type: number, default: 0}
steps:
  - name: first
    uses: test.misbehave@1
    with: {how: "${how}", amount: "${amount}"}
  - name: second
    uses: test.misbehave@1
    inputs: {table: first.table}
    with: {how: work, marker: "", amount: 1}
"""
MODEL = """\
apiVersion: countersign/v1
kind: Pipeline
metadata: {name: tiny, title: Tiny}
steps:
  - name: load
    uses: extract.csv@1
    with: {path: tiny.csv}
  - name: train
    uses: train.sklearn@1
    inputs: {table: load.table}
    with: {target: label, estimator: logistic_regression}
  - name: evaluate
    uses: evaluate.classification@1
    inputs: {model: train.model, table: load.table}
    with: {target: label, bootstrap: 100, thresholds: [{metric: accuracy, min: 0.5}]}
"""

Login = Callable[[User], Client]


@pytest.fixture
def login() -> Login:
    """A client in which the person is signed in."""

    def signed_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return signed_in


@pytest.fixture
def erin(people: People, login: Login) -> Client:
    return login(people.engineer)


@pytest.fixture
def version(people: People) -> PipelineVersion:
    return registration.register(acting_user=people.engineer, system=people.system, text=SMALL).version


@pytest.fixture
def queued(people: People, version: PipelineVersion) -> Run:
    return runs.create(acting_user=people.engineer, version=version)


@pytest.fixture
def done(queued: Run) -> Run:
    return drain(queued)


@pytest.fixture
def failed(people: People, version: PipelineVersion) -> Run:
    return drain(runs.create(acting_user=people.engineer, version=version, parameters={"how": "refuse"}))


@pytest.fixture
def model_run(people: People, data_root) -> Run:
    """A run that reads a file, trains, and evaluates."""
    rows = "\n".join(f"{i},{i % 7},{int(i % 7 > 3)}" for i in range(200))
    (data_root / "tiny.csv").write_text(f"a,b,label\n{rows}\n")
    return run_spec(MODEL, user=people.engineer, system=people.system)
