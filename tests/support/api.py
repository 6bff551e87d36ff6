"""A client of the REST API, and rows in every table that it shows, made without running anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.test import Client
from django.utils import timezone

from pipelines.models import Dataset, DatasetVersion, Evidence, Model, ModelVersion, Run, StepInput, StepOutput
from pipelines.services import registration, runs
from security.access.models import AISystem
from security.canonical import digest_of
from security.identity.models import ApiToken, User
from security.identity.services import create_token
from security.vault import services as vault
from security.vault.models import Artifact

BASE = "/api/v1/"
PROBLEM = "application/problem+json"
ALL_SCOPES = ("read", "run", "submit", "export", "risk")

SPEC = """\
apiVersion: countersign/v1
kind: Pipeline
metadata: {name: %(name)s, title: Tiny}
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
"""
MEASUREMENT = {
    "name": "accuracy",
    "value": 0.871,
    "unit": "fraction",
    "direction": "higher_is_better",
    "n": 9769,
    "interval": {"low": 0.862, "high": 0.88, "level": 0.95, "method": "bootstrap"},
    "slice": {},
    "note": "",
}


class Api:
    """Speaks for ``user`` by a token with ``scopes``, or by a session, or (without a user) for nobody."""

    def __init__(self, user: User | None = None, *, scopes: Sequence[str] = ALL_SCOPES, session: bool = False) -> None:
        self.client = Client(raise_request_exception=True)
        self.headers: dict[str, str] = {}
        self.token: ApiToken | None = None
        if user is not None and session:
            self.client.force_login(user)
        elif user is not None:
            self.token, text = create_token(acting_user=user, user=user, name="test", scopes=list(scopes))
            self.headers["Authorization"] = f"Bearer {text}"

    def end_token(self, *, at: datetime | None = None) -> Api:
        """Let the token's time run out; that it was used since is on record already, as it is once an hour."""
        assert self.token is not None
        ApiToken.objects.filter(pk=self.token.pk).update(expires_at=at or timezone.now(), refused_at=timezone.now())
        return self

    def get(self, path: str, *, headers: dict[str, str] | None = None, **query: Any) -> Any:
        return self.client.get(_at(path), query, headers={**self.headers, **(headers or {})})

    def head(self, path: str) -> Any:
        return self.client.head(_at(path), headers=self.headers)

    def send(
        self, method: str, path: str, body: Any = None, *, type: str = "application/json", headers: Any = None
    ) -> Any:
        """A request with a body: JSON unless it is bytes or text."""
        content = body if isinstance(body, bytes | str) else b"" if body is None else json.dumps(body)
        return self.client.generic(method, _at(path), content, type, headers={**self.headers, **(headers or {})})

    def post(self, path: str, body: Any = None, **more: Any) -> Any:
        return self.send("POST", path, body, **more)


def _at(path: str) -> str:
    return path if path.startswith("/") else BASE + path


def stored(system: AISystem, content: bytes = b"{}", media_type: str = "application/json") -> Artifact:
    """``content`` in the vault."""
    return vault.keep(vault.put([content]), acting_user=None, system=system, media_type=media_type)


class Rows:
    """One of everything in ``system``, by ``user``; ``more`` adds rows of a kind."""

    def __init__(self, system: AISystem, user: User) -> None:
        self.system, self.user = system, user
        self.version = registration.register(acting_user=user, system=system, text=SPEC % {"name": "tiny"}).version
        self.pipeline = self.version.pipeline
        self.run = self.new_run()
        self.step = self.run.steps.get(name="train")
        self.artifact = stored(system, f"bytes of {system.slug}".encode(), "application/x-skops")
        self.report = stored(system, b'{"report": true}')
        self.dataset_version = self.new_dataset("tiny/load.table")
        self.dataset = self.dataset_version.dataset
        self.evidence = self.new_evidence("performance")
        self.model_version = self.new_model("tiny")
        self.model = self.model_version.model
        StepInput.objects.create(step_run=self.step, port="table", artifact=self.dataset_version.artifact)
        StepOutput.objects.create(step_run=self.step, port="model", kind="model", artifact=self.artifact)

    def new_pipeline(self, name: str) -> Any:
        text = SPEC % {"name": name}
        return registration.register(acting_user=self.user, system=self.system, text=text).version.pipeline

    def new_run(self) -> Run:
        return runs.create(acting_user=self.user, version=self.version)

    def new_dataset(self, name: str) -> DatasetVersion:
        dataset = Dataset.objects.create(system=self.system, name=name)
        return DatasetVersion.objects.create(
            dataset=dataset,
            number=1,
            artifact=stored(self.system, name.encode(), "application/vnd.apache.parquet"),
            step_run=self.step,
            rows=200,
            columns=[{"name": "label", "type": "int64", "personal": False}],
        )

    def new_evidence(self, kind: str) -> Evidence:
        return Evidence.objects.create(
            system=self.system,
            kind=kind,
            subject=self.artifact,
            step_run=self.step,
            uses="evaluate.classification@1",
            measurements=[MEASUREMENT],
            verdict="pass",
            report=self.report,
            digest=digest_of([kind, self.system.slug]),
        )

    def new_model(self, name: str, content: bytes | None = None) -> ModelVersion:
        model, _ = Model.objects.get_or_create(system=self.system, name=name)
        return ModelVersion.objects.create(
            model=model,
            number=model.versions.count() + 1,
            artifact=self.artifact if content is None else stored(self.system, content, "application/x-skops"),
            training_report=self.report,
            step_run=self.step,
            created_by=self.user,
        )
