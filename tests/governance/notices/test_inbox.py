"""Who is told of what, once, and how the inbox and the digest say it."""

from __future__ import annotations

from smtplib import SMTPServerDisconnected

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from governance.notices import digest, selectors, telling
from governance.notices.models import Notice
from governance.notices.recipients import TELLINGS
from governance.services.reviews import submit
from security.access.models import RoleGrant
from security.access.services import grant_role
from security.access.table import Role
from security.log.models import AuditEvent
from tests.support.models import make_model_version
from tests.support.reviews import approve, sign


def told(user) -> list[str]:
    """The events that a person was told of, oldest first."""
    return list(Notice.objects.filter(recipient=user).order_by("index").values_list("event__event", flat=True))


def test_deciders_hear_of_a_review_and_its_author_of_the_decisions(people, review):
    approve(people, review)
    telling.tell()
    assert told(people.validator) == ["review:submitted"]
    assert told(people.risk_officer) == ["review:submitted"]
    assert told(people.engineer) == ["vote:cast", "vote:cast", "approval:issued"]
    assert "approval:issued" in told(people.owner)
    for other in (people.outsider, people.nobody, people.second_engineer):
        assert told(other) == []


def test_nobody_hears_of_what_they_did_themselves(people, review):
    grant_role(acting_user=people.admin, user=people.engineer, role=Role.VALIDATOR, system=people.system)
    telling.tell()
    assert "review:submitted" not in told(people.engineer)


def test_nothing_is_told_twice_and_nothing_is_left_out(people, review):
    first = telling.tell()
    assert first == AuditEvent.objects.filter(index__isnull=False).count()
    count = Notice.objects.count()
    assert telling.tell() == 0
    sign(people.validator, review, "reject")
    assert telling.tell() > 0
    assert Notice.objects.count() > count
    assert told(people.engineer)[-2:] == ["vote:cast", "review:rejected"]


def test_whoever_lost_their_role_hears_nothing_more(people, review):
    RoleGrant.objects.filter(user=people.validator).update(revoked_at=timezone.now())
    telling.tell()
    assert told(people.validator) == []


def test_a_batch_of_one_and_of_many_events_costs_the_same_queries(people, review):
    telling.tell()

    def queries(versions: int) -> int:
        for _ in range(versions):
            submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))
        with CaptureQueriesContext(connection) as asked:
            telling.tell()
        return len(asked)

    assert queries(1) == queries(4)


def test_every_event_in_the_table_is_told_to_somebody():
    for event, rule in TELLINGS.items():
        assert rule.roles or rule.author, event


def test_the_inbox_says_what_happened_and_marks_it_read(people, review):
    telling.tell()
    client = Client()
    client.force_login(people.validator)
    page = client.get("/inbox/").content.decode()
    assert "was submitted for review" in page
    assert f"/reviews/{review.pk}/" in page
    newest = Notice.objects.filter(recipient=people.validator).first().index
    assert selectors.unread(people.validator) == 1
    client.post("/inbox/", {"up_to": str(newest)})
    assert selectors.unread(people.validator) == 0
    assert "1 unread" not in client.get("/inbox/").content.decode()
    assert "Nothing to read" in client.get("/inbox/?unread=1").content.decode()


def test_one_person_cannot_read_or_mark_anothers_notices(people, review):
    telling.tell()
    client = Client()
    client.force_login(people.risk_officer)
    client.post("/inbox/")
    client.post("/api/v1/notices/read", "{}", "application/json")
    assert selectors.unread(people.validator) == 1
    listed = client.get("/api/v1/notices?unread=true").json()
    assert listed["count"] == 0


def test_the_inbox_costs_the_same_for_one_notice_and_for_many(people, review):
    client = Client()
    client.force_login(people.validator)

    def queries() -> int:
        telling.tell()
        client.get("/inbox/")
        with CaptureQueriesContext(connection) as asked:
            assert client.get("/inbox/").status_code == 200
        return len(asked)

    one = queries()
    for _ in range(4):
        submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))
    assert queries() == one


@pytest.mark.parametrize("given", ["-1", "1e3", "99999999999999999999999", "٣", "x"])
def test_a_number_that_is_none_marks_nothing_in_particular(people, review, given):
    telling.tell()
    client = Client()
    client.force_login(people.validator)
    assert client.post("/inbox/", {"up_to": given}).status_code == 302


class TestDigest:
    @pytest.fixture(autouse=True)
    def _mail(self, settings, people, review):
        settings.EMAIL_CONFIGURED, settings.PUBLIC_URL = True, "https://cs.example/"
        people.validator.email = "vera@example.org"
        people.validator.save(update_fields=["email"])
        telling.tell()

    def test_it_says_once_what_is_unread(self, people, review):
        assert digest.send() == {"sent": 1, "failed": 0}
        (message,) = mail.outbox
        assert message.to == ["vera@example.org"]
        assert f"https://cs.example/reviews/{review.pk}/" in message.body
        assert digest.send() == {"sent": 0, "failed": 0}

    def test_what_was_read_is_not_sent(self, people):
        Notice.objects.update(read_at=timezone.now())
        assert digest.send() == {"sent": 0, "failed": 0}

    def test_without_a_server_nothing_is_sent(self, settings):
        settings.EMAIL_CONFIGURED = False
        assert digest.send() == {"sent": 0, "failed": 0}
        assert mail.outbox == []

    def test_a_mail_that_is_refused_is_tried_again(self, monkeypatch):
        def refuse(*_):
            raise SMTPServerDisconnected("gone")

        with monkeypatch.context() as patch:
            patch.setattr(EmailBackend, "send_messages", refuse)
            assert digest.send() == {"sent": 0, "failed": 1}
        assert digest.send() == {"sent": 1, "failed": 0}

    def test_a_name_with_line_breaks_stays_on_its_line(self, people, review):
        model = review.model_version.model
        type(model).objects.filter(pk=model.pk).update(name="x\r\nBcc: all@example.org")
        digest.send()
        assert "\nBcc" not in mail.outbox[0].body
