"""Keys in the vault's rows: two at once, rotation under load and after a crash, a provider that is away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, transaction

from security.errors import ConflictError, UnavailableError
from security.log.events import Event
from security.log.models import AuditEvent
from security.vault import envelope, keyring, rotation
from security.vault import services as vault
from security.vault.models import Artifact, SystemSecret
from security.vault.providers.contract import KeyProviderError, ProviderAwayError
from security.vault.stream import DamagedError
from tests.support import transit_server
from tests.support.api import stored
from tests.support.people import People


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    envelope.forget()
    yield
    envelope.forget()


@pytest.fixture
def ring(settings: Any) -> Path:
    return Path(settings.VAULT_KEYRING)


@pytest.fixture
def transit(settings: Any) -> Iterator[transit_server.TransitServer]:
    """Transit beside the keyring; new keys still go to the keyring."""
    with transit_server.running() as server:
        options = {"KIND": "transit", "url": server.url, "key": "countersign", "token": server.token}
        settings.VAULT_KEY_PROVIDERS = {**settings.VAULT_KEY_PROVIDERS, "transit": options}
        yield server


def several(people: People, count: int = 7) -> list[Artifact]:
    return [stored(people.system, f"content {number}".encode()) for number in range(count)]


def readable(artifacts: list[Artifact]) -> bool:
    return all(vault.read(one) == f"content {number}".encode() for number, one in enumerate(artifacts))


def objects() -> dict[str, bytes]:
    root = Path(vault.store().location)
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_rotation_moves_every_key_and_touches_no_object(people: People, ring: Path):
    artifacts, secret, before = several(people), vault.system_secret(people.system), objects()
    old = keyring.load(ring).primary
    new = rotation.new_key()
    assert rotation.pending() == 8
    seen: list[int] = []
    result = rotation.rotate(batch=3, progress=seen.append)
    assert (result.rewrapped, result.damaged, seen) == (8, (), [3, 6, 7, 8])
    assert set(Artifact.objects.values_list("key_id", flat=True)) == {new.key_id}
    assert objects() == before
    rotation.retire(old, even_now=True)
    envelope.forget()
    assert readable(artifacts)
    assert vault.system_secret(people.system) == secret
    assert (rotation.pending(), rotation.rotate().rewrapped) == (0, 0)


def test_each_batch_is_an_event_of_its_own_transaction(people: People):
    several(people)
    rotation.new_key()
    rotation.rotate(batch=4)
    events = AuditEvent.objects.filter(event=Event.VAULT_KEYS_REWRAPPED)
    assert ['"keys":4' in event.entry or '"keys":3' in event.entry for event in events] == [True, True]
    assert AuditEvent.objects.filter(event=Event.VAULT_KEY_ADDED).count() == 1


def test_two_keys_are_live_at_once(people: People):
    artifacts = several(people, 3)
    rotation.new_key()
    later = stored(people.system, b"content 3")
    assert Artifact.objects.values("key_id").distinct().count() == 2
    assert readable([*artifacts, later])


def test_moving_to_another_provider_and_back(people: People, transit: transit_server.TransitServer, settings: Any):
    artifacts = several(people)
    settings.VAULT_KEY_PROVIDER = "transit"
    assert rotation.rotate().rewrapped == 7
    assert set(Artifact.objects.values_list("provider", "key_id", "key_version")) == {("transit", "countersign", "1")}
    transit.rotate("countersign")
    assert rotation.rotate().to.version == "2"
    transit.min_decryption_version["countersign"] = 2
    envelope.forget()
    assert readable(artifacts)
    settings.VAULT_KEY_PROVIDER = "keyring"
    rotation.rotate()
    transit.sealed = True
    envelope.forget()
    assert readable(artifacts)


def test_an_interrupted_rotation_goes_on_where_it_was(people: People, transit, settings: Any, monkeypatch):
    artifacts = several(people)
    settings.VAULT_KEY_PROVIDER = "transit"
    wrap, count = envelope.wrap, 0

    def failing(*arguments: Any, **more: Any) -> Any:
        nonlocal count
        count += 1
        transit.sealed = count > 5
        return wrap(*arguments, **more)

    monkeypatch.setattr(rotation.envelope, "wrap", failing)
    with pytest.raises(CommandError, match=r"sealed.*\nWhat was done so far stays"):
        call_command("vault_rotate", batch=2, stdout=StringIO())
    monkeypatch.undo()
    transit.sealed = False
    assert Artifact.objects.filter(provider="transit").count() == 4
    assert readable(artifacts)
    assert rotation.rotate(batch=2).rewrapped == 3
    assert readable(artifacts)


def test_a_wrapped_key_that_does_not_verify_stays_and_is_named(people: People):
    artifacts = several(people, 3)
    bad = bytearray(artifacts[1].wrapped_key)
    bad[-1] ^= 1
    Artifact.objects.filter(pk=artifacts[1].pk).update(wrapped_key=bytes(bad))
    rotation.new_key()
    errors = StringIO()
    with pytest.raises(SystemExit):
        call_command("vault_rotate", stdout=StringIO(), stderr=errors)
    assert f"artifact:{artifacts[1].pk}" in errors.getvalue()
    assert Artifact.objects.get(pk=artifacts[1].pk).wrapped_key == bytes(bad)
    with pytest.raises(DamagedError, match="wrapped key"):
        vault.read(artifacts[1])


def test_a_key_that_changed_meanwhile_is_not_overwritten(people: People, monkeypatch: pytest.MonkeyPatch):
    artifact = stored(people.system, b"content 0")
    rotation.new_key()
    unwrap = envelope.unwrap_uncached

    def meanwhile(*arguments: Any, **more: Any) -> bytes:
        data_key = unwrap(*arguments, **more)
        columns = vault.columns_of(envelope.wrap(data_key, associated_data=artifact.identity))
        Artifact.objects.filter(pk=artifact.pk).update(**columns)
        return data_key

    monkeypatch.setattr(rotation.envelope, "unwrap_uncached", meanwhile)
    assert rotation.rotate().rewrapped == 0
    assert readable([artifact])


@pytest.mark.django_db(transaction=True)
def test_rotation_under_load_loses_nothing(settings: Any):
    """Writers and readers go on while keys move; afterwards everything opens under the new key alone."""
    people, stop = People(), threading.Event()
    with transaction.atomic():
        artifacts, errors = several(people, 40), list[BaseException]()
    old = keyring.load(Path(settings.VAULT_KEYRING)).primary

    def work(act: Any) -> None:
        try:
            number = 0
            while not stop.is_set():
                act(number)
                number += 1
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    def write(number: int) -> None:
        with transaction.atomic():
            artifacts_written.append(stored(people.system, f"written {number}".encode()))

    def read(number: int) -> None:
        place = number % 40
        assert vault.read(artifacts[place]) == f"content {place}".encode()

    artifacts_written: list[Artifact] = []
    threads = [threading.Thread(target=work, args=(act,)) for act in (write, read, read)]
    for thread in threads:
        thread.start()
    try:
        new = rotation.new_key()
        for _ in range(3):
            rotation.rotate(batch=5)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []
    assert artifacts_written
    rotation.rotate()
    rotation.retire(old, even_now=True)
    envelope.forget()
    assert set(Artifact.objects.values_list("key_id", flat=True)) == {new.key_id}
    assert readable(artifacts)
    assert vault.read(artifacts_written[-1]).startswith(b"written")


def test_a_key_in_use_or_lately_in_use_is_not_retired(people: People, ring: Path):
    several(people, 2)
    old = keyring.load(ring).primary
    rotation.new_key()
    with pytest.raises(ConflictError, match="2 data keys still lie under"):
        rotation.retire(old)
    rotation.rotate()
    with pytest.raises(ConflictError, match="a step may run for seven days"):
        rotation.retire(old)
    made = keyring.load(ring).created[keyring.load(ring).primary]
    rotation.retire(old, now=made + rotation.HANDOVER)
    assert old not in keyring.load(ring).ids
    Artifact.objects.all().delete()
    with pytest.raises(KeyProviderError, match="primary"):
        rotation.retire(keyring.load(ring).primary, even_now=True)


def test_what_a_destroyed_key_wrapped_cannot_be_read_from_a_backup_of_the_rows(people: People, ring: Path):
    """Rows of yesterday, put back after the key was rotated and destroyed."""
    artifact = stored(people.system, b"content 0")
    yesterday = Artifact.objects.values("provider", "key_id", "key_version", "wrapped_key").get()
    rotation.new_key()
    rotation.rotate()
    rotation.retire(yesterday["key_id"], even_now=True)
    assert readable([artifact])
    Artifact.objects.update(**yesterday)
    envelope.forget()
    with pytest.raises(UnavailableError, match="has no key"):
        vault.read(artifact)


def test_reads_of_kept_keys_go_on_while_the_provider_is_away(people: People, transit, settings: Any, monkeypatch):
    settings.VAULT_KEY_PROVIDER = "transit"
    kept, other = stored(people.system, b"content 0"), stored(people.system, b"never read")
    assert readable([kept])
    transit.sealed = True
    assert readable([kept])
    with pytest.raises(UnavailableError, match="sealed"):
        vault.read(other)
    with pytest.raises(UnavailableError, match="nothing was stored"):
        vault.put([b"new"])
    now = envelope.time.monotonic()
    monkeypatch.setattr(envelope.time, "monotonic", lambda: now + settings.VAULT_KEY_CACHE_SECONDS + 1)
    with pytest.raises(UnavailableError, match="sealed"):
        vault.read(kept)


def test_no_object_is_left_behind_when_no_key_can_be_had(people: People, transit, settings: Any):
    settings.VAULT_KEY_PROVIDER, transit.sealed = "transit", True
    with pytest.raises(UnavailableError):
        vault.put([b"new"])
    assert objects() == {}


def test_kept_keys_are_bounded_in_number(people: People, transit, settings: Any):
    settings.VAULT_KEY_PROVIDER, settings.VAULT_KEY_CACHE_KEYS = "transit", 3
    artifacts = several(people, 5)
    assert readable(artifacts)
    assert len(envelope._KEPT._keys) == 3
    asked = transit.requests
    assert vault.read(artifacts[4]) == b"content 4"
    assert transit.requests == asked
    assert vault.read(artifacts[0]) == b"content 0"
    assert transit.requests == asked + 1


def test_a_kept_key_does_not_open_another_wrapping(people: People):
    """The kept key is found by the whole wrapped key: a changed row asks the provider, which refuses."""
    artifact = stored(people.system, b"content 0")
    assert readable([artifact])
    Artifact.objects.update(wrapped_key=bytes(60))
    with pytest.raises(DamagedError):
        vault.read(artifact)


def test_an_unknown_provider_in_a_row_is_named(people: People):
    artifact = stored(people.system, b"content 0")
    Artifact.objects.update(provider="hsm-of-old")
    with pytest.raises(UnavailableError, match="no key provider 'hsm-of-old'"):
        vault.read(artifact)


def test_a_kind_whose_package_is_missing_says_what_to_install(settings: Any, monkeypatch: pytest.MonkeyPatch):
    settings.VAULT_KEY_PROVIDERS = {"kms": {"KIND": "kms", "key": "k", "region": "r"}}
    monkeypatch.setattr(envelope, "KINDS", {"kms": "no_such_package.Kms"})
    envelope._made.cache_clear()
    with pytest.raises(ProviderAwayError, match=r"pip install -r requirements-aws\.txt"):
        envelope.provider("kms")


def test_the_command_says_what_is_left_and_makes_a_new_key(people: People):
    several(people, 3)
    said = StringIO()
    call_command("vault_rotate", new_key=True, stdout=said)
    call_command("vault_rotate", pending=True, stdout=said)
    assert "New key k" in said.getvalue()
    assert "3 data keys are now under keyring k" in said.getvalue()
    assert "0 data keys are under another key" in said.getvalue()
    assert not SystemSecret.objects.exists()
