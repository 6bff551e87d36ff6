"""Artifacts and datasets: provenance, pictures, verified downloads that stand in the log, and no contents of tables."""

from __future__ import annotations

import hashlib
from pathlib import Path

from django.conf import settings
from django.test import Client
from django.urls import reverse

from pipelines.models import DatasetVersion, Run
from security.log.events import Event
from security.log.models import AuditEvent
from security.vault.models import Artifact
from tests.pipelines.pages.conftest import Login
from tests.support.engine import run_spec
from tests.support.people import People

APPLICANTS = """\
apiVersion: countersign/v1
kind: Pipeline
metadata: {name: applicants, title: Applicants}
steps:
  - name: load
    uses: extract.csv@1
    with: {path: applicants.csv}
  - name: redact
    uses: redact.pii@1
    inputs: {table: load.table}
    with: {columns: {email: scan, name: drop}, identity_columns: [name]}
  - name: validate
    uses: validate.schema@1
    inputs: {table: redact.table}
    with: {columns: {age: {min: 18, max: 100}, email: {personal: true}}, allow_extra: true}
"""


def reads() -> int:
    return AuditEvent.objects.filter(event=str(Event.ARTIFACT_READ)).count()


def output(run: Run, step: str, port: str) -> Artifact:
    return run.steps.get(name=step).outputs.get(port=port).artifact


def test_a_download_is_the_verified_bytes_as_an_attachment_and_in_the_log(erin: Client, model_run: Run):
    artifact = output(model_run, "train", "model")
    answer = erin.get(reverse("artifact-content", args=[artifact.pk]))
    body = b"".join(answer.streaming_content)
    assert hashlib.sha256(body).hexdigest() == artifact.digest
    assert (
        answer["Content-Disposition"]
        == f'attachment; filename="{artifact.digest[:12]}.' + (answer["Content-Disposition"].rpartition(".")[2])
    )
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Length"] == str(len(body))
    assert "no-store" in answer["Cache-Control"]
    event = AuditEvent.objects.get(event=str(Event.ARTIFACT_READ))
    assert str(artifact.pk) in event.subject


def test_asking_for_the_headers_alone_reads_nothing(erin: Client, model_run: Run):
    answer = erin.head(reverse("artifact-content", args=[output(model_run, "train", "model").pk]))
    assert answer.status_code == 200
    assert reads() == 0


def test_who_may_not_read_artifacts_is_told_why_and_gets_no_byte(people: People, model_run: Run, login: Login):
    artifact, client = output(model_run, "evaluate", "report"), login(people.risk_officer)
    page = client.get(reverse("artifact", args=[artifact.pk]))
    text = page.content.decode()
    assert "“artifact.read” in credit needs the role" in text
    assert reverse("artifact-content", args=[artifact.pk]) not in text
    assert "ROC curve" in text  # the picture of what was measured is for everybody in the system
    assert client.get(reverse("artifact-content", args=[artifact.pk])).status_code == 403
    assert client.get(reverse("artifact", args=[artifact.pk]), {"show": "content"}).status_code == 403
    assert reads() == 0


def test_a_flipped_bit_is_an_error_and_never_a_download(erin: Client, model_run: Run):
    artifact = output(model_run, "train", "model")
    stored = Path(settings.STORAGES["vault"]["OPTIONS"]["location"]) / artifact.object_name
    damaged = bytearray(stored.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    stored.chmod(0o600)
    stored.write_bytes(bytes(damaged))
    answer = erin.get(reverse("artifact-content", args=[artifact.pk]))
    assert answer.status_code == 500
    assert "damaged" in answer.content.decode()
    assert reads() == 0


def test_a_reports_json_is_shown_when_asked_for_and_that_is_a_read(erin: Client, model_run: Run):
    url = reverse("artifact", args=[output(model_run, "evaluate", "report").pk])
    page = erin.get(url).content.decode()
    assert "Reliability" in page
    assert "<polyline" in page
    assert "The figures as a table" in page
    assert "confusion_matrix" not in page
    assert reads() == 0
    assert "confusion_matrix" in erin.get(url, {"show": "content"}).content.decode()
    assert reads() == 1


def test_a_tables_content_is_on_no_page(erin: Client, model_run: Run):
    table = output(model_run, "load", "table")
    page = erin.get(reverse("artifact", args=[table.pk]), {"show": "content"})
    assert page.context["content"] == ""
    assert page.context["pictures"] == []


def test_where_it_came_from_and_what_used_it(erin: Client, model_run: Run):
    table = output(model_run, "load", "table")
    known = erin.get(reverse("artifact", args=[table.pk])).context["known"]
    assert [made.step_run.name for made in known.made_by] == ["load"]
    assert {use.step_run.name for use in known.used_by} == {"train", "evaluate"}
    assert [str(one) for one in known.datasets] == ["tiny/load.table v1"]
    source = model_run.steps.get(name="load").inputs.get().artifact
    page = erin.get(reverse("artifact", args=[source.pk])).content.decode()
    assert "file <code>tiny.csv</code>" in page
    model = erin.get(reverse("artifact", args=[output(model_run, "train", "model").pk])).context["known"]
    assert {"holdout_metrics", "calibration_report"} <= {item.kind for item in model.evidence}


def test_a_dataset_shows_schema_profile_and_redactions_but_no_value(erin: Client, people: People, data_root: Path):
    rows = "\n".join(f"Petronella Quince{i},pq{i}@example.org,{20 + i % 50}" for i in range(60))
    (data_root / "applicants.csv").write_text(f"name,email,age\n{rows}\n")
    run = run_spec(APPLICANTS, user=people.engineer, system=people.system)
    assert run.state == "succeeded", [step.error for step in run.steps.all()]
    version = DatasetVersion.objects.get(dataset__name="applicants/redact.table")
    answer = erin.get(reverse("dataset-version", args=[version.pk]))
    described = answer.context["described"]
    columns = {column.name: column for column in described.columns}
    assert columns["age"].range["min"] == 20
    assert sum(columns["age"].histogram) == 60
    assert columns["email"].range == {}
    assert ("email", "scanned", "EMAIL_ADDRESS", 60) in described.findings
    assert any(name == "name" and treatment == "removed" for name, treatment, _, _ in described.findings)
    every = [answer.content.decode()]
    for step in run.steps.all():
        every.append(erin.get(reverse("step", args=[run.pk, step.name])).content.decode())
        every += [erin.get(reverse("artifact", args=[one.artifact_id])).content.decode() for one in step.outputs.all()]
    every += [
        erin.get(reverse("dataset-version", args=[one.pk])).content.decode() for one in DatasetVersion.objects.all()
    ]
    assert not any("Petronella" in page or "@example.org" in page for page in every)
