"""One contract over every provider of key-encryption keys, and what is special about each."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.stub import Stubber

from security.vault import keyring
from security.vault.providers.contract import (
    KeyProviderError,
    KeyRef,
    NoSuchKeyError,
    NotGenuineError,
    ProviderAwayError,
    WrappedKey,
)
from security.vault.providers.kms import Kms
from security.vault.providers.pkcs11 import Pkcs11
from security.vault.providers.transit import Transit
from tests.support import key_providers, transit_server
from tests.support.key_providers import Offered

AAD, OTHER = b"countersign-object:0", b"countersign-object:1"
DATA_KEY = bytes(range(32))


@pytest.fixture(params=key_providers.KINDS)
def offered(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Offered]:
    with key_providers.KINDS[request.param](tmp_path) as one:
        yield one


def test_a_data_key_comes_back_also_in_another_process(offered: Offered):
    wrapped = offered.provider.wrap(DATA_KEY, associated_data=AAD)
    assert offered.provider.unwrap(wrapped, associated_data=AAD) == DATA_KEY
    assert offered.again().unwrap(wrapped, associated_data=AAD) == DATA_KEY


def test_the_present_key_is_named_by_provider_id_and_version(offered: Offered):
    present = offered.provider.current()
    assert offered.provider.wrap(DATA_KEY, associated_data=AAD).ref == present
    assert present.provider == offered.settings["KIND"]
    assert present.key_id
    assert len(present.key_id) <= 200


def test_nothing_of_the_data_key_is_in_what_is_stored_and_no_two_are_alike(offered: Offered):
    one, two = (offered.provider.wrap(DATA_KEY, associated_data=AAD) for _ in range(2))
    assert one.blob != two.blob
    assert DATA_KEY not in one.blob
    assert repr(DATA_KEY)[2:12] not in repr(one)


def test_a_key_wrapped_for_another_object_is_refused(offered: Offered):
    wrapped = offered.provider.wrap(DATA_KEY, associated_data=AAD)
    with pytest.raises(NotGenuineError):
        offered.provider.unwrap(wrapped, associated_data=OTHER)


def test_every_flipped_bit_and_every_cut_of_a_wrapped_key_is_refused(offered: Offered):
    """With an error of the contract; a flip in the part that names a key may name one that does not exist."""
    wrapped, chance = offered.provider.wrap(DATA_KEY, associated_data=AAD), random.Random(5)
    for _ in range(60):
        place = chance.randrange(len(wrapped.blob))
        damaged = bytearray(wrapped.blob)
        damaged[place] ^= 1 << chance.randrange(8)
        with pytest.raises(KeyProviderError):
            offered.provider.unwrap(WrappedKey(wrapped.ref, bytes(damaged)), associated_data=AAD)
    for keep in (0, 1, 12, 28, len(wrapped.blob) - 1):
        with pytest.raises(KeyProviderError):
            offered.provider.unwrap(WrappedKey(wrapped.ref, wrapped.blob[:keep]), associated_data=AAD)


def test_a_key_that_is_not_there_is_named_as_missing(offered: Offered):
    wrapped = offered.provider.wrap(DATA_KEY, associated_data=AAD)
    stranger = wrapped.ref._replace(
        key_id="no-such-key" if "arn" not in wrapped.ref.key_id else _other_arn(wrapped.ref)
    )
    with pytest.raises(NoSuchKeyError):
        offered.provider.unwrap(WrappedKey(stranger, wrapped.blob), associated_data=AAD)


def test_what_an_older_key_wrapped_still_opens_after_a_rotation(offered: Offered):
    old = offered.provider.wrap(DATA_KEY, associated_data=AAD)
    offered.rotate()
    new = offered.again().wrap(DATA_KEY, associated_data=AAD)
    assert (new.ref == old.ref) == (old.ref.provider == "pkcs11")
    for wrapped in (old, new):
        assert offered.again().unwrap(wrapped, associated_data=AAD) == DATA_KEY


def test_a_lost_provider_is_a_clear_error_that_shows_no_secret(offered: Offered):
    wrapped = offered.provider.wrap(DATA_KEY, associated_data=AAD)
    offered.lose()
    for provider in (offered.provider, offered.again()):
        for ask in (
            lambda p=provider: p.unwrap(wrapped, associated_data=AAD),
            lambda p=provider: p.wrap(DATA_KEY, associated_data=AAD),
            provider.current,
        ):
            with pytest.raises((ProviderAwayError, NoSuchKeyError)) as caught:
                ask()
            assert len(str(caught.value)) > 20
            for secret in ("s.right", key_providers.HSM_PIN, "testing"):
                assert secret not in str(caught.value)
                assert secret not in repr(provider)


def _other_arn(ref: KeyRef) -> str:
    return ref.key_id.rpartition("/")[0] + "/00000000-0000-0000-0000-000000000000"


# ------------------------------------------------------------------------------------------------------- keyring


def test_a_new_key_is_primary_and_the_file_stays_private(tmp_path: Path):
    path = tmp_path / "keyring.json"
    first = keyring.create(path).primary
    second = keyring.add_key(path)
    ring = keyring.load(path)
    assert (ring.primary, set(ring.ids), path.stat().st_mode & 0o777) == (second, {first, second}, 0o600)
    assert ring.created[second].tzinfo is not None
    with pytest.raises(keyring.KeyInUseError):
        keyring.remove_key(path, second)
    keyring.remove_key(path, first)
    assert keyring.load(path).ids == [second]
    with pytest.raises(NoSuchKeyError):
        keyring.remove_key(path, first)


def test_a_full_disk_while_the_keyring_changes_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "keyring.json"
    before = keyring.create(path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(keyring.os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            keyring.add_key(path)
    assert keyring.load(path) == before
    assert list(tmp_path.glob(".keyring.json.*")) == [tmp_path / ".keyring.json.lock"]


def test_a_keyring_of_the_first_release_is_read_and_rotated(tmp_path: Path):
    path = tmp_path / "keyring.json"
    path.write_text('{"primary": "k1", "keys": {"k1": "%s"}}' % ("A" * 43 + "="))
    path.chmod(0o600)
    assert keyring.load(path).created == {}
    assert set(keyring.load(path).ids) | {keyring.add_key(path)} == set(keyring.load(path).ids)


# ------------------------------------------------------------------------------------------------------- transit


@pytest.fixture
def server() -> Iterator[transit_server.TransitServer]:
    with transit_server.running() as one:
        yield one


def client(server: transit_server.TransitServer, **more: str) -> Transit:
    return Transit("transit", **{"url": server.url, "key": "countersign", "token": "s.right", **more})


def test_transit_versions_stand_in_the_row_and_an_archived_one_is_named(server: transit_server.TransitServer):
    old = client(server).wrap(DATA_KEY, associated_data=AAD)
    server.rotate("countersign")
    assert [old.ref.version, client(server).current().version] == ["1", "2"]
    server.min_decryption_version["countersign"] = 2
    with pytest.raises(NoSuchKeyError, match="no longer in that version"):
        client(server).unwrap(old, associated_data=AAD)


def test_a_version_in_the_row_that_the_wrapped_key_does_not_have_is_refused(server: transit_server.TransitServer):
    wrapped = client(server).wrap(DATA_KEY, associated_data=AAD)
    server.rotate("countersign")
    with pytest.raises(NotGenuineError):
        client(server).unwrap(WrappedKey(wrapped.ref._replace(version="2"), wrapped.blob), associated_data=AAD)


def test_a_sealed_vault_and_a_refused_token_are_told_apart(server: transit_server.TransitServer):
    server.sealed = True
    with pytest.raises(ProviderAwayError, match="sealed"):
        client(server).current()
    server.sealed = False
    with pytest.raises(ProviderAwayError, match="refuses the token"):
        client(server, token="s.wrong").current()


def test_a_token_that_is_renewed_in_its_file_is_used_at_once(server: transit_server.TransitServer, tmp_path: Path):
    path = tmp_path / "token"
    path.write_text("s.old")
    provider = client(server, token="", token_file=str(path))
    with pytest.raises(ProviderAwayError):
        provider.current()
    path.write_text("s.right\n")
    assert provider.current().version == "1"


def test_a_redirect_is_not_followed_with_the_token(server: transit_server.TransitServer, monkeypatch):
    def elsewhere(*_: object) -> None:
        raise transit_server.RefusedError(307, "")

    monkeypatch.setattr(server, "answer", elsewhere)
    with pytest.raises(ProviderAwayError, match="status 307"):
        client(server).current()


def test_an_answer_that_is_not_transits_is_said_to_be_so(server: transit_server.TransitServer, monkeypatch):
    monkeypatch.setattr(server, "answer", lambda *_: [])
    with pytest.raises(ProviderAwayError, match="not Transit's"):
        client(server).current()


def test_an_address_without_a_scheme_is_refused_at_once():
    with pytest.raises(ProviderAwayError, match="https://"):
        Transit("transit", url="file:///etc/passwd", key="k")


# ---------------------------------------------------------------------------------------------------- kms, pkcs11


@pytest.mark.parametrize(
    ("code", "error", "text"),
    [
        ("DisabledException", NoSuchKeyError, "disabled"),
        ("KMSInvalidStateException", NoSuchKeyError, "no such key"),
        ("ThrottlingException", ProviderAwayError, "Throttling"),
        ("AccessDeniedException", ProviderAwayError, "AccessDenied"),
    ],
)
def test_what_kms_refuses_is_told_by_its_code(code: str, error: type[Exception], text: str, monkeypatch):
    """Answers that moto does not give, put in by botocore's own stub."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    provider = Kms("kms", key="alias/countersign", region=key_providers.REGION)
    with Stubber(provider._client) as stub:
        stub.add_client_error("encrypt", code)
        with pytest.raises(error, match=text):
            provider.wrap(DATA_KEY, associated_data=AAD)


def test_a_module_token_or_pin_that_is_wrong_is_a_clear_error():
    module, token = key_providers.soft_token()
    for wrong in ({"module": "/no/such/module.so"}, {"token": "no-such-token"}, {"pin": "9999"}):
        settings = {"module": module, "token": token, "pin": key_providers.HSM_PIN, "key": "kek", **wrong}
        with pytest.raises(ProviderAwayError, match="check module, token and PIN") as caught:
            Pkcs11("pkcs11", **settings).current()
        assert settings["pin"] not in str(caught.value)


def test_the_data_key_is_not_sent_in_the_clear_to_the_row(tmp_path: Path):
    """The wrapped key of the HSM is nonce, ciphertext and tag, and as long as they are."""
    with key_providers.pkcs11(tmp_path) as offered:
        assert len(offered.provider.wrap(os.urandom(32), associated_data=AAD).blob) == 12 + 32 + 16
