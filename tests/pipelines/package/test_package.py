"""The package of a model: public tools accept it offline, and nothing accepts it after one flipped byte."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from model_signing import verifying
from packaging.requirements import Requirement
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from pipelines.offline import verify_bundle
from pipelines.package.facts import Data
from security.canonical import canonical_json, sha256
from security.signing import p256
from tests.support import packages as made

OTHER = ec.derive_private_key(0xBAD, ec.SECP256R1())
EXTERNAL = {"supplier": "Bank", "lineage": "Loans."}
SCAN = {
    "format": "onnx",
    "task": "regression",
    "columns": [{"name": "age", "kind": "number", "minimum": 17.0, "maximum": None, "values": []}],
    "classes": [],
    "training": {"sha256": "a" * 64, "in_vault": False},
}


@pytest.fixture(scope="module")
def data() -> bytes:
    return made.zipped()


@pytest.fixture
def folder(data: bytes, tmp_path: Path) -> Path:
    return made.unpacked(made.files_of(data), tmp_path / "package")


def checked(path: Path, key: Path, capsys: Any) -> tuple[int, str]:
    status = verify_bundle.main([str(path), "--key", str(key)])
    return status, capsys.readouterr().out


def test_the_same_facts_give_the_same_bytes(data: bytes):
    assert made.zipped() == data
    assert made.zipped(made.facts(number=4)) != data


def test_zip_and_folder_verify_as_they_are(data: bytes, folder: Path, capsys: Any):
    key = made.key_file(folder)
    archive = folder.parent / "package.zip"
    archive.write_bytes(data)
    for path in (folder, archive):
        status, said = checked(path, key, capsys)
        assert (status, said.splitlines()[-1]) == (0, "VERIFIED")
    alone = [sys.executable, "-I", "verify_bundle.py", "--key", str(key)]
    done = subprocess.run(alone, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "2 results of checks" in done.stdout) == (0, True)


def test_every_flipped_byte_of_every_file_is_found(folder: Path, capsys: Any):
    key = made.key_file(folder)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            kept = path.read_bytes()
            path.write_bytes(content)
            status, said = checked(folder, key, capsys)
            assert (status, "NOT VERIFIED" in said) == (1, True), path.name
            path.write_bytes(kept)
    assert checked(folder, key, capsys)[0] == 0


@pytest.mark.parametrize("position", [0.02, 0.2, 0.5, 0.8, 0.9])
def test_a_flipped_byte_of_the_content_of_the_zip_is_found(position: float, data: bytes, folder: Path, capsys: Any):
    broken = bytearray(data)
    broken[int(len(data) * position)] ^= 0x10
    path = folder.parent / "package.zip"
    path.write_bytes(broken)
    assert checked(path, made.key_file(folder), capsys)[0] == 1


def test_a_file_added_or_removed_is_found(folder: Path, capsys: Any):
    key = made.key_file(folder)
    (folder / "extra.txt").write_text("more")
    assert "extra.txt: was added" in checked(folder, key, capsys)[1]
    (folder / "extra.txt").unlink()
    (folder / "requirements.txt").unlink()
    assert "requirements.txt: is missing" in checked(folder, key, capsys)[1]


def test_another_key_is_refused(folder: Path, capsys: Any):
    status, said = checked(folder, made.key_file(folder, OTHER), capsys)
    assert (status, "another key" in said) == (1, True)


def test_an_attestation_signed_by_another_key_is_refused_though_the_package_is_signed(folder: Path, capsys: Any):
    """Whoever may sign packages cannot slip in a result that somebody else signed."""
    foreign = made.files_of(made.zipped(key=OTHER))
    files = made.files_of(made.zipped())
    name = next(one for one in files if "holdout" in one)
    files[name] = foreign[name]
    resigned = made.unpacked(made.resigned(files), folder.parent / "resigned")
    status, said = checked(resigned, made.key_file(folder), capsys)
    assert (status, f"{name}: not signed by the key" in said) == (1, True)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"digest": "0" * 64}, "its digest is not that of its content"),
        ({"subject": "1" * 64}, "speaks of something else|speaks of neither"),
    ],
)
def test_a_result_that_contradicts_itself_is_refused(change: dict[str, str], why: str, folder: Path, capsys: Any):
    files = made.files_of(made.zipped())
    name = next(one for one in files if "holdout" in one)
    files[name] = made.rewritten(files[name], **change)
    resigned = made.unpacked(made.resigned(files), folder.parent / "resigned")
    _, said = checked(resigned, made.key_file(folder), capsys)
    assert any(one in said for one in why.split("|")), said


def test_openssf_model_signing_accepts_it_offline_and_refuses_it_after_a_flipped_byte(folder: Path):
    key = made.key_file(folder)
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(folder)]
    command += ["--signature", str(folder / "model.sig"), "--public_key", str(key)]
    good = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (good.returncode, "Verification succeeded" in good.stdout) == (0, True)
    model = folder / "model.skops"
    model.write_bytes(b"\x00" + model.read_bytes()[1:])
    bad = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (bad.returncode, "Verification failed" in bad.stderr) == (1, True)


@pytest.mark.parametrize("name", ["model.skops", "bom.cdx.json", "attestations/provenance.dsse.json", "model.sig"])
def test_openssf_model_signing_refuses_every_changed_file(name: str, folder: Path):
    key = made.key_file(folder)
    verifier = verifying.Config().use_elliptic_key_verifier(public_key=key)
    verifier.verify(folder, folder / "model.sig")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 3] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(Exception):  # noqa: B017, PT011 - the tool has many, down to those of its JSON reader
        verifying.Config().use_elliptic_key_verifier(public_key=key).verify(folder, folder / "model.sig")


def test_securesystemslib_accepts_every_attestation_and_refuses_a_flipped_byte(data: bytes):
    files = made.files_of(data)
    names = [name for name in files if name.endswith(".dsse.json")]
    public = made.KEY.public_key()
    key = SSlibKey.from_crypto(public, keyid=p256.key_hint(public))
    assert len(names) == 3
    for name in names:
        envelope = Envelope.from_dict(json.loads(files[name]))
        assert set(envelope.verify([key], 1)) == {key.keyid}
        envelope.payload = envelope.payload[:-1] + b"]"
        with pytest.raises(VerificationError):
            envelope.verify([key], 1)


def statement(files: dict[str, bytes], name: str) -> dict[str, Any]:
    return dict(json.loads(Envelope.from_dict(json.loads(files[name])).payload))


def test_provenance_has_what_slsa_requires_and_names_model_data_and_code(data: bytes):
    found = statement(made.files_of(data), "attestations/provenance.dsse.json")
    assert (found["_type"], found["predicateType"]) == (
        "https://in-toto.io/Statement/v1",
        "https://slsa.dev/provenance/v1",
    )
    assert found["subject"] == [{"name": "model.skops", "digest": {"sha256": sha256(made.MODEL)}}]
    definition, details = found["predicate"]["buildDefinition"], found["predicate"]["runDetails"]
    assert definition["buildType"] == "urn:countersign:build:pipeline-run-v1"
    assert definition["externalParameters"]["parameters"] == {"source": "adult.csv"}
    assert details["builder"]["id"] == "urn:countersign:builder:engine"
    resolved = {one["name"]: one["digest"]["sha256"] for one in definition["resolvedDependencies"]}
    assert resolved == {"specification": "e" * 64, "code": "c" * 64, "adult/load.table v1": "f" * 64}


def test_a_result_carries_the_content_that_its_digest_is_of(data: bytes):
    files = made.files_of(data)
    for one in made.facts().findings:
        name = f"attestations/{one.kind}-{one.digest[:16]}.dsse.json"
        predicate = statement(files, name)["predicate"]
        assert hashlib.sha256(canonical_json(predicate["content"])).hexdigest() == predicate["digest"] == one.digest


@pytest.mark.parametrize(
    "known",
    [
        made.facts(),
        made.facts(training={}, data=[], findings=[], run={"id": "r"}),
        made.facts(origin=EXTERNAL, training=SCAN, data=[Data("a" * 64, "declared", "training data")]),
        made.facts(data=[Data("b" * 64, "source", "päth/<b>.csv", 3, [{"name": "ssn", "personal": True}])]),
    ],
    ids=["house", "bare", "external", "personal"],
)
def test_the_bill_of_materials_is_valid_cyclonedx_with_its_card(known: Any):
    files = made.files_of(made.zipped(known))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(files["bom.cdx.json"].decode()) is None
    bill = json.loads(files["bom.cdx.json"])
    component = bill["metadata"]["component"]
    assert (component["type"], component["hashes"][0]["content"]) == ("machine-learning-model", known.digest)
    assert len(component["modelCard"]["modelParameters"]["datasets"]) == len(known.data)


def test_the_card_in_the_bill_has_figures_with_slices_and_intervals_and_what_did_not_pass(data: bytes):
    card = json.loads(made.files_of(data)["bom.cdx.json"])["metadata"]["component"]["modelCard"]
    first, second = card["quantitativeAnalysis"]["performanceMetrics"][:2]
    assert first == {
        "type": "accuracy",
        "value": "0.871",
        "confidenceInterval": {"lowerBound": "0.862", "upperBound": "0.88"},
    }
    assert second == {"type": "accuracy", "value": "0.871", "slice": "sex=Female"}
    limits = card["considerations"]["technicalLimitations"]
    assert limits == ["slice metrics: fail. slice_metrics was measured"]


def test_schemas_describe_a_row_and_an_answer(data: bytes):
    files = made.files_of(data)
    row, answer = (json.loads(files[f"schema/{name}.json"]) for name in ("input", "output"))
    jsonschema.validate({"age": 40, "sex": None}, row)
    jsonschema.validate({"label": "yes", "probabilities": {"no": 0.25, "yes": 0.75}}, answer)
    for wrong, schema in (({"age": "old", "sex": "f"}, row), ({"age": 4}, row), ({"label": "maybe"}, answer)):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_an_external_models_schema_is_the_declared_one():
    files = made.files_of(made.zipped(made.facts(origin=EXTERNAL, training=SCAN, media_type="application/x-onnx")))
    assert json.loads(files["schema/input.json"])["properties"]["age"] == {"type": ["number", "null"], "minimum": 17.0}
    assert json.loads(files["schema/output.json"])["required"] == ["value"]
    assert files["model.onnx"] == made.MODEL
    provenance = statement(files, "attestations/provenance.dsse.json")["predicate"]["buildDefinition"]
    assert provenance["externalParameters"]["declared"] == EXTERNAL


def test_a_converted_model_is_another_subject_of_the_same_package(folder: Path, capsys: Any):
    known = made.facts(onnx={"digest": sha256(made.ONNX), "inputs": {"age": "age"}})
    path = made.unpacked(made.files_of(made.zipped(known)), folder.parent / "both")
    assert checked(path, made.key_file(folder), capsys)[0] == 0
    assert (path / "model.onnx").read_bytes() == made.ONNX
    (path / "model.onnx").write_bytes(made.MODEL)
    assert checked(path, made.key_file(folder), capsys)[0] == 1


def test_requirements_are_exact_and_nothing_else_gets_into_them(data: bytes):
    lines = made.files_of(data)["requirements.txt"].decode().splitlines()
    locked = [line for line in lines if not line.startswith("#")]
    assert locked == ["Django==5.2.19", "numpy==2.4.6"]
    assert all(str(Requirement(line).specifier).startswith("==") for line in locked)


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/cron.d/x", "a\\b", "a/../../b"])
def test_names_that_lead_outside_are_refused_before_anything_is_read(name: str, data: bytes, folder: Path, capsys: Any):
    path = folder.parent / "package.zip"
    path.write_bytes(made.with_member(data, name))
    status, said = checked(path, made.key_file(folder), capsys)
    assert (status, "not a name of a file" in said) == (1, True)


def test_a_file_that_stands_twice_is_refused(data: bytes, folder: Path, capsys: Any):
    path = folder.parent / "package.zip"
    with pytest.warns(UserWarning, match="Duplicate name"):
        path.write_bytes(made.with_member(data, "model.skops"))
    assert "there twice" in checked(path, made.key_file(folder), capsys)[1]


def test_what_is_no_package_is_told_and_never_a_traceback(folder: Path, capsys: Any):
    key = made.key_file(folder)
    empty = folder.parent / "empty"
    empty.mkdir()
    (folder.parent / "text.zip").write_bytes(b"no zip")
    for path in (empty, folder.parent / "text.zip", folder.parent / "absent.zip"):
        status, said = checked(path, key, capsys)
        assert (status, said.splitlines()[-1]) == (1, "NOT VERIFIED")
    assert verify_bundle.main([str(folder), "--key", str(folder / "model.sig")]) == 1
