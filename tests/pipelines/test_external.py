"""A model from outside, from the upload to the registry: in a real child process, with its limits."""

from __future__ import annotations

from typing import Any

import pytest

from governance.selectors.evidence import found
from pipelines.models import Evidence, ModelVersion, Run
from pipelines.selectors.lineage import ancestry, graph
from pipelines.services import external
from security.canonical import sha256, urn
from security.errors import DeniedError, InvalidError
from security.log.models import AuditEvent
from security.vault import services as vault
from security.vault.models import Artifact
from tests.support import foreign_models as made
from tests.support.engine import drain, errors_of
from tests.support.models import store
from tests.support.people import People

ORIGIN = {"model": "risk", "supplier": "Bank", "lineage": "Fitted on the loans of 2024."}


def uploaded(people: People, data: bytes) -> Artifact:
    return external.upload(acting_user=people.engineer, system=people.system, chunks=[data])[0]


def brought_in(people: People, data: bytes, training: str = "a" * 64, **changes: Any) -> Run:
    opening = {
        "sha256": uploaded(people, data).digest,
        "columns": made.COLUMNS,
        "classes": made.CLASSES,
        "training_sha256": training,
        **changes,
    }
    run = external.bring_in(acting_user=people.engineer, system=people.system, opening=opening, origin=ORIGIN)
    return drain(run)


def test_an_uploaded_model_becomes_a_version_with_evidence_of_scan_and_origin(people: People):
    data = made.onnx_good()
    run = brought_in(people, data)
    assert errors_of(run) == {}
    version = ModelVersion.objects.get()
    assert (version.artifact.digest, version.created_by) == (sha256(data), people.engineer)
    assert version.artifact.media_type == "application/x-onnx"
    assert vault.read(version.artifact) == data
    verdicts = dict(Evidence.objects.filter(subject=version.artifact).values_list("kind", "verdict"))
    assert verdicts == {"model_scan": "pass", "provenance_attestation": "inconclusive"}
    event = AuditEvent.objects.get(event="model-version:registered")
    assert (event.subject, event.actor) == (urn("model-version", version.pk), urn("user", people.engineer.pk))


def test_training_data_that_the_system_holds_is_lineage_and_proves_the_origin(people: People):
    table = store(people.system, b"the loans of 2024")
    brought_in(people, made.logistic(), training=table.digest)
    version = ModelVersion.objects.get()
    assert Evidence.objects.get(kind="provenance_attestation").verdict == "pass"
    assert table.pk in ancestry(version).artifacts
    nodes = {node.digest for node in graph(version.artifact, "up").nodes}
    assert {table.digest, version.artifact.digest} <= nodes
    assert {row.kind for row in found(version).evidence} >= {"model_scan", "provenance_attestation"}


def test_training_data_of_another_system_proves_nothing(people: People):
    foreign = store(people.other, b"the loans of 2024")
    brought_in(people, made.logistic(), training=foreign.digest)
    assert Evidence.objects.get(kind="provenance_attestation").verdict == "inconclusive"


def test_the_same_model_again_is_the_same_version(people: People):
    first, second = brought_in(people, made.logistic()), brought_in(people, made.logistic())
    assert (first.version, second.state) == (second.version, "succeeded")
    assert ModelVersion.objects.count() == 1


def test_a_model_that_hangs_is_ended_and_refused(people: People, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(external, "IMPORT_SECONDS", 4.0)
    run = brought_in(people, made.looping(10**12), task="regression", classes=[])
    assert errors_of(run) == {"open": "The step did not finish within its 4 seconds."}
    assert not ModelVersion.objects.exists()


def test_a_model_that_eats_memory_is_ended_and_refused(people: People, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(external, "IMPORT_MEMORY", 900 * 2**20)
    run = brought_in(people, made.looping(10**12, growing=True), task="regression", classes=[])
    assert "its limit is 900 MiB" in errors_of(run)["open"]
    assert not ModelVersion.objects.exists()


def test_a_refused_model_leaves_no_version_and_says_why(people: People):
    run = brought_in(people, made.external_data("/etc/passwd"), task="regression", classes=[])
    assert "in another file, which is not followed" in errors_of(run)["open"]
    assert not ModelVersion.objects.exists()
    assert not Evidence.objects.exists()


def test_what_people_write_stays_literal(people: People):
    written = "${seed} $${x} \u2028 <b>{{ secret }}</b> 😀\n- not: yaml"
    run = external.bring_in(
        acting_user=people.engineer,
        system=people.system,
        opening={
            "sha256": uploaded(people, made.logistic()).digest,
            "columns": made.COLUMNS,
            "classes": made.CLASSES,
            "training_sha256": "a" * 64,
        },
        origin={**ORIGIN, "lineage": written},
    )
    drain(run)
    assert run.steps.get(name="register").params["lineage"] == written


def test_a_pickle_is_refused_before_anything_is_stored(people: People, tmp_path: Any):
    with pytest.raises(external.RefusedFileError, match="whatever its name says"):
        uploaded(people, made.pickled(str(tmp_path / "opened")))
    assert not Artifact.objects.exists()
    assert not (tmp_path / "opened").exists()


def test_a_file_over_the_limit_is_refused_while_it_comes_in(people: People, settings: Any):
    settings.MODEL_UPLOAD_MAX_BYTES = 1000
    sent = 0

    def endless() -> Any:
        nonlocal sent
        while True:
            sent += 400
            yield b"PK\x03\x04" * 100

    with pytest.raises(external.TooLargeError, match="takes 1,000"):
        external.upload(acting_user=people.engineer, system=people.system, chunks=endless())
    assert sent == 1200
    assert not Artifact.objects.exists()


@pytest.mark.parametrize("who", ["validator", "auditor", "owner", "outsider", "nobody"])
def test_who_may_not_register_uploads_nothing(who: str, people: People):
    with pytest.raises(DeniedError):
        external.upload(acting_user=getattr(people, who), system=people.system, chunks=[made.logistic()])
    with pytest.raises(DeniedError):
        external.bring_in(acting_user=getattr(people, who), system=people.system, opening={}, origin={})
    assert not Artifact.objects.exists()


def test_what_is_wrong_with_a_declaration_is_said_by_field(people: People):
    with pytest.raises(InvalidError) as caught:
        external.bring_in(
            acting_user=people.engineer,
            system=people.system,
            opening={"sha256": "x", "columns": [{"name": "a", "kind": "text"}], "training_sha256": "a" * 64},
            origin=ORIGIN,
        )
    assert {error["field"] for error in caught.value.extra["errors"]} >= {"sha256", "columns.0"}
    with pytest.raises(InvalidError, match="upload the file first"):
        external.bring_in(
            acting_user=people.engineer,
            system=people.system,
            opening={"sha256": "c" * 64, "columns": made.COLUMNS, "classes": ["a"], "training_sha256": "a" * 64},
            origin=ORIGIN,
        )
    assert not Run.objects.exists()


def test_a_file_of_another_system_is_not_found(people: People):
    foreign = external.upload(acting_user=people.outsider, system=people.other, chunks=[made.logistic()])[0]
    opening = {"sha256": foreign.digest, "columns": made.COLUMNS, "classes": ["a"], "training_sha256": "a" * 64}
    with pytest.raises(InvalidError, match="upload the file first"):
        external.bring_in(acting_user=people.engineer, system=people.system, opening=opening, origin=ORIGIN)
