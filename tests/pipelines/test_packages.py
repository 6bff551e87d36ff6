"""The package of a registered model: who gets it, what it says, that it is on record, and that damage breaks it off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pipelines.models import ModelVersion
from pipelines.offline import verify_bundle
from pipelines.selectors import packages as selectors
from pipelines.services import external, packages
from security.canonical import sha256, urn
from security.errors import DeniedError, ShreddedError, UnavailableError
from security.log.models import AuditEvent
from security.signing import p256
from security.vault.models import Artifact
from security.vault.stream import DamagedError
from tests.support import foreign_models
from tests.support import packages as made
from tests.support.api import Api
from tests.support.engine import drain, errors_of, run_spec
from tests.support.models import store
from tests.support.people import People

SPEC = """\
apiVersion: countersign/v1
kind: Pipeline
metadata: {name: cancer, title: Cancer}
steps:
  - {name: load, uses: extract.csv@1, with: {path: rows.csv}}
  - name: split
    uses: split.holdout@1
    inputs: {table: load.table}
    with: {fraction: 0.3, stratify: label}
  - name: train
    uses: train.sklearn@1
    inputs: {table: split.train}
    with: {target: label, estimator: logistic_regression}
  - name: evaluate
    uses: evaluate.classification@1
    inputs: {model: train.model, table: split.test}
    with: {target: label, bootstrap: 100, thresholds: [{metric: accuracy, min: 0.5}]}
  - {name: convert, uses: convert.onnx@1, inputs: {model: train.model, table: split.test}}
  - name: register
    uses: register.model@1
    inputs: {model: train.model, training: train.report}
    with: {model: cancer}
"""


@pytest.fixture(autouse=True)
def _own_key(settings: Any, tmp_path: Path) -> None:
    settings.MODEL_KEY = tmp_path / "keys" / "model_key.pem"


@pytest.fixture
def trained(people: People, data_root: Path) -> ModelVersion:
    """A model that a run of this installation trained, evaluated, converted and registered."""
    lines = [f"{n},{n * 7 % 13},{'yes' if n * 7 % 13 > 6 else 'no'}" for n in range(120)]
    (data_root / "rows.csv").write_text("\n".join(["a,b,label", *lines]))
    assert errors_of(run_spec(SPEC, user=people.engineer, system=people.system)) == {}
    return ModelVersion.objects.get()


@pytest.fixture
def bought(people: People) -> ModelVersion:
    """An external model, the training data of which this system holds."""
    table = store(people.system, b"the loans of 2024")
    artifact, _ = external.upload(
        acting_user=people.engineer, system=people.system, chunks=[foreign_models.onnx_good()]
    )
    opening = {
        "sha256": artifact.digest,
        "columns": foreign_models.COLUMNS,
        "classes": ["no", "yes"],
        "training_sha256": table.digest,
    }
    origin = {"model": "bought", "supplier": "Bank", "lineage": "Fitted on the loans of 2024."}
    drain(external.bring_in(acting_user=people.engineer, system=people.system, opening=opening, origin=origin))
    return ModelVersion.objects.get()


def read(people: People, version: ModelVersion) -> bytes:
    return b"".join(packages.bundle(acting_user=people.engineer, model_version=version))


def verified(data: bytes, folder: Path) -> int:
    path, key = folder / "package.zip", folder / "key.pem"
    path.write_bytes(data)
    key.write_bytes(p256.public_pem(p256.public_key()))
    return verify_bundle.main([str(path), "--key", str(key)])


def test_a_trained_models_package_verifies_offline_and_tells_how_it_was_made(
    people: People, trained: ModelVersion, tmp_path: Path
):
    data = read(people, trained)
    assert verified(data, tmp_path) == 0
    files = made.files_of(data)
    assert sha256(files["model.skops"]) == trained.artifact.digest
    assert "model.onnx" in files
    card = json.loads(files["model-card.json"])
    assert [column["name"] for column in card["model"]["inputs"]] == ["a", "b"]
    assert card["model"]["classes"] == ["no", "yes"]
    assert {one["name"] for one in card["training_data"]} >= {"cancer/load.table v1", "rows.csv"}
    assert {one["kind"] for one in card["evidence"]} >= {"training_config", "holdout_metrics"}
    assert any(one["name"] == "accuracy" and one["interval"] for one in card["metrics"])
    steps = json.loads(files["preprocessing.json"])["before"]
    assert [step["name"] for step in steps] == ["load", "split", "train"]
    assert "scikit-learn==" in files["requirements.txt"].decode()
    assert json.loads(files["schema/onnx-inputs.json"]) == {"a": "a", "b": "b"}


def test_an_external_models_package_tells_its_origin_and_its_training_data(
    people: People, bought: ModelVersion, tmp_path: Path
):
    data = read(people, bought)
    assert verified(data, tmp_path) == 0
    files = made.files_of(data)
    assert files["model.onnx"] == foreign_models.onnx_good()
    card = json.loads(files["model-card.json"])
    assert card["origin"]["supplier"] == "Bank"
    assert [one["sha256"] for one in card["training_data"]] == [sha256(b"the loans of 2024")]
    assert {one["kind"]: one["verdict"] for one in card["evidence"]} == {
        "model_scan": "pass",
        "provenance_attestation": "pass",
    }


def test_the_same_version_gives_the_same_bytes_and_each_reading_is_on_record(people: People, bought: ModelVersion):
    assert read(people, bought) == read(people, bought)
    events = AuditEvent.objects.filter(event="package:read")
    assert {(event.subject, event.actor) for event in events} == {
        (urn("model-version", bought.pk), urn("user", people.engineer.pk))
    }
    assert events.count() == 2
    announced = AuditEvent.objects.get(event="package-key:announced")
    assert announced.subject == urn("package-key", p256.key_hint(p256.public_key()))


def test_the_api_streams_it_to_who_may_read_artifacts(people: People, bought: ModelVersion, tmp_path: Path):
    address = f"models/{bought.model_id}/versions/1/bundle"
    answer = Api(people.auditor).get(address)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/zip")
    assert answer["Content-Disposition"] == 'attachment; filename="credit-bought-v1.zip"'
    data = b"".join(answer.streaming_content)
    assert verified(data, tmp_path) == 0
    pem = Api(people.auditor).get("package-key").json()["pem"]
    assert pem.encode() == (tmp_path / "key.pem").read_bytes()
    assert Api(people.auditor).get(f"models/{bought.model_id}/versions/2/bundle").status_code == 404
    assert Api(people.outsider).get(address).status_code == 404
    before = AuditEvent.objects.count()
    assert Api(people.auditor).head(address).status_code == 200
    assert not AuditEvent.objects.filter(event="package:read", index__gte=before).exists()


def test_who_may_not_read_artifacts_is_refused_before_the_first_byte(people: People, bought: ModelVersion):
    for who in (people.risk_officer, people.owner, people.admin, people.outsider):
        with pytest.raises(DeniedError):
            packages.bundle(acting_user=who, model_version=bought)
    assert not AuditEvent.objects.filter(event="package:read").exists()


def test_a_damaged_model_breaks_the_package_off(people: People, bought: ModelVersion, settings: Any):
    root = Path(settings.STORAGES["vault"]["OPTIONS"]["location"])
    path = root / bought.artifact.object_name
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedError):
        read(people, bought)


def test_an_erased_model_has_no_package(people: People, bought: ModelVersion):
    Artifact.objects.filter(pk=bought.artifact_id).update(shredded_at=bought.created_at)
    with pytest.raises(ShreddedError):
        packages.bundle(acting_user=people.engineer, model_version=bought)


def test_a_key_that_others_can_read_signs_nothing(people: People, bought: ModelVersion, settings: Any):
    p256.private_key()
    Path(settings.MODEL_KEY).chmod(0o644)
    with pytest.raises(UnavailableError, match="chmod 600"):
        packages.bundle(acting_user=people.engineer, model_version=bought)
    assert not AuditEvent.objects.filter(event="package:read").exists()


def test_a_key_is_made_once_and_never_replaced(settings: Any):
    first = p256.private_key()
    assert Path(settings.MODEL_KEY).stat().st_mode & 0o777 == 0o600
    assert p256.private_key().private_numbers() == first.private_numbers()
    Path(settings.MODEL_KEY).write_text("damaged")
    with pytest.raises(UnavailableError):
        p256.private_key()


def test_the_command_verifies_with_the_installations_key(
    people: People, bought: ModelVersion, tmp_path: Path, capsys: Any
):
    path = tmp_path / "package.zip"
    path.write_bytes(read(people, bought))
    with pytest.raises(SystemExit) as ended:
        call_command("verify_bundle", str(path))
    assert (ended.value.code, "VERIFIED" in capsys.readouterr().out) == (0, True)
    path.write_bytes(path.read_bytes().replace(b"Bank", b"Bonk"))
    with pytest.raises(SystemExit) as ended:
        call_command("verify_bundle", str(path))
    assert ended.value.code == 1


def test_the_facts_take_as_many_queries_however_much_evidence_there_is(people: People, trained: ModelVersion):
    def asked() -> int:
        version = selectors.versions().get(pk=trained.pk)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            selectors.facts(version)
        return len(queries)

    before = asked()
    rerun = SPEC.replace("bootstrap: 100", "bootstrap: 101")
    run_spec(rerun, user=people.engineer, system=people.system)
    assert asked() == before
