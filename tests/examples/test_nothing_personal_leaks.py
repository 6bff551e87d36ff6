"""The credit example through the real engine: no personal value reaches a table that is learned from, the model, a
report, the database, the log or a page."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse

from examples.credit_applications import write_credit_applications
from pipelines.models import DatasetVersion, ModelVersion, Run, RunState, StepOutput, StepRun
from security.log.models import AuditEvent
from security.vault import services as vault
from security.vault.models import Artifact
from tests.support.engine import errors_of, run_spec
from tests.support.people import People

PERSONAL = ("full_name", "email", "phone", "ssn", "card_number")
SPEC = Path(__file__).resolve().parents[2] / "examples" / "credit-applications.yaml"
ROWS = 1000  # enough for the example's own rules


@pytest.fixture
def secrets(data_root: Path) -> set[str]:
    """Every personal value of the two files, which are cut to ``ROWS`` rows each."""
    values: set[str] = set()
    for name, path in write_credit_applications(data_root).items():
        if name == "truth":
            continue
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))[:ROWS]
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        values |= {row[column] for row in rows for column in PERSONAL if row[column]}
    return values


@pytest.fixture
def run(people: People, secrets: set[str]) -> Run:
    done = run_spec(SPEC.read_text(), user=people.engineer, system=people.system)
    assert errors_of(done) == {}
    assert done.state == RunState.SUCCEEDED
    return done


def found_in(text: str, secrets: set[str]) -> list[str]:
    return sorted(value for value in secrets if value in text)[:3]


def content(artifact: Artifact) -> bytes:
    return vault.read(artifact)


def texts_of(artifact: Artifact) -> str:
    table = pq.read_table(io.BytesIO(content(artifact)))
    return "\n".join(str(value) for column in table.columns for value in column.to_pylist() if value is not None)


def test_no_personal_value_gets_past_the_redaction(run: Run, secrets: set[str], people: People) -> None:
    raw = DatasetVersion.objects.get(dataset__name__endswith="/load.table").artifact
    assert found_in(texts_of(raw), secrets), "the raw table must hold them, or this test proves nothing"
    past = StepRun.objects.filter(run=run).exclude(name__startswith="load").exclude(name__startswith="check")
    for output in StepOutput.objects.filter(step_run__in=past, kind="table").select_related("artifact", "step_run"):
        assert not found_in(texts_of(output.artifact), secrets), output.step_run.name

    model = content(ModelVersion.objects.get().artifact).decode("latin-1")
    assert not found_in(model, secrets)
    for output in StepOutput.objects.filter(kind="report").select_related("artifact", "step_run"):
        assert not found_in(content(output.artifact).decode(), secrets), output.step_run.name

    stored = "\n".join(str(row) for table in apps.get_models() for row in table.objects.values())
    assert not found_in(stored, secrets), "database"
    assert not found_in("\n".join(AuditEvent.objects.values_list("entry", flat=True)), secrets), "log"

    client = Client()
    client.force_login(people.engineer)
    pages = [reverse("run", args=[run.pk]), reverse("artifact", args=[raw.pk])]
    pages += [reverse("step", args=[run.pk, step.name]) for step in run.steps.all()]
    pages += [reverse("artifact", args=[artifact.pk]) for artifact in Artifact.objects.all()]
    pages += [reverse("dataset-version", args=[version.pk]) for version in DatasetVersion.objects.all()]
    for page in pages:
        answer = client.get(page)
        assert answer.status_code == 200, page
        assert not found_in(answer.content.decode(), secrets), page
