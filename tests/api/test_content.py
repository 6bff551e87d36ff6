"""An artifact's bytes through the API: verified, recorded, and never delivered as complete when damaged."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from django.conf import settings

from security.log.events import Event
from security.log.models import AuditEvent
from security.vault import delivery
from security.vault.models import Artifact
from security.vault.stream import DamagedError
from tests.support.api import PROBLEM, Api, Rows, stored
from tests.support.people import People

SMALL, LARGE = 1000, 9 * 2**20 + 17


def content(size: int) -> bytes:
    return hashlib.shake_256(str(size).encode()).digest(size)


def path_of(artifact: Artifact) -> Path:
    return Path(settings.STORAGES["vault"]["OPTIONS"]["location"]) / artifact.object_name


def flip(artifact: Artifact, offset: int) -> None:
    raw = bytearray(path_of(artifact).read_bytes())
    raw[offset] ^= 1
    path_of(artifact).write_bytes(raw)


def reads() -> int:
    return AuditEvent.objects.filter(event=Event.ARTIFACT_READ).count()


@pytest.mark.parametrize("size", [0, 1, SMALL, 2**20, delivery.WHOLE_BYTES, LARGE])
def test_the_bytes_come_back_as_an_attachment_with_their_digest_and_are_recorded_once(size, people: People, api: Api):
    artifact = stored(people.system, content(size), "text/html")
    answer = api.get(f"artifacts/{artifact.pk}/content")
    assert answer.getvalue() == content(size)
    assert answer["Content-Length"] == str(size)
    assert answer["Content-Disposition"] == f'attachment; filename="{artifact.digest[:12]}.bin"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    given = base64.b64decode(answer["Repr-Digest"].removeprefix("sha-256=:").removesuffix(":"))
    assert given.hex() == artifact.digest
    event = AuditEvent.objects.get(event=Event.ARTIFACT_READ)
    assert event.actor.endswith(str(people.engineer.pk))
    assert event.subject == f"urn:countersign:artifact:{artifact.pk}"


def test_what_the_reader_has_already_is_304_and_not_a_reading(people: People, api: Api):
    artifact = stored(people.system, content(SMALL))
    answer = api.get(f"artifacts/{artifact.pk}/content", headers={"If-None-Match": f'"{artifact.digest}"'})
    assert answer.status_code == 304
    assert reads() == 0


def test_head_tells_size_and_digest_without_a_reading(people: People, api: Api):
    artifact = stored(people.system, content(SMALL))
    answer = api.head(f"artifacts/{artifact.pk}/content")
    assert (answer["Content-Length"], answer.getvalue()) == (str(SMALL), b"")
    assert reads() == 0


@pytest.mark.parametrize("offset", [0, 5, 45, -1], ids=["header", "salt", "text", "tag"])
def test_a_damaged_small_artifact_is_a_problem_before_the_first_byte(offset, people: People, api: Api):
    artifact = stored(people.system, content(SMALL))
    flip(artifact, offset)
    answer = api.get(f"artifacts/{artifact.pk}/content")
    assert (answer.status_code, answer["Content-Type"]) == (500, PROBLEM)
    assert answer.json()["type"].endswith("damaged-artifact")
    assert reads() == 0


@pytest.mark.parametrize("where", ["middle", "end", "cut", "swapped digest"])
def test_a_damaged_large_artifact_breaks_off_short_of_its_announced_length(where, people: People, api: Api):
    artifact = stored(people.system, content(LARGE))
    if where == "cut":
        raw = path_of(artifact).read_bytes()
        path_of(artifact).write_bytes(raw[: 3 * 2**20])
    elif where == "swapped digest":
        Artifact.objects.filter(pk=artifact.pk).update(digest="0" * 64)
    else:
        flip(artifact, -1 if where == "end" else 4 * 2**20)
    answer = api.get(f"artifacts/{artifact.pk}/content")
    received: list[bytes] = []
    with pytest.raises(DamagedError):
        received.extend(answer.streaming_content)
    assert sum(map(len, received)) < int(answer["Content-Length"])


def test_a_large_artifact_damaged_at_its_beginning_is_a_problem_before_the_first_byte(people: People, api: Api):
    artifact = stored(people.system, content(LARGE))
    flip(artifact, 100)
    answer = api.get(f"artifacts/{artifact.pk}/content")
    assert answer.status_code == 500
    assert reads() == 0


def test_an_artifact_whose_object_is_gone_is_a_problem_that_names_it(people: People, api: Api):
    artifact = stored(people.system, content(SMALL))
    path_of(artifact).unlink()
    answer = api.get(f"artifacts/{artifact.pk}/content")
    assert answer.status_code == 500
    assert artifact.digest[:12] in answer.json()["detail"]


def test_without_the_keyring_it_is_503_and_names_no_path(people: People, api: Api):
    artifact = stored(people.system, content(SMALL))
    Path(settings.VAULT_KEYRING).unlink()
    answer = api.get(f"artifacts/{artifact.pk}/content")
    assert answer.status_code == 503
    assert str(settings.VAULT_KEYRING) not in answer.content.decode()


def test_the_bundle_is_a_zip_that_an_auditor_may_take_and_an_engineer_may_not(people: People, rows: Rows):
    answer = Api(people.auditor).get(f"model-versions/{rows.model_version.pk}/bundle")
    assert answer["Content-Type"] == "application/zip"
    assert answer.getvalue().startswith(b"PK")
    assert AuditEvent.objects.filter(event=Event.EXPORT_CREATED).count() == 1
    assert Api(people.engineer).get(f"model-versions/{rows.model_version.pk}/bundle").status_code == 403
