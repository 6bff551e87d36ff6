"""Where one is signed in, and ending it; a password that somebody else has chosen."""

from __future__ import annotations

from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from security.errors import DeniedError
from security.identity import sessions
from security.identity.services import change_password, create_token, create_user, deactivate_user, reset_password
from security.log.models import AuditEvent
from tests.support.people import PASSWORD, People

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"
EDGE = "Mozilla/5.0 (Windows NT 10.0; Win64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36 Edg/131.0"
NEW = "a quite different long phrase"


def signed_in(username: str, agent: str = FIREFOX, address: str = "192.0.2.1") -> Client:
    client = Client(REMOTE_ADDR=address, headers={"User-Agent": agent})
    assert client.post(reverse("sign-in"), {"username": username, "password": PASSWORD}).status_code == 302
    return client


def is_in(client: Client) -> bool:
    return client.get(reverse("settings")).status_code == 200


def test_a_person_sees_their_sessions_with_device_and_address_and_nobody_elses(people: People):
    here, there = signed_in("vera"), signed_in("vera", EDGE, "192.0.2.2")
    signed_in("erin", address="192.0.2.3")
    there.get("/")
    page = here.get(reverse("settings"))
    assert [(place.device, place.address, place.current) for place in page.context["places"]] == [
        ("Firefox on Linux", "192.0.2.1", True),
        ("Edge on Windows", "192.0.2.2", False),
    ]


def test_ending_one_session_or_all_others_signs_them_out_and_is_on_record(people: People):
    here, second, third = (signed_in("vera") for _ in range(3))
    other = next(place for place in here.get(reverse("settings")).context["places"] if not place.current)
    here.post(reverse("session-end", args=[other.id]))
    assert [is_in(second), is_in(third)].count(False) == 1
    here.post(reverse("sessions-end"))
    assert [is_in(here), is_in(second), is_in(third)] == [True, False, False]
    assert AuditEvent.objects.filter(event="session:ended").count() == 2


def test_nobody_ends_the_session_of_another(people: People):
    mine, theirs = signed_in("erin"), signed_in("vera")
    row = UserSession.objects.get(user=people.validator)
    assert mine.post(reverse("session-end", args=[row.pk])).status_code == 404
    assert is_in(theirs)


def test_changing_the_password_ends_every_other_session_and_renews_this_one(people: People):
    here, there = signed_in("vera"), signed_in("vera")
    before = here.cookies["sessionid"].value
    body = {"current": PASSWORD, "password": NEW}
    assert here.post(reverse("password"), body).status_code == 302
    assert here.cookies["sessionid"].value != before
    assert [is_in(here), is_in(there)] == [True, False]
    assert [place.current for place in here.get(reverse("settings")).context["places"]] == [True]


def test_deactivating_ends_sessions_and_every_token_with_an_event_of_its_own(people: People):
    there = signed_in("vera")
    for name in ("one", "two"):
        create_token(acting_user=people.validator, user=people.validator, name=name, scopes=["read"])
    deactivate_user(acting_user=people.admin, user=people.validator)
    assert not is_in(there)
    assert not UserSession.objects.filter(user=people.validator).exists()
    assert AuditEvent.objects.filter(event="token:revoked").count() == 2


def test_a_session_that_is_used_is_noted_once_a_minute_and_not_at_every_page(people: People):
    here = signed_in("vera")
    sessions._noted.clear()
    seen = []
    for again in (False, False, True):
        if again:
            sessions._noted.clear()  # as a minute later
        here.get(reverse("settings"))
        seen.append(UserSession.objects.get().last_seen_at)
    assert seen[0] == seen[1] < seen[2]


def test_a_session_that_was_not_used_for_an_hour_ends(people: People):
    here, there = signed_in("vera"), signed_in("vera")
    long_ago = timezone.now() - timedelta(seconds=3601)
    row = UserSession.objects.filter(session_key=here.cookies["sessionid"].value)
    assert row.update(last_seen_at=long_ago) == 1
    sessions._noted.clear()
    assert [is_in(here), is_in(there)] == [False, True]
    assert not row.exists()
    assert '"why":"idle"' in AuditEvent.objects.get(event="session:ended").entry


def test_signing_out_ends_the_session_on_the_server_and_clears_the_browser(people: People):
    here = signed_in("vera")
    stolen = Client()
    stolen.cookies["sessionid"] = here.cookies["sessionid"].value
    assert is_in(stolen)
    assert here.post(reverse("sign-out"))["Clear-Site-Data"] == '"cache"'
    assert not is_in(stolen)


def test_a_password_of_somebody_elses_choice_must_be_changed_first(people: People):
    made = create_user(acting_user=people.admin, username="paula", full_name="Paula", password=PASSWORD)
    assert made.must_change_password
    assert made.credentials_by == people.admin
    client = Client()
    client.post(reverse("sign-in"), {"username": "paula", "password": PASSWORD})
    for path in ("/", reverse("settings"), reverse("people"), reverse("second-factor")):
        assert client.get(path)["Location"] == reverse("first-password")
    answer = client.get("/api/v1/me")
    assert (answer.status_code, answer["Content-Type"]) == (403, "application/problem+json")
    same = client.post(reverse("first-password"), {"current": PASSWORD, "password": PASSWORD})
    assert same.status_code == 422
    assert client.post(reverse("first-password"), {"current": PASSWORD, "password": NEW}).status_code == 302
    assert client.get("/").status_code == 200
    made.refresh_from_db()
    assert not made.must_change_password
    assert made.credentials_by == people.admin


def test_what_the_command_line_or_the_person_chose_need_not_be_changed(people: People):
    assert not people.validator.must_change_password
    change_password(acting_user=people.validator, user=people.validator, password=NEW)
    assert not people.validator.must_change_password


def test_an_administrator_signs_somebody_out_everywhere(people: People):
    there, admin = [signed_in("vera"), signed_in("vera")], Client()
    admin.force_login(people.admin)
    assert there[0].post(reverse("person-sessions-end", args=[people.admin.pk])).status_code == 403
    assert admin.post(reverse("person-sessions-end", args=[people.validator.pk])).status_code == 302
    assert [is_in(client) for client in there] == [False, False]
    event = AuditEvent.objects.get(event="session:ended")
    assert event.actor.endswith(str(people.admin.pk))
    assert event.subject.endswith(str(people.validator.pk))


def test_a_reset_password_ends_sessions_and_nobody_resets_their_own(people: People):
    there = signed_in("vera")
    reset_password(acting_user=people.admin, user=people.validator, password=NEW)
    assert not is_in(there)
    assert AuditEvent.objects.filter(event="user:password-reset").count() == 1
    with pytest.raises(DeniedError):
        reset_password(acting_user=people.admin, user=people.admin, password=NEW)
