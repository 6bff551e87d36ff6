"""Each thing an installation can lack is broken for real, and doctor must name it and say how to mend it."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings as installed
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from controlplane import doctor, heartbeat
from controlplane.doctor import Status
from pipelines.models import Run, StepRun
from pipelines.services import registration, runs
from security.log import keys as log_keys
from security.log import publishing, triggers
from security.log.events import Event
from security.log.models import AuditEvent, Delivery
from security.log.services import record
from security.vault import services as vault
from security.vault.models import Artifact
from tests.security.identity.test_second_factor import enrol_totp

SPEC = """
apiVersion: countersign/v1
kind: Pipeline
metadata: {name: ill}
steps: [{name: one, uses: test.misbehave@1, with: {how: work}}]
"""


@pytest.fixture
def run(people) -> Run:
    version = registration.register(acting_user=people.engineer, system=people.system, text=SPEC).version
    return runs.create(acting_user=people.engineer, version=version)


@pytest.fixture
def artifact(people) -> Artifact:
    return vault.keep(
        vault.put(iter([b"content"])), acting_user=people.engineer, system=people.system, media_type="text/plain"
    )


@pytest.fixture
def worker() -> Iterator[None]:
    """A worker that has just given a sign of life."""
    heartbeat.folder().mkdir(exist_ok=True)
    (heartbeat.folder() / "here-1").touch()
    yield
    (heartbeat.folder() / "here-1").unlink()


def found(check: str) -> doctor.Finding:
    return next(finding for finding in doctor.examine() if finding.check == check)


def test_a_sound_installation_has_no_failure(artifact: Artifact, worker: None) -> None:
    findings = list(doctor.examine())
    assert [finding.check for finding in findings] == list(doctor.CHECKS)
    assert [finding for finding in findings if finding.status is Status.FAIL] == []


def test_an_unapplied_migration_says_migrate(db: None) -> None:
    MigrationRecorder(connection).record_unapplied("governance", "0002_insert_only")
    finding = found("migrations")
    assert finding.status is Status.FAIL
    assert "governance.0002_insert_only" in finding.detail
    assert finding.mend == "Run manage.py migrate."


def test_it_says_loudly_that_no_second_factor_is_asked_and_who_has_none(people, settings) -> None:
    finding = found("second factors")
    assert finding.status is Status.WARN
    assert "NOT asked" in finding.detail
    settings.REQUIRE_MFA = True
    finding = found("second factors")
    assert finding.status is Status.WARN
    assert "admin, olga, rosa, vera" in finding.detail
    assert "erin" not in finding.detail
    for person in (people.admin, people.owner, people.risk_officer, people.validator):
        enrol_totp(person)
    assert found("second factors").status is Status.OK


def test_a_log_that_nobody_outside_keeps_is_said(people) -> None:
    finding = found("witnesses")
    assert finding.status is Status.WARN
    assert "a second version of the log would not show" in finding.detail
    assert "LOG_POLICY" in finding.mend


def test_a_store_that_was_told_is_well_and_one_that_is_away_is_named(people, settings, tmp_path) -> None:
    place = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path / "outside"}}
    settings.STORAGES = {**settings.STORAGES, "checkpoints": place}
    publishing.push()
    assert found("witnesses").status is Status.OK
    Delivery.objects.update(failures=doctor.FAILURES + 1, error="no answer")
    finding = found("witnesses")
    assert (finding.status, "no answer" in finding.detail) == (Status.WARN, True)


def test_somebody_outside_with_another_log_is_a_failure(people, settings, tmp_path) -> None:
    place = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = {**settings.STORAGES, "checkpoints": place}
    publishing.push()
    folder = next(path for path in tmp_path.iterdir() if len(path.name) == 64)
    newest = max(folder.iterdir())
    newest.rename(folder / f"{int(newest.name) + 100:019d}")
    with transaction.atomic():
        record(Event.USER_SIGNED_OUT, acting_user=people.admin, subject="urn:countersign:user:x")
    publishing.push()
    finding = found("witnesses")
    assert finding.status is Status.FAIL
    assert "holds a log that this one does not continue" in finding.detail
    assert "verify_log --expect" in finding.mend


def test_a_policy_that_cannot_be_read_is_a_failure(people, settings, tmp_path) -> None:
    settings.LOG_POLICY = str(tmp_path / "policy")
    assert found("witnesses").status is Status.FAIL
    (tmp_path / "policy").write_text("trust me\n")
    finding = found("witnesses")
    assert (finding.status, "line 1" in finding.detail) == (Status.FAIL, True)


def test_missing_triggers_are_found_and_put_back(people) -> None:
    triggers.remove(connection)
    finding = found("append-only log")
    assert finding.status is Status.FAIL
    assert "--restore-triggers" in finding.mend
    doctor.restore_triggers()
    assert found("append-only log").status is Status.OK


def test_a_broker_that_does_not_answer_is_found(db: None, settings) -> None:
    settings.BROKER_URL = "redis://127.0.0.1:1/0"
    before = current_app.conf.broker_url, current_app.conf.broker_write_url
    current_app.conf.broker_url = current_app.conf.broker_write_url = settings.BROKER_URL
    try:
        finding = found("broker")
    finally:
        current_app.conf.broker_url, current_app.conf.broker_write_url = before
    assert finding.status is Status.FAIL
    assert "BROKER_URL" in finding.mend


def test_a_queue_folder_that_is_gone_is_found(db: None, settings, tmp_path: Path) -> None:
    settings.BROKER_URL = installed.EMBEDDED_QUEUE
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_in": str(tmp_path / "gone")}
    finding = found("broker")
    assert (finding.status, finding.detail) == (Status.FAIL, "the queue's folder cannot be written")


def test_no_sign_of_a_worker_is_unknown_not_fine(db: None, settings, tmp_path: Path) -> None:
    settings.VAR, settings.CELERY_WORKER_ENABLE_REMOTE_CONTROL = tmp_path, False
    assert found("worker").status is Status.UNKNOWN
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers" / "here-1").touch()
    assert found("worker").status is Status.OK
    assert heartbeat.alive() == ["here-1"]


def test_the_sign_of_a_dead_worker_does_not_count(db: None, settings, tmp_path: Path) -> None:
    settings.VAR, settings.CELERY_WORKER_ENABLE_REMOTE_CONTROL = tmp_path, False
    (tmp_path / "workers").mkdir()
    path = tmp_path / "workers" / "here-1"
    path.touch()
    os.utime(path, (time.time() - 60, time.time() - 60))
    assert found("worker").status is Status.UNKNOWN


def test_steps_that_nobody_takes_back_name_the_clock(run: Run) -> None:
    StepRun.objects.update(state="running", lease_expires_at=timezone.now() - timedelta(hours=1))
    finding = found("reaper")
    assert finding.status is Status.FAIL
    assert "celery beat" in finding.mend


def test_a_keyring_that_others_can_read_is_found(artifact: Artifact, settings) -> None:
    Path(settings.VAULT_KEYRING).chmod(0o644)
    finding = found("keyring")
    assert finding.status is Status.FAIL
    assert "0644" in finding.detail


def test_a_lost_keyring_is_found_and_not_replaced(artifact: Artifact, settings) -> None:
    Path(settings.VAULT_KEYRING).unlink()
    finding = found("keyring")
    assert finding.status is Status.FAIL
    assert "backup" in finding.mend
    assert found("vault").status is Status.FAIL
    assert not Path(settings.VAULT_KEYRING).exists()


def test_a_keyring_without_a_key_in_use_is_found(artifact: Artifact) -> None:
    Artifact.objects.update(key_id="k-of-old")
    finding = found("keyring")
    assert (finding.status, finding.detail) == (
        Status.FAIL,
        "the keyring has no key 'k-of-old': restore the keyring this vault was written with",
    )


def test_a_vault_that_cannot_be_written_is_found(artifact: Artifact, settings, tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    options = dict(settings.STORAGES["vault"]["OPTIONS"], location=tmp_path / "a file")
    settings.STORAGES = {**settings.STORAGES, "vault": {**settings.STORAGES["vault"], "OPTIONS": options}}
    finding = found("vault")
    assert finding.status is Status.FAIL
    assert "make room" in finding.mend


def test_the_vault_check_leaves_nothing_behind(artifact: Artifact) -> None:
    assert found("vault").status is Status.OK
    assert len([path for path in Path(vault.store().location).rglob("*") if path.is_file()]) == 1


def test_a_damaged_artifact_is_found(artifact: Artifact) -> None:
    path = Path(vault.store().path(artifact.object_name))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert found("artifact").status is Status.FAIL


def test_an_edited_log_is_found_even_beyond_the_first_thousand(people, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LOG_ENTRIES", 5)
    assert found("audit log").status is Status.OK
    triggers.remove(connection)
    last = AuditEvent.objects.order_by("-index").values_list("index", flat=True)[1]
    AuditEvent.plain.filter(leaf__index=last).update(actor="urn:countersign:user:somebody-else")
    finding = found("audit log")
    assert finding.status is Status.FAIL
    assert f"entry {last}: edited" in finding.detail
    assert "verify_log" in finding.mend


def test_a_clock_that_runs_behind_the_log_is_found(people) -> None:
    triggers.remove(connection)
    AuditEvent.plain.update(time=timezone.now() + timedelta(hours=1))
    assert "in the future" in found("clock").detail


def test_a_full_disk_is_found(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MIN_FREE_BYTES", 2**60)
    assert "Make room" in found("disk").mend


def test_a_source_root_that_is_gone_is_named(db: None, settings, tmp_path: Path) -> None:
    settings.SOURCE_ROOTS = [tmp_path / "gone"]
    assert str(tmp_path / "gone") in found("sources").detail


def test_production_without_https_or_static_files_is_found(db: None, settings, tmp_path: Path) -> None:
    settings.PRODUCTION, settings.HTTPS, settings.STATIC_ROOT = True, False, tmp_path
    assert "COUNTERSIGN_HTTPS=1" in found("https").mend
    assert "collectstatic" in found("static files").mend


def test_a_missing_package_is_named(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_requirements", lambda: ["django>=5", "django<5", "no-such-package>=1"])
    assert found("packages").detail.endswith(": django<5, no-such-package>=1")


def test_what_a_check_does_not_foresee_is_its_failure(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> doctor.Answer:
        raise RuntimeError("secret")

    monkeypatch.setitem(doctor.CHECKS, "clock", broken)
    finding = found("clock")
    assert finding.status is Status.FAIL
    assert "secret" not in str(finding)


def test_json_has_every_check_and_failures_are_the_status(artifact: Artifact, worker: None, settings, capsys) -> None:
    call_command("doctor", "--json")
    assert [one["check"] for one in json.loads(capsys.readouterr().out)] == list(doctor.CHECKS)
    settings.SOURCE_ROOTS = [Path("/no/such/folder")]
    with pytest.raises(SystemExit) as ended:
        call_command("doctor")
    assert ended.value.code == 1
    assert "→ Make the folders, or mend SOURCE_ROOTS." in capsys.readouterr().out


def test_a_log_key_that_others_can_read_is_found(people, settings: pytest.FixtureRequest, tmp_path: Path) -> None:
    assert found("log key").status is Status.OK
    own, settings.LOG_KEY = Path(settings.LOG_KEY), tmp_path / "log_key"
    shutil.copy2(log_keys.public_path(own), tmp_path / "log_key.pub")
    assert "public keys only" in found("log key").detail  # as web and worker see it in production
    shutil.copy2(own, settings.LOG_KEY)
    settings.LOG_KEY.chmod(0o644)
    assert "can be read by others" in found("log key").detail
    settings.LOG_KEY.chmod(0o600)
    assert found("log key").status is Status.OK


def test_a_log_key_of_another_log_is_found(people, settings: pytest.FixtureRequest, tmp_path: Path) -> None:
    settings.LOG_KEY = tmp_path / "log_key"
    log_keys.signers()
    assert found("log key").status is Status.FAIL
    assert "a log keeps its key" in found("log key").mend


def test_events_that_nobody_numbers_are_found(people, settings: pytest.FixtureRequest) -> None:
    assert found("sequencer").status is Status.OK
    settings.LOG_SEQUENCER, settings.LOG_LATE_SECONDS = "process", 0
    people.make_system("more")
    finding = found("sequencer")
    assert (finding.status, "log_sequencer" in finding.mend) == (Status.FAIL, True)
