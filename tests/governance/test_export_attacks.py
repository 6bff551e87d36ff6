"""Attacks on an export by whoever can change its files, and by insiders who got something false into the log."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from governance.models import Approval
from governance.services.reviews import submit, vote
from pipelines.models import Evidence
from security.access.models import RoleGrant
from security.access.services import grant_role, revoke_role
from security.access.table import Role
from security.canonical import digest_of, urn
from security.log.events import Event
from security.log.services import record
from security.vault import services as vault
from tests.support.bundles import (
    Files,
    changed,
    export,
    files_of,
    remade,
    run_verify,
    unpack,
)
from tests.support.models import add_evidence, make_model_version
from tests.support.people import PASSWORD

# --------------------------------------------------------------------------------------------- changed after the export


def change_evidence(files: Files) -> Files:
    return changed(files, "evidence.json", lambda d: d["evidence"][0]["content"].update(verdict="fail"))


def change_evidence_and_its_digest(files: Files) -> Files:
    def change(document: Any) -> None:
        row = document["evidence"][0]
        row["content"]["measurements"][0]["value"] = 0.99
        row["digest"] = digest_of(row["content"])

    return changed(files, "evidence.json", change)


def remove_evidence(files: Files) -> Files:
    return changed(files, "evidence.json", lambda d: d["evidence"].pop())


def first_vote(document: Any) -> Any:
    return document["reviews"][0]["votes"][0]


def change_vote(files: Files) -> Files:
    return changed(files, "decisions.json", lambda d: first_vote(d)["content"].update(reason="I never said that."))


def change_vote_and_its_digest(files: Files) -> Files:
    def change(document: Any) -> None:
        row = first_vote(document)
        row["content"]["printed_name"] = "Somebody Else"
        row["digest"] = digest_of(row["content"])

    return changed(files, "decisions.json", change)


def remove_vote(files: Files) -> Files:
    return changed(files, "decisions.json", lambda d: d["reviews"][0]["votes"].pop())


def copy_vote(files: Files) -> Files:
    return changed(files, "decisions.json", lambda d: d["reviews"][0]["votes"].append(first_vote(d)))


def remove_review(files: Files) -> Files:
    return changed(files, "decisions.json", lambda d: d["reviews"].pop())


def remove_approval(files: Files) -> Files:
    return changed(files, "decisions.json", lambda d: d["reviews"][0].update(approval=None))


def prolong_approval(files: Files) -> Files:
    def change(document: Any) -> None:
        approval = document["reviews"][0]["approval"]
        approval["content"]["valid_until"] = "2099-01-01T00:00:00.000000Z"
        approval["digest"] = digest_of(approval["content"])

    return changed(files, "decisions.json", change)


def invent_revocation(files: Files) -> Files:
    revocation = {"approval": "x", "revoked_at": "", "revoked_by": "", "reason": ""}
    return changed(files, "decisions.json", lambda d: d["reviews"][0]["approval"].update(revocation=revocation))


def change_subject(files: Files) -> Files:
    return changed(files, "decisions.json", lambda d: d["reviews"][0]["subject"]["data"].pop())


def soften_policy(files: Files) -> Files:
    return changed(files, "policy.json", lambda d: d["policies"][0]["content"]["approvals"].pop())


def hide_source(files: Files) -> Files:
    def change(document: Any) -> None:
        document["nodes"] = [node for node in document["nodes"] if node["kind"] != "source"]

    return changed(files, "lineage.json", change)


def swap_report(files: Files) -> Files:
    name = next(name for name in files if name.startswith("reports/"))
    return {**files, name: b'{"accuracy":1}'}


def change_spec(files: Files) -> Files:
    name = next(name for name in files if name.startswith("pipelines/"))
    return {**files, name: files[name] + b" "}


def change_manifest_model(files: Files) -> Files:
    return changed(files, "manifest.json", lambda d: d["subject"].update(digest="0" * 64))


def change_requester(files: Files) -> Files:
    other = {"id": "00000000-0000-4000-8000-000000000000", "name": "Nobody"}
    return changed(files, "manifest.json", lambda d: d.update(requested_by=other))


ATTACKS = [
    change_evidence,
    change_evidence_and_its_digest,
    remove_evidence,
    change_vote,
    change_vote_and_its_digest,
    remove_vote,
    copy_vote,
    remove_review,
    remove_approval,
    prolong_approval,
    invent_revocation,
    change_subject,
    soften_policy,
    hide_source,
    swap_report,
    change_spec,
    change_manifest_model,
    change_requester,
]


def test_every_attack_is_caught_even_with_a_manifest_made_to_fit(people, approved, tmp_path):
    files = files_of(export(people.auditor, approved))
    missed = {}
    for attack in ATTACKS:
        attacked = remade(attack(files))
        assert attacked != remade(files)
        result = run_verify(unpack(attacked, tmp_path / attack.__name__))
        if result.returncode != 1 or "WRONG" not in result.stdout or "cannot be read" in result.stdout:
            missed[attack.__name__] = result.stdout + result.stderr
    assert not missed
    control = run_verify(unpack(remade(files), tmp_path / "control"))
    assert control.returncode == 0, control.stdout


@pytest.mark.parametrize(
    "name", ["evidence.json", "log.jsonl", "verify_export.py", "README.txt", "checkpoint", "lineage.json"]
)
def test_a_changed_a_missing_and_an_added_file_are_named(people, approved, tmp_path, name):
    files = files_of(export(people.auditor, approved))
    flipped = bytearray(files[name])
    flipped[len(flipped) // 2] ^= 1
    result = run_verify(unpack({**files, name: bytes(flipped)}, tmp_path / "changed"))
    assert (result.returncode, f"{name} was changed" in result.stdout) == (1, True)
    rest = {other: content for other, content in files.items() if other != name}
    result = run_verify(unpack(rest, tmp_path / "missing"))
    assert (result.returncode, f"{name} is missing" in result.stdout) == (1, True)
    result = run_verify(unpack({**files, "more.json": b"{}"}, tmp_path / "added"))
    assert (result.returncode, "more.json was added" in result.stdout) == (1, True)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_a_cut_zip_is_refused(people, approved, tmp_path, part):
    data = export(people.auditor, approved)
    path = tmp_path / "cut.zip"
    path.write_bytes(data[: int(len(data) * part)])
    result = run_verify(path)
    assert result.returncode == 1
    assert "NOT VERIFIED" in result.stdout


def test_a_flipped_byte_anywhere_in_the_zip_never_passes_unseen(people, approved, tmp_path):
    data = export(people.auditor, approved)
    names = files_of(data)
    path = tmp_path / "flipped.zip"
    for position in range(40, len(data), len(data) // 12):
        path.write_bytes(data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :])
        result = run_verify(path)
        if result.returncode == 0:  # a byte that no content depends on, such as a time stamp
            assert files_of(path.read_bytes()) == names


def test_a_builder_who_got_a_vote_into_the_database_is_caught(people, approved, tmp_path, monkeypatch):
    """An insider who switches the server's own check off still leaves a log that convicts them."""
    grant_role(acting_user=people.admin, user=people.engineer, role=Role.RISK_OFFICER, system=people.system)
    second = make_model_version(people.system, people.engineer, name="mine")
    review = submit(acting_user=people.owner, model_version=second)
    monkeypatch.setattr("governance.selectors.standing._excluded", lambda parts: {})
    for user in (people.validator, type(people.engineer).objects.get(pk=people.engineer.pk)):
        vote(acting_user=user, review=review, decision="approve", reason="Trust me.", password=PASSWORD)
    assert Approval.objects.filter(review=review).exists()
    result = run_verify(unpack(files_of(export(people.auditor, second)), tmp_path / "bundle"))
    assert result.returncode == 1
    assert "0 of 1 independent people signed as risk-officer; does not count: Erin Engineer" in result.stdout


def test_an_approval_over_a_failing_gate_is_caught(people, approved, tmp_path, monkeypatch):
    version = make_model_version(people.system, people.engineer, name="weak", verdict="fail")
    review = submit(acting_user=people.engineer, model_version=version)
    monkeypatch.setattr("governance.selectors.standing.Standing.failing", [])
    for user in (people.validator, people.risk_officer):
        vote(acting_user=user, review=review, decision="approve", reason="Fine.", password=PASSWORD)
    result = run_verify(unpack(files_of(export(people.auditor, version)), tmp_path / "bundle"))
    assert result.returncode == 1
    assert "although the gate holdout_metrics did not pass (fail)" in result.stdout


def test_a_damaged_report_is_left_out_and_said(people, approved, tmp_path):
    report = approved.training_report
    path = Path(vault.store().path(report.object_name))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    result = run_verify(unpack(files_of(export(people.auditor, approved)), tmp_path / "bundle"))
    assert result.returncode == 1
    assert f"the report {report.digest[:12]}… could not be read" in result.stdout


# ------------------------------------------------------------------------------ what the decision should not have been


def approve(people, version, *voters):
    review = submit(acting_user=people.owner, model_version=version)
    for user in voters or (people.validator, people.risk_officer):
        vote(acting_user=user, review=review, decision="approve", reason="Fine.", password=PASSWORD)
    return review


def verdict(people, version, tmp_path):
    return run_verify(unpack(files_of(export(people.auditor, version)), tmp_path / "bundle"))


def test_a_failed_result_that_was_left_out_of_the_review_is_caught(people, tmp_path):
    """An insider makes the server forget a FAIL while the review is made and signed; the log remembers it."""
    version = make_model_version(people.system, people.engineer)
    failed = add_evidence(version.step_run, "privacy_scan", version.artifact, verdict="fail")
    Evidence.objects.filter(pk=failed.pk).update(superseded_by=Evidence.objects.exclude(pk=failed.pk).first())
    approve(people, version)
    result = verdict(people, version, tmp_path)
    assert result.returncode == 1
    assert f"evidence left out that stood at the time: privacy_scan fail {failed.digest[:12]}" in result.stdout


def test_a_result_that_was_deleted_from_the_database_is_caught(people, tmp_path):
    version = make_model_version(people.system, people.engineer)
    failed = add_evidence(version.step_run, "privacy_scan", version.artifact, verdict="fail")
    failed.delete()
    approve(people, version)
    assert "evidence left out" in verdict(people, version, tmp_path).stdout


@pytest.mark.parametrize(("seed", "status"), [(7, 0), (8, 1)])
def test_a_fail_is_replaced_only_under_its_own_seed(people, tmp_path, seed, status):
    """The rule of the engine, judged again from the log: a new seed is a second draw."""
    version = make_model_version(people.system, people.engineer)
    step = version.step_run
    add_evidence(step, "privacy_scan", version.artifact, verdict="fail", seed=7)
    add_evidence(step, "privacy_scan", version.artifact, verdict="pass", seed=seed)
    approve(people, version)
    result = verdict(people, version, tmp_path)
    assert (result.returncode, "evidence left out" in result.stdout) == (status, bool(status)), result.stdout


def test_a_later_result_does_not_make_an_earlier_approval_wrong(people, approved, tmp_path):
    add_evidence(approved.step_run, "privacy_scan", approved.artifact, verdict="fail")
    result = verdict(people, approved, tmp_path)
    assert result.returncode == 0, result.stdout


def test_a_vote_in_a_role_that_was_never_granted_is_caught(people, tmp_path):
    """An insider writes the role into the table, around the service that records it."""
    RoleGrant.objects.create(user=people.nobody, role=Role.VALIDATOR, system=people.system, granted_by=people.admin)
    version = make_model_version(people.system, people.engineer)
    approve(people, version, people.nobody, people.risk_officer)
    result = verdict(people, version, tmp_path)
    assert result.returncode == 1
    assert "Nina Nobody voted as validator, but the log grants them no such role" in result.stdout


def test_a_vote_after_the_role_was_taken_away_is_caught(people, tmp_path):
    grant = RoleGrant.objects.get(user=people.validator)
    revoke_role(acting_user=people.admin, grant=grant)
    RoleGrant.objects.filter(pk=grant.pk).update(revoked_at=None)
    version = make_model_version(people.system, people.engineer)
    approve(people, version)
    assert "Vera Validator voted as validator, but the log grants" in verdict(people, version, tmp_path).stdout


def test_a_vote_after_the_role_ran_out_is_caught(people, tmp_path):
    soon = timezone.now() + timedelta(seconds=0.3)
    short = people.make("sven", "Sven Short")
    grant = grant_role(acting_user=people.admin, user=short, role=Role.VALIDATOR, system=people.system, expires_at=soon)
    time.sleep(0.4)
    RoleGrant.objects.filter(pk=grant.pk).update(expires_at=None)
    version = make_model_version(people.system, people.engineer)
    approve(people, version, short, people.risk_officer)
    assert "Sven Short voted as validator, but the log grants" in verdict(people, version, tmp_path).stdout


def test_a_role_that_somebody_gave_to_themselves_is_caught(people, tmp_path):
    with transaction.atomic():
        grant = RoleGrant.objects.create(user=people.nobody, role=Role.VALIDATOR, system=people.system)
        record(
            Event.ROLE_GRANTED,
            acting_user=people.nobody,
            subject=urn("user", people.nobody.pk),
            system="credit",
            payload={"grant": str(grant.id), "role": "validator", "expires": ""},
        )
    version = make_model_version(people.system, people.engineer)
    approve(people, version, people.nobody, people.risk_officer)
    assert "granted the role validator to themselves" in verdict(people, version, tmp_path).stdout


def test_a_role_that_was_taken_away_after_the_vote_changes_nothing(people, approved, tmp_path):
    revoke_role(acting_user=people.admin, grant=RoleGrant.objects.get(user=people.validator))
    result = verdict(people, approved, tmp_path)
    assert result.returncode == 0, result.stdout
