"""Erasure: the key is gone, everything else stays, and neither a run nor a backup brings the bytes back."""

from __future__ import annotations

import hashlib
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import transaction
from django.test import Client

from controlplane import doctor
from security.canonical import urn
from security.errors import ConflictError, DeniedError, InvalidError, ShreddedError, UnavailableError
from security.log.events import Event
from security.log.models import AuditEvent, Personal
from security.log.services import record
from security.vault import envelope, rotation, shredding
from security.vault import services as vault
from security.vault.models import Artifact
from tests.support.api import PROBLEM, Api, stored
from tests.support.people import People

CONTENT = b'{"name": "Erika Mustermann"}'
COLUMNS = ("provider", "key_id", "key_version", "wrapped_key", "shredded_at")


@pytest.fixture
def artifact(people: People) -> Artifact:
    return stored(people.system, CONTENT)


@pytest.fixture
def shredded(people: People, artifact: Artifact) -> Artifact:
    assert vault.read(artifact) == CONTENT  # its key is kept in this process
    return shredding.shred(acting_user=people.owner, artifact=artifact, ground="consent-withdrawn")


def test_afterwards_every_way_of_reading_says_erased(people: People, shredded: Artifact, tmp_path: Path):
    for read in (
        lambda: vault.read(shredded),
        lambda: list(vault.chunks_of(shredded)),
        lambda: vault.open_range(shredded),
        lambda: vault.copy_to(shredded, tmp_path / "copy"),
    ):
        with pytest.raises(ShreddedError, match="was erased on"):
            read()
    assert list(tmp_path.glob("*copy*")) == []
    for method in ("get", "head"):
        answer = getattr(Api(people.engineer), method)(f"artifacts/{shredded.pk}/content")
        assert (answer.status_code, answer["Content-Type"]) == (410, PROBLEM)


def test_a_process_that_holds_an_older_row_reads_nothing_either(artifact: Artifact, people: People):
    before = Artifact.objects.get(pk=artifact.pk)
    shredding.shred(acting_user=people.owner, artifact=artifact, ground="unlawful")
    with pytest.raises(ShreddedError):
        vault.read(before)


def test_no_part_of_the_key_stays_and_digest_history_and_ciphertext_do(shredded: Artifact):
    row = Artifact.objects.get()
    assert bytes(row.wrapped_key) == b""
    assert (row.provider, row.key_id, row.key_version) == ("", "", "")
    assert row.digest == hashlib.sha256(CONTENT).hexdigest()
    ciphertext = Path(vault.store().path(row.object_name)).read_bytes()
    assert hashlib.sha256(ciphertext).hexdigest() == row.object_sha256
    assert envelope._KEPT._keys == {}
    assert AuditEvent.objects.filter(event=Event.ARTIFACT_STORED).count() == 1


def test_the_event_says_who_why_and_which_ciphertext_and_nothing_of_the_content(people: People, shredded: Artifact):
    event = AuditEvent.objects.get(event=Event.ARTIFACT_SHREDDED)
    assert event.actor.endswith(str(people.owner.pk))
    assert event.subject == f"urn:countersign:artifact:{shredded.pk}"
    payload = json.loads(event.entry)["payload"]
    assert payload == {
        "bytes": len(CONTENT),
        "ground": "consent-withdrawn",
        "object_sha256": shredded.object_sha256,
    }


def test_personal_values_in_events_about_it_go_too(people: People, artifact: Artifact):
    subject = urn("artifact", artifact.pk)
    with transaction.atomic():
        about = {"acting_user": None, "subject": subject, "system": "credit"}
        noted = record(Event.ARTIFACT_READ, **about, personal={"who": "Erika Mustermann"})
    assert Personal.objects.filter(event_id=noted.pk).exists()
    shredding.shred(acting_user=people.owner, artifact=artifact, ground="consent-withdrawn")
    assert not Personal.objects.filter(event_id=noted.pk).exists()


def test_only_the_owner_may_and_only_once_and_for_a_reason_on_the_list(people: People, artifact: Artifact):
    for person in (people.engineer, people.auditor, people.admin, people.outsider, people.risk_officer):
        with pytest.raises(DeniedError):
            shredding.shred(acting_user=person, artifact=artifact, ground="unlawful")
    with pytest.raises(InvalidError, match="no-longer-needed"):
        shredding.shred(acting_user=people.owner, artifact=artifact, ground="because Erika asked")
    assert vault.read(artifact) == CONTENT
    shredding.shred(acting_user=people.owner, artifact=artifact, ground="unlawful")
    with pytest.raises(ConflictError, match="already"):
        shredding.shred(acting_user=people.owner, artifact=artifact, ground="unlawful")


def test_the_api_does_it_for_a_session_and_not_for_a_token(people: People, artifact: Artifact):
    path, body = f"artifacts/{artifact.pk}/shred", {"ground": "objection"}
    assert Api(people.owner).post(path, body).status_code == 403
    assert Api(people.owner, session=True).post(path, {"ground": "x"}).status_code == 422
    answer = Api(people.owner, session=True).post(path, body)
    assert (answer.status_code, answer.json()["shredded_at"] is not None) == (200, True)
    assert Api(people.owner, session=True).post(path, body).status_code == 409


def test_the_page_of_a_shredded_report_says_so_and_offers_no_download(people: People, shredded: Artifact):
    client = Client()
    client.force_login(people.engineer)
    answer = client.get(f"/artifacts/{shredded.pk}/")
    assert answer.status_code == 200
    text = answer.content.decode()
    assert "its key was destroyed" in text
    assert "Download" not in text
    assert client.get(f"/artifacts/{shredded.pk}/content/").status_code == 410


def test_erased_content_is_not_stored_again_in_that_system_and_is_elsewhere(people: People, shredded: Artifact):
    with pytest.raises(ShreddedError):
        stored(people.system, CONTENT)
    files = [path for path in Path(vault.store().location).rglob("*") if path.is_file()]
    assert len(files) == 2  # the ciphertext and the mark: what was refused is gone
    assert vault.read(stored(people.other, CONTENT)) == CONTENT


def test_an_erasure_while_the_same_content_heals_is_not_undone(people: People, artifact: Artifact, monkeypatch: Any):
    """The owner erases it between the look-up of the damaged artifact and the writing of its new key."""
    Path(vault.store().path(artifact.object_name)).unlink()

    def erased_meanwhile(row: Artifact) -> bool:
        shredding.shred(acting_user=people.owner, artifact=row, ground="unlawful")
        return False

    monkeypatch.setattr(vault, "is_whole", erased_meanwhile)
    with transaction.atomic():
        put = vault.put([CONTENT])
        with pytest.raises(ShreddedError):
            vault.keep(put, acting_user=None, system=people.system, media_type="text/plain")
    assert bytes(Artifact.objects.get(pk=artifact.pk).wrapped_key) == b""
    assert not vault.store().exists(put.object_name)


def test_rotation_passes_over_what_was_shredded(people: People, shredded: Artifact):
    other = stored(people.system, b"another")
    rotation.new_key()
    assert rotation.rotate().rewrapped == 1
    assert vault.read(other) == b"another"
    with pytest.raises(ShreddedError):
        vault.read(shredded)


def test_a_restored_database_is_found_by_doctor_and_erased_again(people: People, artifact: Artifact):
    other, backup = stored(people.system, b"another"), Artifact.objects.filter(pk=artifact.pk).values(*COLUMNS).get()
    shredding.shred(acting_user=people.owner, artifact=artifact, ground="unlawful")
    assert doctor.shredding_done()[0] is doctor.Status.OK
    Artifact.objects.filter(pk=artifact.pk).update(**backup)
    assert vault.read(artifact) == CONTENT  # that is why it matters
    status, detail, mend = doctor.shredding_done()
    assert (status, detail) == (doctor.Status.FAIL, "1 artifacts were shredded and have a key again")
    assert "--reapply" in mend
    said = StringIO()
    call_command("vault_shred", reapply=True, stdout=said)
    assert "1 artifacts were shredded again" in said.getvalue()
    with pytest.raises(ShreddedError):
        vault.read(artifact)
    assert vault.read(other) == b"another"
    assert '"reapplied":true' in AuditEvent.objects.filter(event=Event.ARTIFACT_SHREDDED).last().entry


def test_a_backup_from_before_opens_nothing_once_its_key_is_retired(people: People, artifact: Artifact):
    backup = Artifact.objects.values(*COLUMNS).get()
    shredding.shred(acting_user=people.owner, artifact=artifact, ground="unlawful")
    rotation.new_key()
    rotation.rotate()
    rotation.retire(backup["key_id"], even_now=True)
    Artifact.objects.update(**backup)
    with pytest.raises(UnavailableError, match="has no key"):
        vault.read(artifact)


def test_a_store_that_takes_no_mark_changes_nothing(people: People, artifact: Artifact, monkeypatch: Any):
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(vault.store()), "_save", full)
    with pytest.raises(UnavailableError, match="mark"):
        shredding.shred(acting_user=people.owner, artifact=artifact, ground="unlawful")
    assert vault.read(artifact) == CONTENT


def test_a_crash_between_mark_and_key_is_finished_by_reapply(people: People, artifact: Artifact, monkeypatch: Any):
    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shredding, "_destroy", crash)
        with pytest.raises(KeyboardInterrupt):
            shredding.shred(acting_user=people.owner, artifact=artifact, ground="unlawful")
    assert [found.pk for found in shredding.unfinished()] == [artifact.pk]
    assert shredding.reapply() == 1
    with pytest.raises(ShreddedError):
        vault.read(artifact)


def test_the_command_needs_a_person_who_may(people: People, artifact: Artifact):
    for by, text in (("nobody-here", "no person"), ("erin", "needs the role owner")):
        with pytest.raises(CommandError, match=text):
            call_command("vault_shred", str(artifact.pk), by=by, ground="unlawful")
    with pytest.raises(CommandError, match="its id, not its digest"):
        call_command("vault_shred", artifact.digest, by="olga", ground="unlawful")
    with pytest.raises(CommandError, match="--reapply"):
        call_command("vault_shred")
    said = StringIO()
    call_command("vault_shred", str(artifact.pk), by="olga", ground="unlawful", stdout=said)
    assert artifact.digest in said.getvalue()


def test_content_whose_object_is_missing_heals_when_it_is_put_again(people: People, artifact: Artifact):
    Path(vault.store().path(artifact.object_name)).unlink()
    again = stored(people.system, CONTENT)
    assert again.pk == artifact.pk
    assert vault.read(artifact) == CONTENT
    event = AuditEvent.objects.get(event=Event.ARTIFACT_HEALED)
    assert json.loads(event.entry)["payload"]["lost"] == artifact.object_sha256


def test_equal_content_is_stored_once_per_system(
    people: People, artifact: Artifact, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        assert stored(people.system, CONTENT).pk == artifact.pk
    assert stored(people.other, CONTENT).pk != artifact.pk
    assert len([path for path in Path(vault.store().location).rglob("*") if path.is_file()]) == 2


def test_object_names_say_nothing_of_the_content(people: People):
    one, other = stored(people.system, CONTENT), stored(people.other, CONTENT)
    assert one.object_name != other.object_name
    for name in (one.object_name, other.object_name):
        assert len(name) == 35
        for digest in (one.digest, hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()):
            assert digest[:8] not in name
