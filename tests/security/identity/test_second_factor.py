"""Second factors: enrolling, signing in with them, and attacks on both. Codes come from ``cryptography``'s TOTP."""

from __future__ import annotations

import base64
import json
import time
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator as Factor
from allauth.mfa.totp.internal.auth import generate_totp_secret, validate_totp_code
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from security.errors import ConflictError, DeniedError, InvalidError, MissingError, ThrottledError
from security.identity import second_factor as factors
from security.identity.models import Attempts, UsedCode, User
from security.identity.second_factor import PasskeyAnswer
from security.log.models import AuditEvent
from tests.support.passkeys import Authenticator
from tests.support.people import PASSWORD, People


def code_of(secret: str, at: float | None = None) -> str:
    key = base64.b32decode(secret)
    totp = TOTP(key, 6, SHA1(), 30, enforce_key_length=False)  # noqa: S303 - what RFC 6238 and every app use
    return totp.generate(int(at if at is not None else time.time())).decode()


def enrol_totp(user: User) -> tuple[str, list[str]]:
    """The secret and the recovery codes of a person's new authenticator app, enrolled a while ago."""
    secret = generate_totp_secret()
    codes = factors.enrol_totp(acting_user=user, secret=secret, code=code_of(secret))
    UsedCode.objects.filter(user=user).delete()
    return secret, codes


def enrol_passkey(user: User, device: Authenticator, name: str = "key") -> list[str]:
    challenge = factors.ask_new_passkey(user, device.rp)
    answer = PasskeyAnswer(device.create(challenge.options), challenge.state)
    return factors.enrol_passkey(acting_user=user, name=name, answer=answer)


def asked(user: User) -> factors.Challenge:
    challenge = factors.ask_passkey(user, "localhost")
    assert challenge is not None
    return challenge


@pytest.mark.parametrize(("at", "code"), [(59, "287082"), (1111111109, "081804"), (20000000000, "353130")])
def test_the_codes_are_those_of_rfc_6238_appendix_b(at: int, code: str, monkeypatch):
    secret = base64.b32encode(b"12345678901234567890").decode()
    monkeypatch.setattr(time, "time", lambda: at)
    assert code_of(secret, at) == code
    assert validate_totp_code(secret, code)


def test_a_code_works_once(people: People):
    secret, _ = enrol_totp(people.validator)
    assert factors.check(people.validator, code=code_of(secret)).type == "totp"
    with pytest.raises(InvalidError, match="used before"):
        factors.check(people.validator, code=code_of(secret))


def test_a_code_that_enrolled_the_app_does_not_sign_as_well(people: People):
    secret = generate_totp_secret()
    factors.enrol_totp(acting_user=people.validator, secret=secret, code=code_of(secret))
    with pytest.raises(InvalidError):
        factors.check(people.validator, code=code_of(secret))


@pytest.mark.parametrize("off", [-120, -61, 61, 120])
def test_a_code_of_another_time_is_refused(people: People, off: int):
    secret, _ = enrol_totp(people.validator)
    with pytest.raises(InvalidError):
        factors.check(people.validator, code=code_of(secret, time.time() + off))


def test_another_persons_code_is_refused(people: People):
    enrol_totp(people.validator)
    theirs, _ = enrol_totp(people.risk_officer)
    with pytest.raises(InvalidError):
        factors.check(people.validator, code=code_of(theirs))


def test_after_five_wrong_codes_even_the_right_one_is_refused_for_a_while(people: People):
    secret, _ = enrol_totp(people.validator)
    for _ in range(5):
        with pytest.raises(InvalidError):
            factors.check(people.validator, code="000000" if code_of(secret) != "000000" else "111111")
    with pytest.raises(ThrottledError):
        factors.check(people.validator, code=code_of(secret))
    assert AuditEvent.objects.filter(event="second-factor:failed").count() == 5
    Attempts.objects.update(started_at=timezone.now() - timedelta(minutes=15))
    assert factors.check(people.validator, code=code_of(secret))


def test_each_recovery_code_works_once_and_new_ones_end_the_old(people: People):
    _, codes = enrol_totp(people.validator)
    assert len(set(codes)) == 10
    assert factors.check(people.validator, code=codes[0]).type == "recovery_codes"
    for spent in (codes[0], "00000000"):
        with pytest.raises(InvalidError):
            factors.check(people.validator, code=spent)
    fresh = factors.new_recovery_codes(acting_user=people.validator)
    with pytest.raises(InvalidError):
        factors.check(people.validator, code=codes[1])
    assert factors.check(people.validator, code=fresh[1])


def test_secrets_are_encrypted_in_the_database_and_absent_from_the_log(people: People):
    secret, codes = enrol_totp(people.validator)
    stored = json.dumps(list(Factor.objects.values_list("data", flat=True)))
    logged = "".join(AuditEvent.objects.values_list("entry", flat=True))
    for word in (secret, *codes):
        assert word not in stored
        assert word not in logged


def test_a_passkey_signs_and_says_whether_it_verified_its_user(people: People):
    for verifies in (True, False):
        device = Authenticator(verifies=verifies)
        enrol_passkey(people.validator, device)
        challenge = asked(people.validator)
        answer = PasskeyAnswer(device.get(challenge.options), challenge.state)
        assert factors.check(people.validator, passkey=answer) == factors.Checked("webauthn", verifies)


def spoil_signature(answer: dict) -> dict:
    raw = bytearray(base64.urlsafe_b64decode(answer["response"]["signature"] + "=="))
    raw[-1] ^= 1
    answer["response"]["signature"] = base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()
    return answer


def test_a_passkeys_answer_is_good_for_its_challenge_origin_person_and_time_only(people: People, monkeypatch):
    device, evil = Authenticator(), Authenticator()
    enrol_passkey(people.validator, device)
    enrol_passkey(people.risk_officer, evil)
    first, second = asked(people.validator), asked(people.validator)
    phished = Authenticator(origin="http://localhost.evil.example")
    phished.key, phished.id = device.key, device.id
    foreign_rp = Authenticator(rp="evil.example")
    foreign_rp.key, foreign_rp.id = device.key, device.id
    stolen_id = Authenticator()
    stolen_id.id = device.id
    wrong = {
        "an answer to another challenge": PasskeyAnswer(device.get(first.options), second.state),
        "a false origin": PasskeyAnswer(phished.get(first.options), first.state),
        "another relying party": PasskeyAnswer(foreign_rp.get(first.options), first.state),
        "another person's passkey": PasskeyAnswer(evil.get(first.options), first.state),
        "another key under this id": PasskeyAnswer(stolen_id.get(first.options), first.state),
    }
    for answer in wrong.values():
        Attempts.objects.all().delete()
        with pytest.raises(InvalidError):
            factors.check(people.validator, passkey=answer)
    Attempts.objects.all().delete()
    for spoiled in (spoil_signature(device.get(first.options)), {}, {"id": 5}, {"response": None}):
        with pytest.raises(InvalidError):
            factors.check(people.validator, passkey=PasskeyAnswer(spoiled, first.state))
    Attempts.objects.all().delete()
    theirs = asked(people.risk_officer)
    with pytest.raises(InvalidError):
        factors.check(people.validator, passkey=PasskeyAnswer(device.get(theirs.options), theirs.state))
    late = PasskeyAnswer(device.get(first.options), {**first.state, "at": time.time() - 301})
    with pytest.raises(InvalidError):
        factors.check(people.validator, passkey=late)
    with pytest.raises(InvalidError):
        factors.check(people.validator, passkey=PasskeyAnswer(device.get(first.options), {}))


def test_a_passkey_is_enrolled_only_with_the_answer_to_its_own_challenge(people: People):
    device = Authenticator()
    mine, theirs = (factors.ask_new_passkey(user, "localhost") for user in (people.validator, people.risk_officer))
    for state in (theirs.state, {}, {**mine.state, "at": 0}):
        answer = PasskeyAnswer(device.create(mine.options), state)
        with pytest.raises(InvalidError):
            factors.enrol_passkey(acting_user=people.validator, name="x", answer=answer)
    assert not factors.is_enrolled(people.validator)


def test_removing_the_last_factor_removes_the_recovery_codes_and_nobody_removes_anothers(people: People):
    enrol_totp(people.validator)
    enrol_totp(people.risk_officer)
    mine = Factor.objects.get(user=people.validator, type="totp")
    with pytest.raises(MissingError):
        factors.remove(acting_user=people.risk_officer, factor_id=mine.pk)
    factors.remove(acting_user=people.validator, factor_id=mine.pk)
    assert not Factor.objects.filter(user=people.validator).exists()


def test_an_administrator_can_reset_but_not_their_own(people: People):
    enrol_totp(people.validator)
    assert factors.reset(acting_user=people.admin, user=people.validator) == 2
    people.validator.refresh_from_db()
    assert people.validator.credentials_by == people.admin
    with pytest.raises(ConflictError):
        factors.reset(acting_user=people.admin, user=people.validator)
    with pytest.raises(DeniedError):
        factors.reset(acting_user=people.admin, user=people.admin)


# ------------------------------------------------------------------------------------------------------ the pages


def password_given(client: Client, username: str = "vera") -> Client:
    client.post(reverse("sign-in"), {"username": username, "password": PASSWORD})
    return client


def test_the_password_alone_signs_nobody_in_who_has_a_second_factor(people: People, client: Client):
    secret, _ = enrol_totp(people.validator)
    answer = client.post(reverse("sign-in"), {"username": "vera", "password": PASSWORD})
    assert answer["Location"] == reverse("mfa_authenticate")
    for path in ("/", reverse("settings"), "/api/v1/me"):
        assert client.get(path).status_code in (302, 401)
    assert client.post(reverse("mfa_authenticate"), {"code": "12345"}).status_code == 422
    done = client.post(reverse("mfa_authenticate"), {"code": code_of(secret)})
    assert done.status_code == 302
    assert client.get("/").status_code == 200
    (event,) = AuditEvent.objects.filter(event="user:signed-in")
    assert '"methods":["password","totp"]' in event.entry


def test_the_second_step_without_the_first_leads_back(people: People, client: Client):
    enrol_totp(people.validator)
    answer = client.get(reverse("mfa_authenticate"))
    assert (answer.status_code, answer["Location"]) == (302, reverse("sign-in"))


def test_signing_in_with_a_passkey(people: People, client: Client):
    device = Authenticator(origin="http://localhost:8000")
    enrol_passkey(people.validator, device)
    client = password_given(Client(headers={"Host": "localhost:8000"}))
    options = json.loads(client.get(reverse("mfa_authenticate")).context["options"])
    credential = json.dumps(device.get(options))
    assert client.post(reverse("mfa_authenticate"), {"credential": credential}).status_code == 302
    assert client.get("/").status_code == 200
    again = password_given(Client(headers={"Host": "localhost:8000"}))
    again.get(reverse("mfa_authenticate"))
    assert again.post(reverse("mfa_authenticate"), {"credential": credential}).status_code == 422


def test_enrolling_and_removing_take_the_password(people: People, client: Client):
    client.force_login(people.validator)
    secret = client.get(reverse("second-factor")).context["secret"]
    wrong = client.post(reverse("second-factor"), {"code": code_of(secret), "password": "guess"})
    assert wrong.status_code == 422
    assert not factors.is_enrolled(people.validator)
    done = client.post(reverse("second-factor"), {"code": code_of(secret), "password": PASSWORD})
    assert len(done.context["codes"]) == 10
    row = Factor.objects.get(user=people.validator, type="totp")
    assert client.post(reverse("factor-remove", args=[row.pk]), {"password": "guess"}).status_code == 422
    assert factors.is_enrolled(people.validator)
    assert client.post(reverse("factor-remove", args=[row.pk]), {"password": PASSWORD}).status_code == 302
    assert not factors.is_enrolled(people.validator)


def test_recovery_codes_are_shown_once(people: People, client: Client):
    client.force_login(people.validator)
    secret = client.get(reverse("second-factor")).context["secret"]
    codes = client.post(reverse("second-factor"), {"code": code_of(secret), "password": PASSWORD}).context["codes"]
    page = client.get(reverse("second-factor"))
    assert page["Cache-Control"].startswith("max-age=0, no-cache, no-store")
    assert not any(code in page.content.decode() for code in codes)
