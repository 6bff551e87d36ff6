"""The auditor's bundle: what is in it, for whom, and that it verifies offline as it is."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest

from governance.exports import bundle_name, model_bundle
from governance.models import Approval
from governance.selectors.evidence import content_of
from governance.services.reviews import revoke, submit, vote
from pipelines.models import Evidence, ModelVersion
from security.access.services import grant_role
from security.access.table import Role
from security.canonical import digest_of
from security.errors import DeniedError, MissingError
from security.log import keys, publishing
from security.log import selectors as log
from security.log.models import AuditEvent
from tests.support.bundles import export, files_of, lines, run_verify, unpack
from tests.support.engine import errors_of, run_spec
from tests.support.models import make_model_version
from tests.support.people import PASSWORD
from tests.support.witness import StandIn, serving


def test_an_untouched_bundle_verifies_as_zip_and_unpacked(people, approved, tmp_path):
    data = export(people.auditor, approved)
    path = tmp_path / bundle_name(approved)
    path.write_bytes(data)
    result = run_verify(path)
    assert result.returncode == 0, result.stdout
    assert "VERIFIED" in result.stdout
    folder = unpack(files_of(data), tmp_path / "folder")
    command = [sys.executable, "-I", "verify_export.py", "--key", keys.verifiers()[0].vkey()]
    own = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert own.returncode == 0, own.stdout
    assert "1 reviews, 2 votes" in own.stdout
    assert "9 results recomputed" in own.stdout


def test_an_export_is_on_record_and_ends_the_log_that_it_holds(people, approved):
    files = files_of(export(people.auditor, approved))
    manifest = json.loads(files["manifest.json"])
    assert manifest["log"]["size"] == log.head()[0]
    assert files["checkpoint"].decode() == log.latest().note
    assert files["log.vkey"].decode().split() == [key.vkey() for key in keys.verifiers()]
    last = AuditEvent.objects.order_by("-index").first()
    assert (last.event, last.index) == ("export:created", manifest["log"]["export"])
    assert manifest["requested_by"]["name"] == "Aldo Auditor"
    assert set(files) >= {"README.txt", "lineage.json", "evidence.json", "decisions.json", "policy.json", "log.jsonl"}


def test_who_may_not_export_is_refused_before_the_first_byte(people, approved):
    with pytest.raises(DeniedError, match=r"export\.create"):
        model_bundle(acting_user=people.engineer, model_version=approved)
    with pytest.raises(MissingError):
        model_bundle(acting_user=people.outsider, model_version=approved)
    assert not AuditEvent.objects.filter(event="export:created").exists()


def test_another_systems_events_are_leaf_hashes_and_the_tree_still_verifies(people, approved, tmp_path):
    make_model_version(people.other, people.outsider, name="secret-model")
    files = files_of(export(people.auditor, approved))
    assert "secret-model" not in files["log.jsonl"].decode()
    hidden = [row["index"] for row in lines(files) if "entry" not in row]
    assert hidden
    assert all(set(row) == {"index", "leaf"} for row in lines(files) if row["index"] in hidden)
    shown = {json.loads(row["entry"])["system"] for row in lines(files) if "entry" in row}
    assert shown == {"credit", ""}
    names = {json.loads(row["entry"])["event"] for row in lines(files) if '"system":""' in row.get("entry", "")}
    assert names == {"statement-key:announced"}  # which belongs to no system, and without which nothing is verified
    result = run_verify(unpack(files, tmp_path / "bundle"))
    assert result.returncode == 0, result.stdout
    assert f"note   {len(hidden)} entries of the log are hidden ({hidden[0]}" in result.stdout
    strict = run_verify(tmp_path / "bundle", "--whole")
    assert (strict.returncode, f"{len(hidden)} entries are hidden" in strict.stdout) == (1, True)


def test_a_rejected_and_a_revoked_review_verify_too(people, approved, tmp_path):
    revoke(acting_user=people.validator, approval=Approval.objects.get(), reason="It drifts.", password=PASSWORD)
    again = submit(acting_user=people.engineer, model_version=approved)
    vote(acting_user=people.validator, review=again, decision="reject", reason="Drift.", password=PASSWORD)
    result = run_verify(unpack(files_of(export(people.auditor, approved)), tmp_path / "bundle"))
    assert result.returncode == 0, result.stdout


def test_who_becomes_a_builder_after_the_issue_does_not_break_the_proof(people, approved, tmp_path):
    grant_role(acting_user=people.admin, user=people.validator, role=Role.ENGINEER, system=people.system)
    make_model_version(people.system, people.validator, name="later")
    result = run_verify(unpack(files_of(export(people.auditor, approved)), tmp_path / "bundle"))
    assert result.returncode == 0, result.stdout


def test_an_export_for_who_sees_all_systems_hides_nothing(people, approved, tmp_path):
    chief = people.make("carla", "Carla Chief")
    grant_role(acting_user=people.admin, user=chief, role=Role.AUDITOR)
    result = run_verify(unpack(files_of(export(chief, approved)), tmp_path / "bundle"), "--whole")
    assert result.returncode == 0, result.stdout
    assert "hidden" not in result.stdout


def test_the_roles_of_voters_are_shown_even_where_they_were_given_for_all_systems(people, tmp_path):
    version = make_model_version(people.system, people.engineer)
    review = submit(acting_user=people.engineer, model_version=version)
    everywhere = people.make("gina", "Gina Global")
    grant_role(acting_user=people.admin, user=everywhere, role=Role.VALIDATOR)
    for user in (everywhere, people.risk_officer):
        vote(acting_user=user, review=review, decision="approve", reason="Sound.", password=PASSWORD)
    files = files_of(export(people.auditor, version))
    shown = [json.loads(row["entry"]) for row in lines(files) if "entry" in row]
    assert [(e["event"], e["subject"]) for e in shown if e["system"] == "" and e["event"].startswith("role:")] == [
        ("role:granted", f"urn:countersign:user:{everywhere.pk}")
    ]
    result = run_verify(unpack(files, tmp_path / "bundle"))
    assert result.returncode == 0, result.stdout


def test_without_the_logs_key_nothing_is_called_verified(people, approved, tmp_path):
    folder = unpack(files_of(export(people.auditor, approved)), tmp_path / "bundle")
    result = run_verify(folder, key=None)
    assert result.returncode == 2
    assert "VERIFIED" not in result.stdout
    assert "AGREES WITH ITSELF" in result.stdout
    assert keys.verifiers()[0].name in result.stdout


def test_a_witnesss_word_is_in_the_bundle_and_counted(people, approved, tmp_path, settings):
    witness = StandIn("witness.example/w1", keys.verifiers()[0])
    with serving(witness) as url:
        policy = tmp_path / "policy"
        policy.write_text(f"witness w1 {witness.verifier.vkey()} {url}\nquorum w1\n")
        settings.LOG_POLICY = str(policy)
        seen = log.head()[0]
        publishing.push()
        folder = unpack(files_of(export(people.auditor, approved)), tmp_path / "bundle")
    told = ("--witness", witness.verifier.vkey(), "--quorum", "1")
    result = run_verify(folder, *told)
    assert result.returncode == 0, result.stdout
    assert f"witnesses saw the first {seen} entries" in result.stdout
    assert "is not shown" not in result.stdout
    other = StandIn("witness.example/w1", seed=b"o" * 32).verifier.vkey()
    result = run_verify(folder, "--witness", other, "--quorum", "1")
    assert (result.returncode, "0 of the 1 witnesses" in result.stdout) == (1, True)


def test_no_table_and_no_model_is_in_the_bundle(people, approved):
    files = files_of(export(people.auditor, approved))
    reports = {name for name in files if name.startswith("reports/")}
    assert reports == {f"reports/{approved.training_report.digest}.json"}
    digests = {hashlib.sha256(content).hexdigest() for content in files.values()}
    assert approved.artifact.digest not in digests


def test_a_real_run_is_exported_and_verified(people, data_root, tmp_path):
    rows = "\n".join(f"{i},{i % 7},{int(i % 7 > 3)}" for i in range(200))
    (data_root / "tiny.csv").write_text(f"a,b,label\n{rows}\n")
    text = """
apiVersion: countersign/v1
kind: Pipeline
metadata: {name: tiny, title: Tiny}
steps:
  - {name: load, uses: extract.csv@1, with: {path: tiny.csv}}
  - {name: train, uses: train.sklearn@1, inputs: {table: load.table},
     with: {target: label, estimator: logistic_regression}}
  - {name: evaluate, uses: evaluate.classification@1, inputs: {model: train.model, table: load.table},
     with: {target: label}}
  - {name: register, uses: register.model@1, inputs: {model: train.model, training: train.report},
     with: {model: tiny}}
"""
    run = run_spec(text, user=people.engineer, system=people.system)
    assert errors_of(run) == {}
    for row in Evidence.objects.select_related("subject", "report", "step_run"):
        assert digest_of(content_of(row)) == row.digest
    version = ModelVersion.objects.get()
    submit(acting_user=people.engineer, model_version=version)
    result = run_verify(unpack(files_of(export(people.auditor, version)), tmp_path / "bundle"))
    assert result.returncode == 0, result.stdout
