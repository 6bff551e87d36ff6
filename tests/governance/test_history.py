"""Events as sentences."""

from __future__ import annotations

from governance import history
from governance.services.reviews import submit
from security.log.models import AuditEvent
from tests.support.models import make_model_version
from tests.support.people import People
from tests.support.reviews import sign


def test_an_approval_reads_as_what_happened(people: People, django_assert_max_num_queries):
    review = submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))
    sign(people.validator, review)
    sign(people.risk_officer, review)
    events = AuditEvent.objects.filter(event__in=history.TELLING, system="credit").order_by("index")
    with django_assert_max_num_queries(8):
        lines = history.lines(events)
    said = [(line.text, line.actor, line.tone) for line in lines]
    assert said[-4:] == [
        ("tiny v1 was submitted for review", "Erin Engineer", "accent"),
        ("tiny v1 got a signature: approve as validator", "Vera Validator", "pass"),
        ("tiny v1 got a signature: approve as risk officer", "Rosa Risk", "pass"),
        ("tiny v1 is approved", "Rosa Risk", "pass"),
    ]
    assert lines[-1].url == f"/reviews/{review.pk}/"


def test_a_subject_that_is_unknown_here_still_gives_a_sentence(people: People):
    event = AuditEvent(
        time=people.engineer.created_at,
        event="future:event-kind",
        actor="urn:countersign:system:engine",
        subject="urn:countersign:thing:not-an-id",
        entry="{}",
    )
    assert history.lines([event])[0].text == "Thing future event kind"


def test_every_event_that_is_told_has_words():
    assert set(history.TELLING) <= set(history._SAYINGS)
