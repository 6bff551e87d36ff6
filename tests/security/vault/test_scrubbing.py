"""Scrubs find every kind of damage, say it once, at a set rate; old orphans go, and nothing that is being written."""

from __future__ import annotations

import errno
import json
import os
import time
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from controlplane import doctor
from security.errors import ConflictError, UnavailableError
from security.log.events import Event
from security.log.models import AuditEvent
from security.vault import envelope, orphans, rotation, scrubbing, shredding, tasks
from security.vault import services as vault
from security.vault.models import Artifact, FindingKind, VaultFinding
from tests.support.api import Api, stored
from tests.support.people import People

NO_LIMIT = float("inf")


def path_of(artifact: Artifact) -> Path:
    return Path(vault.store().path(artifact.object_name))


def flip(path: Path, place: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.fixture
def artifacts(people: People) -> list[Artifact]:
    return [stored(people.system, f"content {number}".encode() * 1000) for number in range(5)]


def scrub() -> scrubbing.Scrubbed:
    return scrubbing.scrub(rate=NO_LIMIT)


def test_a_sound_vault_has_no_finding_and_everything_was_looked_at(artifacts: list[Artifact]):
    result = scrub()
    assert (result.artifacts, result.opened, result.complete) == (5, 0, True)
    assert result.bytes == sum(one.object_size for one in artifacts)
    assert not Artifact.objects.filter(verified_at=None).exists()


def test_every_kind_of_damage_opens_one_finding_and_closes_when_mended(artifacts: list[Artifact]):
    gone, flipped, cut, key, named = artifacts
    kept = {one.pk: path_of(one).read_bytes() for one in artifacts}
    path_of(gone).unlink()
    flip(path_of(flipped), 60)
    path_of(cut).write_bytes(kept[cut.pk][:-1])
    Artifact.objects.filter(pk=key.pk).update(wrapped_key=bytes(60))
    Artifact.objects.filter(pk=named.pk).update(digest="0" * 64)
    result = scrub()
    kinds = {row.pk: fault.kind for row, fault in result.faults}
    assert kinds == {
        gone.pk: FindingKind.MISSING,
        flipped.pk: FindingKind.DAMAGED,
        cut.pk: FindingKind.DAMAGED,
        key.pk: FindingKind.KEY,
        named.pk: FindingKind.DAMAGED,
    }
    assert scrub().opened == 0  # each is said once
    assert VaultFinding.objects.filter(closed_at=None).count() == 5
    assert AuditEvent.objects.filter(event=Event.ARTIFACT_DAMAGE_FOUND).count() == 5
    for one in (gone, flipped, cut):
        path_of(one).write_bytes(kept[one.pk])
    Artifact.objects.filter(pk=key.pk).update(wrapped_key=bytes(key.wrapped_key))
    Artifact.objects.filter(pk=named.pk).update(digest=named.digest)
    assert (scrub().closed, VaultFinding.objects.filter(closed_at=None).count()) == (5, 0)
    assert AuditEvent.objects.filter(event=Event.ARTIFACT_DAMAGE_MENDED).count() == 5


def test_an_event_names_artifact_kind_and_ciphertext(artifacts: list[Artifact]):
    path_of(artifacts[0]).unlink()
    scrub()
    event = AuditEvent.objects.get(event=Event.ARTIFACT_DAMAGE_FOUND)
    payload = json.loads(event.entry)["payload"]
    assert event.subject.endswith(str(artifacts[0].pk))
    assert (payload["kind"], payload["object_sha256"]) == ("missing", artifacts[0].object_sha256)


def test_putting_the_same_content_again_heals_a_damaged_object(people: People, artifacts: list[Artifact]):
    flip(path_of(artifacts[2]), 70)
    scrub()
    stored(people.system, b"content 2" * 1000)
    assert vault.read(artifacts[2]) == b"content 2" * 1000
    assert not VaultFinding.objects.filter(closed_at=None).exists()
    assert scrub().opened == 0


def test_what_was_shredded_is_checked_by_its_ciphertext_alone(people: People, artifacts: list[Artifact]):
    shredding.shred(acting_user=people.owner, artifact=artifacts[0], ground="unlawful")
    assert scrub().opened == 0
    flip(path_of(artifacts[0]))
    assert scrub().opened == 1


def test_a_provider_that_is_away_is_no_damage(artifacts: list[Artifact], settings: Any):
    envelope.forget()
    Artifact.objects.filter(pk=artifacts[0].pk).update(provider="hsm-that-is-away")
    result = scrub()
    assert (result.opened, result.keys_unchecked, result.complete) == (0, 1, True)
    flip(path_of(artifacts[0]))
    assert scrub().opened == 1


def test_a_store_that_fails_as_a_whole_opens_no_finding(artifacts: list[Artifact], monkeypatch: Any):
    def away(*_: Any) -> None:
        raise OSError(errno.ETIMEDOUT, "timed out")

    with monkeypatch.context() as patch:
        patch.setattr(type(vault.store()), "_open", away)
        with pytest.raises(UnavailableError, match="does not answer"):
            scrub()
    assert not VaultFinding.objects.exists()


def test_a_disk_that_cannot_read_one_object_is_damage(artifacts: list[Artifact], monkeypatch: Any):
    def bad_sector(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(type(vault.store()), "_open", bad_sector)
        assert scrub().opened == 5


def test_a_row_that_was_rotated_meanwhile_is_no_damage(artifacts: list[Artifact], monkeypatch: Any):
    """The key of the rows in hand is retired while the first of them is read."""
    examine, old = scrubbing.examine, artifacts[0].key_id

    def meanwhile(row: Artifact, **more: Any) -> Any:
        if rotation.pending() == 0 and row.key_id == old and Artifact.objects.filter(key_id=old).exists():
            rotation.new_key()
            rotation.rotate()
            rotation.retire(old, even_now=True)
        return examine(row, **more)

    monkeypatch.setattr(scrubbing, "examine", meanwhile)
    assert scrub().opened == 0
    assert set(Artifact.objects.values_list("key_id", flat=True)) != {old}


def test_the_rate_is_kept(people: People):
    for number in range(4):
        stored(people.system, bytes([number]) * 100_000)
    began = time.monotonic()
    assert scrubbing.scrub(rate=800_000).complete
    assert 0.45 <= time.monotonic() - began < 5


def test_a_scrub_that_was_ended_by_time_goes_on_with_the_longest_unverified(artifacts: list[Artifact]):
    seen: list[Any] = []
    for _ in range(5):
        result = scrubbing.scrub(rate=NO_LIMIT, seconds=0)
        assert result.artifacts == 1
        seen.append(Artifact.objects.exclude(verified_at=None).order_by("-verified_at").values_list("pk", flat=True)[0])
    assert seen == [one.pk for one in artifacts]


def test_questions_to_the_database_do_not_grow_with_the_artifacts(people: People, django_assert_num_queries: Any):
    from django.db import connection

    counts = []
    for number in (3, 12):
        for each in range(number):
            stored(people.system, f"{number} {each}".encode())
        with CaptureQueriesContext(connection) as queries:
            scrub()
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_the_periodic_task_scrubs_and_the_clock_knows_it(artifacts: list[Artifact], settings: Any):
    path_of(artifacts[0]).unlink()
    assert tasks.scrub()["opened"] == 1
    names = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert {"vault.scrub", "vault.collect"} <= names


def test_the_command_says_what_it_found_and_fails(artifacts: list[Artifact]):
    said, errors = StringIO(), StringIO()
    call_command("vault_scrub", "--rate=500M", stdout=said)
    assert "5 of 5 artifacts verified" in said.getvalue()
    path_of(artifacts[3]).unlink()
    with pytest.raises(SystemExit):
        call_command("vault_scrub", stdout=said, stderr=errors)
    assert f"Missing: artifact {artifacts[3].pk} of credit: the stored object is not in the store." in errors.getvalue()
    with pytest.raises(CommandError, match="bytes a second"):
        call_command("vault_scrub", "--rate", "fast")


def test_doctor_and_api_show_open_findings(people: People, artifacts: list[Artifact]):
    assert doctor.scrubbed()[0] is doctor.Status.OK
    path_of(artifacts[0]).unlink()
    scrub()
    status, detail, mend = doctor.scrubbed()
    assert status is doctor.Status.FAIL
    assert "1 artifacts are damaged or missing" in detail
    assert "backup" in mend
    listed = Api(people.auditor).get("artifact-findings", open="true").json()["results"]
    assert [(one["kind"], one["artifact"]["id"], one["system"]) for one in listed] == [
        ("missing", str(artifacts[0].pk), "credit")
    ]
    assert Api(people.outsider).get("artifact-findings").json()["results"] == []
    assert Api(people.auditor).get("artifact-findings", open="false").json()["results"] == []


def test_doctor_says_when_scrubs_do_not_keep_up(artifacts: list[Artifact]):
    Artifact.objects.update(created_at=timezone.now() - doctor.SCRUB_AGE - timedelta(days=1))
    status, detail, mend = doctor.scrubbed()
    assert (status, "5 of 5" in detail) == (doctor.Status.WARN, True)
    assert "VAULT_SCRUB_BYTES_PER_SECOND" in mend
    scrub()
    assert doctor.scrubbed()[0] is doctor.Status.OK


# -------------------------------------------------------------------------------------------------------- orphans


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_old_orphans_and_partial_files_go_and_young_ones_stay(artifacts: list[Artifact], settings: Any):
    old, young = vault.put([b"crashed long ago"]), vault.put([b"a step holds it"])
    root = Path(vault.store().location)
    partial, writing = (
        (root / young.object_name).parent / ".partial-old",
        (root / young.object_name).parent / ".partial-1",
    )
    for path in (partial, writing):
        path.write_bytes(b"half")
    for path in (root / old.object_name, partial, *map(path_of, artifacts)):
        age(path, settings.VAULT_ORPHAN_SECONDS + 10)
    age(root / young.object_name, settings.VAULT_ORPHAN_SECONDS - 1000)
    result = orphans.collect()
    assert (result.objects, result.deleted) == (9, 2)
    assert [path.exists() for path in (root / old.object_name, partial)] == [False, False]
    assert [path.exists() for path in (root / young.object_name, writing)] == [True, True]
    assert all(path_of(one).exists() for one in artifacts)
    event = AuditEvent.objects.get(event=Event.VAULT_ORPHANS_DELETED)
    assert json.loads(event.entry)["payload"]["objects"] == 2
    assert tasks.collect() == {"objects": 7, "deleted": 0}


def test_the_longest_step_is_shorter_than_the_age_of_an_orphan(settings: Any):
    from pipelines.spec.model import StepSpec

    limits = [getattr(rule, "le", None) for rule in StepSpec.model_fields["timeout"].metadata]
    assert max(filter(None, limits)) < settings.VAULT_ORPHAN_SECONDS
    assert max(filter(None, limits)) < rotation.HANDOVER.total_seconds()


def test_marks_of_erasure_and_other_peoples_files_are_not_orphans(people: People, artifacts: list[Artifact]):
    shredding.shred(acting_user=people.owner, artifact=artifacts[0], ground="unlawful")
    root = Path(vault.store().location)
    (root / "lost+found").mkdir()
    (root / "lost+found" / "theirs").write_bytes(b"x")
    (root / "README").write_bytes(b"x")
    assert orphans.collect(older_than=timedelta(0), now=timezone.now() + timedelta(days=1)).deleted == 0
    assert (root / "lost+found" / "theirs").exists()
    assert (root / shredding.FOLDER / str(artifacts[0].pk)).exists()


def test_the_wrong_database_does_not_empty_the_store(people: People, artifacts: list[Artifact]):
    for number in range(30):
        stored(people.system, f"more {number}".encode())
    Artifact.objects.all().delete()
    later = timezone.now() + timedelta(days=1)
    with pytest.raises(ConflictError, match="wrong database"):
        orphans.collect(older_than=timedelta(0), now=later)
    assert orphans.collect(older_than=timedelta(0), now=later, even_most=True).deleted == 35


def test_an_empty_installation_has_nothing_to_collect(db: None):
    assert orphans.collect().objects == 0
    said = StringIO()
    call_command("vault_scrub", orphans=True, stdout=said)
    assert "0 of 0 objects had no row" in said.getvalue()
