"""Bringing in models over the API: bytes are streamed and told by their content, declarations are answered by field."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from pipelines.models import ModelVersion, Run
from security.canonical import sha256
from security.log.models import AuditEvent
from security.vault import services as vault
from security.vault.models import Artifact
from tests.api.test_bad_input import is_problem
from tests.support import foreign_models as made
from tests.support.api import BYTES, EXTERNAL, Api
from tests.support.engine import drain, errors_of
from tests.support.people import People

FILES = "model-files?system=credit"


def test_a_file_and_its_declaration_become_a_model_version(api: Api, people: People):
    data = made.logistic()
    stored = api.post(FILES, data, type=BYTES)
    assert stored.status_code == 201
    assert (stored.json()["digest"], stored.json()["format"]) == (sha256(data), "skops")
    body = {**EXTERNAL, "sha256": sha256(data), "columns": made.COLUMNS}
    asked = api.post("external-models", body)
    assert (asked.status_code, asked["Location"]) == (201, f"/api/v1/runs/{asked.json()['id']}")
    run = drain(Run.objects.get(pk=asked.json()["id"]))
    assert errors_of(run) == {}
    found = api.get("model-versions", digest=sha256(data)).json()["results"]
    assert [row["model"]["name"] for row in found] == ["bought"]
    assert found[0]["created_by"]["username"] == "erin"


def test_a_long_file_is_streamed_past_the_limit_of_other_bodies(api: Api):
    data = b"PK\x03\x04" + bytes(3 * 2**20)
    assert api.post(FILES, data, type=BYTES).status_code == 201
    assert vault.read(Artifact.objects.get()) == data
    assert AuditEvent.objects.filter(event="artifact:stored").count() == 1
    again = api.post(FILES, data, type=BYTES, headers={"Idempotency-Key": "once"})
    assert again.json()["id"] == str(Artifact.objects.get().pk)


@pytest.mark.parametrize("name", ["model.skops", "model.onnx"])
def test_a_pickle_is_refused_whatever_it_calls_itself(name: str, api: Api, tmp_path: Any):
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    answer = api.post(FILES, made.pickled(str(tmp_path / "opened")), type=BYTES, headers=headers)
    found = is_problem(answer, 422)
    assert found["type"].endswith("refused-model-file")
    assert "opening one runs code in it" in found["detail"]
    assert not Artifact.objects.exists()
    assert not (tmp_path / "opened").exists()


def test_two_gigabytes_are_refused_by_what_they_announce(api: Api, people: People):
    answer = Client().generic(
        "POST", f"/api/v1/{FILES}", b"PK\x03\x04", BYTES, headers=api.headers, CONTENT_LENGTH=str(2 * 2**30)
    )
    assert "2,147,483,648 bytes" in is_problem(answer, 413)["detail"]


def test_an_empty_file_and_other_media_types_are_refused(api: Api):
    assert "empty" in is_problem(api.post(FILES, b"", type=BYTES), 422)["detail"]
    is_problem(api.post(FILES, b"{}", type="application/json"), 415)
    is_problem(api.post("model-files", made.logistic(), type=BYTES), 422)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"columns": []}, "columns"),
        ({"columns": [{"name": "a", "kind": "text"}]}, "columns.0"),
        ({"columns": [{"name": "a"}, {"name": "a"}]}, ""),
        ({"classes": []}, ""),
        ({"model": "Not A Slug"}, "model"),
        ({"training": {"sha256": "a" * 64, "supplier": "x"}}, "training.lineage"),
        ({"training": "none"}, "training"),
        ({"weights": 1}, "weights"),
        ({"sha256": "f" * 64}, ""),
    ],
)
def test_a_declaration_that_makes_no_sense_is_answered_by_field(
    change: dict[str, Any], field: str, api: Api, people: People
):
    found = is_problem(api.post("external-models", {**EXTERNAL, "sha256": "a" * 64, **change}), 422)
    named = [error["field"] for error in found.get("errors", [])]
    assert any(name.startswith(field) for name in named) if field else found["detail"]
    assert not Run.objects.exists()
    assert not ModelVersion.objects.exists()
