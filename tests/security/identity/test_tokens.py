"""Tokens and passwords."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.utils import timezone

from security.errors import ConflictError, DeniedError, InvalidError
from security.identity.models import ApiToken, User
from security.identity.services import (
    authenticate_token,
    change_password,
    create_token,
    create_user,
    deactivate_user,
    revoke_token,
)
from security.log.models import AuditEvent
from tests.support.people import PASSWORD

pytestmark = pytest.mark.django_db


@pytest.fixture
def token(people):
    return create_token(acting_user=people.engineer, user=people.engineer, name="laptop", scopes=["read"])


def test_a_live_token_finds_its_user(people, token):
    found = authenticate_token(token[1])
    assert found.user == people.engineer
    assert found.user.acting_token == found
    found.refresh_from_db()
    assert found.last_used_at is not None


def test_only_the_hash_is_stored_and_nothing_of_the_secret_reaches_the_log(token):
    row, text = token
    secret = text.split("_", 2)[2]
    assert secret not in str(ApiToken.objects.values().get())
    assert secret not in "".join(AuditEvent.objects.values_list("entry", flat=True))
    assert row.secret_sha256 not in "".join(AuditEvent.objects.values_list("entry", flat=True))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: t[:-1],
        lambda t: t + "x",
        lambda t: t.replace("cs_", "xx_"),
        lambda t: "",
        lambda t: "cs_" + "0" * 16 + "_x",
    ],
)
def test_a_wrong_token_finds_nobody(token, spoil):
    assert authenticate_token(spoil(token[1])) is None


def test_an_expired_revoked_or_orphaned_token_finds_nobody(people, token):
    row, text = token
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert authenticate_token(text) is None
    ApiToken.objects.update(expires_at=timezone.now() + timedelta(days=1))
    assert authenticate_token(text) is not None
    revoke_token(acting_user=people.engineer, token=row)
    assert authenticate_token(text) is None
    with pytest.raises(ConflictError):
        revoke_token(acting_user=people.engineer, token=row)


@pytest.mark.parametrize(
    ("end", "state"),
    [
        ({"expires_at": timezone.now() - timedelta(seconds=1)}, "expired"),
        ({"revoked_at": timezone.now()}, "revoked"),
    ],
)
def test_using_a_token_after_its_end_is_on_record_once_an_hour(people, token, end, state):
    row, text = token
    ApiToken.objects.update(**end)
    for _ in range(5):
        assert authenticate_token(text) is None
    assert authenticate_token(text + "x") is None
    event = AuditEvent.objects.get(event="token:refused")
    assert event.subject.endswith(str(row.pk))
    assert f'"state":"{state}"' in event.entry
    ApiToken.objects.update(refused_at=timezone.now() - timedelta(minutes=61))
    authenticate_token(text)
    assert AuditEvent.objects.filter(event="token:refused").count() == 2


def test_deactivating_a_person_ends_their_tokens_and_sign_in(people, token):
    deactivate_user(acting_user=people.admin, user=people.engineer)
    assert authenticate_token(token[1]) is None
    assert authenticate(username="erin", password=PASSWORD) is None
    with pytest.raises(DeniedError):
        deactivate_user(acting_user=people.admin, user=people.admin)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["root"]}, "scopes"),
        ({"name": " "}, "name"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "expires_at"),
        ({"expires_at": timezone.now() + timedelta(days=400)}, "expires_at"),
    ],
)
def test_a_senseless_token_is_refused(people, change, field):
    wanted = {"user": people.engineer, "name": "n", "scopes": ["read"]} | change
    with pytest.raises(InvalidError) as refused:
        create_token(acting_user=people.engineer, **wanted)
    assert refused.value.field == field


def test_nobody_makes_a_token_for_another_person_or_with_a_token(people, token):
    with pytest.raises(DeniedError):
        create_token(acting_user=people.admin, user=people.engineer, name="n", scopes=["read"])
    user = authenticate_token(token[1]).user
    with pytest.raises(DeniedError):
        create_token(acting_user=user, user=user, name="n", scopes=["read"])


def test_production_hashes_with_argon2id_at_least_as_hard_as_owasp_says():
    """The Password Storage Cheat Sheet: 19 MiB and two passes, or more; here the tests' quick hasher is left out."""
    (production,) = settings.PASSWORD_HASHERS[1:]
    assert production == "django.contrib.auth.hashers.Argon2PasswordHasher"
    hasher = Argon2PasswordHasher()
    assert hasher.memory_cost >= 19 * 1024
    assert hasher.time_cost >= 2


def test_passwords_are_argon2_and_weak_ones_are_refused(people):
    assert people.engineer.password.startswith("argon2$argon2id$")
    for weak in ("short", "password1234", "erin-engineer"):
        with pytest.raises(InvalidError):
            change_password(acting_user=people.engineer, user=people.engineer, password=weak)


def test_sign_in_ignores_case_of_the_name_and_refuses_services_and_strangers(people):
    assert authenticate(username="ERIN", password=PASSWORD) == people.engineer
    assert authenticate(username="erin", password="wrong") is None
    assert authenticate(username="who", password=PASSWORD) is None
    service = create_user(acting_user=None, username="robot", full_name="Robot", password=PASSWORD, is_service=True)
    assert not service.has_usable_password()
    assert authenticate(username="robot", password=PASSWORD) is None


@pytest.mark.parametrize(("name", "field"), [("Bad Name", "username"), ("erin", "username"), ("", "username")])
def test_bad_usernames_are_refused(people, name, field):
    before = User.objects.count()
    with pytest.raises(InvalidError) as refused:
        create_user(acting_user=None, username=name, full_name="X", password=None)
    assert refused.value.field == field
    assert User.objects.count() == before
