"""Signing with a second factor, and that two names are two people."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from governance.services.reviews import revoke, submit, vote
from security.access.services import grant_role
from security.access.table import Role
from security.errors import DeniedError, ThrottledError
from security.identity.models import User
from security.identity.second_factor import PasskeyAnswer
from security.identity.services import create_user
from tests.security.identity.test_second_factor import asked, code_of, enrol_passkey, enrol_totp
from tests.support.models import make_model_version
from tests.support.passkeys import Authenticator
from tests.support.people import PASSWORD, People


@pytest.fixture
def review(people: People):
    return submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))


def approve(user: User, review: object, **proof: object):
    proof = {"password": PASSWORD, **proof}
    return vote(acting_user=user, review=review, decision="approve", reason="Checked.", **proof)


def test_whoever_has_a_second_factor_signs_with_it(people: People, review):
    secret, _ = enrol_totp(people.validator)
    for proof in ({}, {"code": "12345"}, {"code": code_of(secret), "password": "guess"}):
        with pytest.raises(DeniedError):
            approve(people.validator, review, **proof)
    assert approve(people.validator, review, code=code_of(secret)).method == "password+totp"
    device = Authenticator()
    enrol_passkey(people.risk_officer, device)
    challenge = asked(people.risk_officer)
    passkey = PasskeyAnswer(device.get(challenge.options), challenge.state)
    assert approve(people.risk_officer, review, passkey=passkey).method == "password+passkey"


def test_a_code_that_signed_one_thing_signs_nothing_else(people: People, review):
    secret, codes = enrol_totp(people.validator)
    approve(people.validator, review, code=code_of(secret))
    approve(people.risk_officer, review)
    review.refresh_from_db()
    approval = review.approval
    stop = {"acting_user": people.validator, "approval": approval, "reason": "Wrong.", "password": PASSWORD}
    with pytest.raises(DeniedError):
        revoke(**stop, code=code_of(secret))
    assert revoke(**stop, code=codes[0]).revoked_at is not None


def test_where_it_is_required_nobody_signs_or_administers_without_one(people: People, review, settings):
    settings.REQUIRE_MFA = True
    with pytest.raises(DeniedError, match="enrol an authenticator app or a passkey"):
        approve(people.validator, review)
    for refused in (
        lambda: grant_role(acting_user=people.admin, user=people.nobody, role=Role.AUDITOR),
        lambda: create_user(acting_user=people.admin, username="new", full_name="New", password=None),
    ):
        with pytest.raises(DeniedError, match="second factor"):
            refused()
    client = Client()
    client.force_login(people.validator)
    assert reverse("second-factor") in client.get(reverse("review", args=[review.pk])).content.decode()
    secret, _ = enrol_totp(people.validator)
    assert approve(people.validator, review, code=code_of(secret)).method == "password+totp"


def test_a_person_without_a_password_signs_with_a_passkey_that_verified_them(people: People, review):
    User.objects.filter(pk=people.validator.pk).update(password="!")
    person = User.objects.get(pk=people.validator.pk)
    with pytest.raises(DeniedError, match="sign with a passkey"):
        approve(person, review, password="")
    for verifies in (False, True):
        device = Authenticator(verifies=verifies)
        enrol_passkey(person, device)
        challenge = asked(person)
        passkey = PasskeyAnswer(device.get(challenge.options), challenge.state)
        if not verifies:
            with pytest.raises(DeniedError, match="did not verify you"):
                approve(person, review, password="", passkey=passkey)
        else:
            assert approve(person, review, password="", passkey=passkey).method == "passkey"


def test_a_throttled_second_factor_signs_nothing(people: People, review):
    secret, _ = enrol_totp(people.validator)
    for _ in range(5):
        with pytest.raises(DeniedError):
            approve(people.validator, review, code="1")
    with pytest.raises(ThrottledError):
        approve(people.validator, review, code=code_of(secret))
    assert review.votes.count() == 0


def by(person: User, giver: User, *, days_ago: int = 0) -> User:
    """``person`` as one whose password ``giver`` has set; the cast signs with ``PASSWORD`` as before."""
    at = timezone.now() - timedelta(days=days_ago)
    User.objects.filter(pk=person.pk).update(credentials_by=giver, credentials_at=at)
    return User.objects.get(pk=person.pk)


def test_a_people_manager_cannot_make_a_validator_and_sign_under_both_names(people: People, review):
    """The attack: the risk officer may manage people too, sets the validator's password, and signs twice."""
    grant_role(acting_user=people.admin, user=people.nobody, role=Role.ADMIN)
    validator = by(people.validator, people.risk_officer)
    approve(validator, review)
    with pytest.raises(DeniedError, match="may be one person here"):
        approve(people.risk_officer, review)
    review.refresh_from_db()
    assert review.is_open


def test_nor_two_names_that_a_third_has_made_nor_the_builder_under_another(people: People, review):
    validator, officer = by(people.validator, people.owner), by(people.risk_officer, people.owner)
    approve(validator, review)
    with pytest.raises(DeniedError, match="Olga Owner has set credentials"):
        approve(officer, review)
    made_by_builder = by(people.risk_officer, people.engineer)
    with pytest.raises(DeniedError, match="Erin Engineer has set credentials"):
        approve(made_by_builder, review)


def test_the_hand_is_forgotten_after_the_days_and_before_by_a_second_factor(people: People, review, settings):
    validator = by(people.validator, people.risk_officer, days_ago=settings.CREDENTIALS_DAYS + 1)
    approve(validator, review)
    officer = by(people.risk_officer, people.validator)
    with pytest.raises(DeniedError):
        approve(officer, review)
    secret, _ = enrol_totp(officer)
    assert approve(officer, review, code=code_of(secret)).method == "password+totp"


def test_rejecting_takes_no_second_hand(people: People, review):
    validator = by(people.validator, people.engineer)
    rejected = vote(acting_user=validator, review=review, decision="reject", reason="No.", password=PASSWORD)
    assert rejected.decision == "reject"
