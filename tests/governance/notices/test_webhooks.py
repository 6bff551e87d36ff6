"""Deliveries to a real server: signed as others check them, tried again, and to no host that is not allowed."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone
from standardwebhooks import Webhook as Oracle
from standardwebhooks import WebhookVerificationError

from governance.notices import delivery, services, signatures, telling
from governance.notices.models import Delivery, DeliveryState, Webhook
from governance.services.reviews import submit
from security.errors import ConflictError, DeniedError, InvalidError
from security.log.models import AuditEvent
from tests.support.models import make_model_version
from tests.support.reviews import events

SUBMITTED = "review:submitted"


@pytest.fixture
def hook(people, receiver) -> Webhook:
    return services.create_webhook(acting_user=people.owner, system=people.system, url=receiver.url, events=[SUBMITTED])


def happen(people) -> None:
    submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))
    telling.tell()


def oracle(hook: Webhook) -> Oracle:
    """Standard Webhooks' own library; it takes the key in base64."""
    return Oracle(base64.b64encode(services.secret_of(hook).encode()).decode())


def as_standard(headers: dict[str, str]) -> dict[str, str]:
    names = {"webhook-id": signatures.ID, "webhook-timestamp": signatures.TIMESTAMP}
    names["webhook-signature"] = signatures.SIGNATURE
    low = {name.lower(): value for name, value in headers.items()}
    return {ours: low[theirs.lower()] for ours, theirs in names.items()}


def test_a_delivery_is_what_the_log_holds_and_verifies_with_another_library(people, hook, receiver):
    happen(people)
    assert delivery.deliver() == {"delivered": 1, "later": 0, "failed": 0}
    (got,) = receiver.got
    oracle(hook).verify(got.body, as_standard(got.headers))
    told = json.loads(got.body)
    event = AuditEvent.objects.get(index=told["index"])
    assert event.event == SUBMITTED
    assert told["entry"] == json.loads(event.entry)
    assert signatures.verifies(services.secret_of(hook), got.headers, got.body, int(time.time()))


def test_what_another_library_signs_is_accepted_and_a_changed_byte_is_not(people, hook):
    key, body, now = services.secret_of(hook), '{"a":1}', int(time.time())
    signed = oracle(hook).sign("m1", datetime.fromtimestamp(now, UTC), body)
    given = {signatures.ID: "m1", signatures.TIMESTAMP: str(now), signatures.SIGNATURE: signed}
    assert signatures.verifies(key, given, body, now)
    assert not signatures.verifies(key, given, '{"a":2}', now)
    assert not signatures.verifies(key, {**given, signatures.ID: "m2"}, body, now)
    assert not signatures.verifies(key, given, body, now + signatures.TOLERANCE_SECONDS + 1)
    assert not signatures.verifies(key + "x", given, body, now)
    assert not signatures.verifies(key, {}, body, now)
    ours = signatures.headers(key, "m1", now, body)
    with pytest.raises(WebhookVerificationError):
        oracle(hook).verify(body + " ", as_standard(ours))


def test_secrets_differ_between_webhooks_and_stand_in_no_row(people, hook, receiver):
    other = services.create_webhook(
        acting_user=people.owner, system=people.system, url=receiver.url, events=[SUBMITTED]
    )
    secrets = {services.secret_of(hook), services.secret_of(other)}
    assert len(secrets) == 2
    stored = json.dumps(list(Webhook.objects.values()), default=str) + "".join(
        AuditEvent.objects.values_list("entry", flat=True)
    )
    assert not any(secret in stored for secret in secrets)


def test_a_receiver_that_is_down_hears_of_it_later_with_the_same_id(people, hook, receiver):
    happen(people)
    receiver.status = 503
    assert delivery.deliver()["later"] == 1
    assert delivery.deliver() == {"delivered": 0, "later": 0, "failed": 0}  # not before its time
    row = Delivery.objects.get()
    assert (row.attempts, row.answered, row.state) == (1, 503, DeliveryState.PENDING)
    receiver.status = 200
    Delivery.objects.update(next_at=timezone.now())
    assert delivery.deliver()["delivered"] == 1
    first, second = (got.headers[signatures.ID] for got in receiver.got)
    assert first == second == str(row.pk)


def test_it_is_given_up_after_the_last_attempt(people, hook, receiver):
    happen(people)
    receiver.status = 500
    Delivery.objects.update(attempts=delivery.MAX_ATTEMPTS - 1)
    assert delivery.deliver()["failed"] == 1
    assert Delivery.objects.get().state == DeliveryState.FAILED


def test_pauses_double_and_have_an_end():
    pauses = [delivery.pause_after(number) for number in range(1, delivery.MAX_ATTEMPTS + 1)]
    assert pauses[:3] == [timedelta(seconds=10), timedelta(seconds=20), timedelta(seconds=40)]
    assert max(pauses) <= delivery.LONGEST_PAUSE
    assert timedelta(hours=5) < sum(pauses, timedelta()) < timedelta(days=2)


def test_a_redirect_is_not_followed(people, hook, receiver):
    happen(people)
    receiver.status = 302
    assert delivery.deliver()["later"] == 1
    assert len(receiver.got) == 1


def test_two_workers_send_a_delivery_once(people, hook, receiver):
    happen(people)
    row = Delivery.objects.select_related("webhook__system").get()
    assert delivery._claim(row)
    assert not delivery._claim(row)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/x",
        "http://169.254.169.254/latest/meta-data",
        "https://127.0.0.1.evil.example/",
        "file:///etc/passwd",
        "https://user:secret@{host}/",
        "https://{host}@evil.example/",
        "http://{host}\\@evil.example/",
        "https://{host}/#x",
        "https://{host}/a b",
        "http://{host}\r\nX: y",
        "https://[::1",
        "https://{host}:99999/",
        "",
        "javascript:alert(1)",
    ],
)
def test_no_other_host_can_be_called(people, receiver, url):
    with pytest.raises(InvalidError):
        services.create_webhook(
            acting_user=people.owner,
            system=people.system,
            url=url.replace("{host}", receiver.host),
            events=[SUBMITTED],
        )


def test_plain_http_goes_to_this_machine_only(people, settings):
    settings.WEBHOOK_HOSTS = ["hooks.example.org"]
    assert services.allowed_url("https://hooks.example.org/x")
    with pytest.raises(InvalidError, match="https://"):
        services.allowed_url("http://hooks.example.org/x")


def test_a_host_that_was_taken_off_the_list_is_called_no_more(people, hook, receiver, settings):
    happen(people)
    settings.WEBHOOK_HOSTS = []
    assert delivery.deliver()["later"] == 1
    assert receiver.got == []


def test_only_events_of_its_own_system_and_after_it_was_made(people, receiver):
    submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))
    services.create_webhook(acting_user=people.admin, system=people.other, url=receiver.url, events=[SUBMITTED])
    services.create_webhook(acting_user=people.owner, system=people.system, url=receiver.url, events=[SUBMITTED])
    telling.tell()
    assert Delivery.objects.count() == 0


def test_an_ended_webhook_is_told_nothing(people, hook, receiver):
    happen(people)
    services.revoke_webhook(acting_user=people.owner, webhook=hook)
    happen(people)
    assert delivery.deliver() == {"delivered": 0, "later": 0, "failed": 0}
    assert Delivery.objects.filter(state=DeliveryState.PENDING).count() == 0
    with pytest.raises(ConflictError):
        services.revoke_webhook(acting_user=people.owner, webhook=hook)
    assert events("webhook:created", "webhook:revoked") == ["webhook:created", "webhook:revoked"]


def test_who_does_not_own_the_system_makes_none(people, receiver):
    for person in (people.engineer, people.validator, people.auditor, people.outsider):
        with pytest.raises(DeniedError):
            services.create_webhook(acting_user=person, system=people.system, url=receiver.url, events=[SUBMITTED])


def test_the_page_shows_the_secret_once(people, receiver):
    client = Client()
    client.force_login(people.owner)
    made = client.post("/systems/credit/webhooks/", {"url": receiver.url, "events": [SUBMITTED]})
    secret = services.secret_of(Webhook.objects.get())
    assert secret in made.content.decode()
    assert secret not in client.get("/systems/credit/webhooks/").content.decode()
    refused = client.post("/systems/credit/webhooks/", {"url": "https://<b>x</b>/", "events": [SUBMITTED]})
    assert refused.status_code == 422
    assert "<b>x</b>" not in refused.content.decode()
