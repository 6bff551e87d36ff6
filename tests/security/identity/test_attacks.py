"""Guessing a password from inside a session that somebody left open."""

from __future__ import annotations

from datetime import timedelta

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from security.identity.models import Attempts
from security.log.models import AuditEvent
from tests.support.people import PASSWORD, People

NEW = "a quite different long phrase"


def guess(client: Client, current: str) -> int:
    return client.post(reverse("password"), {"current": current, "password": NEW, "again": NEW}).status_code


def test_guessing_the_current_password_in_an_open_session_is_on_record_and_ends_after_five(people: People, client):
    client.force_login(people.validator)
    assert [guess(client, f"guess {number}") for number in range(5)] == [422] * 5
    refused = AuditEvent.objects.filter(event="user:sign-in-failed", actor__endswith=str(people.validator.pk))
    assert refused.count() == 5
    assert guess(client, PASSWORD) == 422
    people.validator.refresh_from_db()
    assert people.validator.check_password(PASSWORD)


def test_the_right_password_works_again_later_and_for_others_at_once(people: People, client):
    client.force_login(people.validator)
    for number in range(5):
        guess(client, f"guess {number}")
    other = Client()
    other.force_login(people.engineer)
    assert guess(other, PASSWORD) == 302
    Attempts.objects.update(started_at=timezone.now() - timedelta(minutes=15))
    assert guess(client, PASSWORD) == 302


def test_failures_at_the_door_do_not_lock_anybody_out_of_changing_their_password(people: People, client):
    for number in range(6):
        client.post(reverse("sign-in"), {"username": people.validator.username, "password": f"guess {number}"})
    client.force_login(people.validator)
    assert guess(client, PASSWORD) == 302
