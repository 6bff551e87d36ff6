"""Guessing at the door: per name, per address, from many places at once, without filling the log."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from security.identity import throttle
from security.identity.models import Attempts
from security.identity.throttle import ADDRESS, PERSON, Answer
from security.log.models import AuditEvent
from tests.support.people import PASSWORD, People

WRONG = "not the password"


def attempt(username: str, password: str = WRONG, client: Client | None = None, **headers: str):
    return (client or Client()).post(reverse("sign-in"), {"username": username, "password": password}, headers=headers)


def events(kind: str) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(event=kind))


def test_after_five_wrong_passwords_even_the_right_one_is_refused_for_a_while(people: People):
    assert [attempt("vera").status_code for _ in range(5)] == [200] * 5
    refused = attempt("vera", PASSWORD)
    assert refused.status_code == 429
    assert refused["Retry-After"] == "900"
    assert "_auth_user_id" not in refused.client.session
    assert attempt("erin", PASSWORD).status_code == 302
    Attempts.objects.update(started_at=timezone.now() - timedelta(seconds=900))
    assert attempt("vera", PASSWORD).status_code == 302


def test_a_lockout_is_on_record_once_and_names_nobody_who_typed(people: People):
    for number in range(9):
        attempt("VERA ", f"guess {number}")
    failures, lockouts = events("user:sign-in-failed"), events("user:locked-out")
    assert [event.subject for event in failures] == [f"urn:countersign:user:{people.validator.pk}"] * 5
    assert [event.subject for event in lockouts] == [f"urn:countersign:user:{people.validator.pk}"]


def test_a_name_that_nobody_has_is_locked_the_same_way_and_not_kept(people: People):
    known = [attempt("vera") for _ in range(7)]
    unknown = [attempt("my secret passphrase") for _ in range(7)]
    assert [one.status_code for one in unknown] == [one.status_code for one in known] == [200] * 5 + [429] * 2
    kept = "".join(AuditEvent.objects.values_list("entry", flat=True)) + str(list(Attempts.objects.values()))
    assert "passphrase" not in kept
    assert "127.0.0.1" not in kept


def test_trying_one_password_on_many_names_from_one_address_ends(people: People):
    answers = [attempt(f"name{number}").status_code for number in range(ADDRESS.most + 3)]
    assert answers == [200] * ADDRESS.most + [429] * 3
    assert attempt("vera", PASSWORD).status_code == 429
    assert attempt("vera", PASSWORD, client=Client(REMOTE_ADDR="192.0.2.7")).status_code == 302
    assert len(events("address:throttled")) == 1


def test_signing_in_rightly_does_not_wear_out_the_address_nor_whiten_it(people: People):
    for _ in range(3):
        attempt("nobody-here")
    for _ in range(10):
        assert attempt("vera", PASSWORD).status_code == 302
    assert Attempts.objects.get(key__startswith=f"{ADDRESS.purpose}:").count == 3


def test_an_address_that_the_client_names_itself_is_not_believed(people: People, settings):
    for number in range(ADDRESS.most):
        attempt(f"name{number}", **{"X-Forwarded-For": f"198.51.100.{number}"})
    assert attempt("vera", PASSWORD, **{"X-Forwarded-For": "203.0.113.9"}).status_code == 429
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1  # what the one proxy of ours has seen stands last
    spoofed = {"X-Forwarded-For": "203.0.113.9, 198.51.100.77"}
    for number in range(ADDRESS.most):
        assert attempt(f"other{number}", **spoofed).status_code == 200
    assert attempt("vera", PASSWORD, **{"X-Forwarded-For": "203.0.113.10, 198.51.100.77"}).status_code == 429


def test_a_good_sign_in_is_on_record_with_what_proved_it(people: People):
    attempt("vera", PASSWORD)
    (event,) = events("user:signed-in")
    assert event.actor.endswith(str(people.validator.pk))
    assert '"methods":["password"]' in event.entry


@pytest.mark.django_db(transaction=True)
def test_many_attempts_at_once_get_no_more_guesses_than_one_after_the_other():
    def one(_: int) -> Answer:
        try:
            return throttle.take(PERSON, "vera")
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(one, range(40)))
    assert answers.count(Answer.GO) == PERSON.most
    assert answers.count(Answer.REFUSED_NOW) == 1
