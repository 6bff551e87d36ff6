"""What the vault's events say of a content: nothing to compare a guess with, and provable while the key lives."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest

from security.errors import ShreddedError
from security.log.events import Event
from security.log.models import AuditEvent
from security.vault import commitment, envelope, rotation, shredding
from security.vault import services as vault
from security.vault.models import Artifact
from tests.support.api import Api, stored
from tests.support.people import People

SMALL = b"name,diagnosis\nErika Mustermann,yes\n"  # anybody can list the contents that this might be


@pytest.fixture
def artifact(people: People) -> Artifact:
    return stored(people.system, SMALL)


def logged(event: Event = Event.ARTIFACT_STORED) -> dict[str, object]:
    found: dict[str, object] = json.loads(AuditEvent.objects.filter(event=event).last().entry)["payload"]
    return found


def test_the_salt_is_hkdf_of_the_data_key_by_rfc_5869():
    opened = commitment.opening("ab" * 32, data_key=bytes(range(32)), associated_data=b"countersign-object:0")
    extracted = hmac.digest(bytes(32), bytes(range(32)), "sha256")  # §2.2: no salt is 32 zero bytes
    salt = hmac.digest(extracted, b"countersign-commitment:countersign-object:0\x01", "sha256")
    assert opened.salt == salt.hex()
    assert opened.commitment == hashlib.sha256(salt + bytes.fromhex("ab" * 32)).hexdigest()
    with pytest.raises(ValueError, match="32 bytes"):
        commitment.opening("ab", data_key=bytes(32), associated_data=b"")


def test_no_event_of_the_vault_holds_the_digest_of_a_content(people: People, artifact: Artifact):
    Api(people.engineer).get(f"artifacts/{artifact.pk}/content").getvalue()
    vault.store().delete(artifact.object_name)
    stored(people.system, SMALL)
    shredding.shred(acting_user=people.owner, artifact=artifact, ground="unlawful")
    events = AuditEvent.objects.filter(event__startswith="artifact:")
    assert {event.event for event in events} == {
        "artifact:stored",
        "artifact:read",
        "artifact:healed",
        "artifact:shredded",
    }
    for event in events:
        assert artifact.digest not in event.entry
        assert hashlib.sha256(SMALL).hexdigest()[:12] not in event.entry


def test_the_commitment_opens_while_the_key_lives_and_through_rotation(people: People, artifact: Artifact):
    assert vault.opening_of(artifact).commitment == logged()["commitment"]
    rotation.new_key()
    rotation.rotate()
    envelope.forget()
    answer = Api(people.auditor).get(f"artifacts/{artifact.pk}/opening").json()
    proven = hashlib.sha256(bytes.fromhex(answer["salt"]) + hashlib.sha256(SMALL).digest()).hexdigest()
    assert proven == answer["commitment"] == logged()["commitment"]


def test_after_shredding_a_right_guess_cannot_be_told_from_a_wrong_one(people: People, artifact: Artifact):
    shredding.shred(acting_user=people.owner, artifact=artifact, ground="consent-withdrawn")
    with pytest.raises(ShreddedError):
        vault.opening_of(artifact)
    assert Api(people.auditor).get(f"artifacts/{artifact.pk}/opening").status_code == 410
    guess = hashlib.sha256(SMALL).digest()
    known = [bytes(32), artifact.pk.bytes, bytes.fromhex(artifact.object_sha256), artifact.object_name.encode()]
    assert logged()["commitment"] not in {hashlib.sha256(salt + guess).hexdigest() for salt in known}


def test_equal_contents_have_unequal_commitments(people: People, artifact: Artifact):
    first = logged()["commitment"]
    stored(people.other, SMALL)
    assert logged()["commitment"] != first
