"""The page that brings in a model: what is wrong stands at its field, what is right becomes a run."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from pipelines.models import ModelVersion, Run
from security.vault.models import Artifact
from tests.pipelines.pages.conftest import Login
from tests.support import foreign_models as made
from tests.support.engine import drain, errors_of
from tests.support.people import People

PAGE = "/models/import/"


def sent(client: Client, people: People, data: bytes, **changes: Any) -> Any:
    form = {
        "system": people.system.pk,
        "file": SimpleUploadedFile("model.skops", data),
        "model": "bought",
        "task": "classification",
        "classes": "no\r\nyes\r\n",
        "columns": "age: 17..90\r\nhours\r\n",
        "supplier": "Bank",
        "training_sha256": "a" * 64,
        "lineage": "Fitted on the loans of 2024.",
    }
    return client.post(PAGE, {**form, **changes})


def test_a_file_and_its_fields_become_a_run_that_registers_the_model(erin: Client, people: People):
    answer = sent(erin, people, made.logistic())
    run = Run.objects.get()
    assert answer["Location"] == f"/runs/{run.pk}/"
    assert errors_of(drain(run)) == {}
    page = erin.get(answer["Location"]).content.decode()
    assert "answers 64 rows of its declared schema as declared" in page
    version = ModelVersion.objects.get()
    for address in (f"/model-versions/{version.pk}/", f"/lineage/{version.artifact_id}/"):
        assert erin.get(address).status_code == 200


def test_a_refused_file_is_said_at_its_field_and_nothing_is_stored(erin: Client, people: People, tmp_path: Any):
    answer = sent(erin, people, made.pickled(str(tmp_path / "opened")))
    assert answer.status_code == 422
    assert "whatever its name says" in answer.context["form"].errors["file"][0]
    assert not Artifact.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("columns", "age: 17..90\nhours: many", "Line 2"),
        ("model", "Not A Slug", "valid value"),
        ("training_sha256", "abc", "valid value"),
        ("lineage", "", "required"),
    ],
)
def test_what_is_wrong_stands_at_its_field(field: str, value: str, why: str, erin: Client, people: People):
    answer = sent(erin, people, made.logistic(), **{field: value})
    assert answer.status_code == 422
    assert why in answer.context["form"].errors[field][0]
    assert not Run.objects.exists()


def test_a_form_that_announces_too_much_is_refused_unread(erin: Client, settings: Any):
    settings.MODEL_UPLOAD_MAX_BYTES = 1000
    long = SimpleUploadedFile("model.skops", bytes(2 * 2**20))
    assert erin.post(PAGE, {"file": long}).status_code in (400, 413)
    assert not Artifact.objects.exists()


def test_who_may_not_register_is_told_who_can(login: Login, people: People):
    answer = login(people.auditor).get(PAGE)
    assert answer.status_code == 403
    assert "engineer" in answer.content.decode()
