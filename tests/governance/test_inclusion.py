"""A decision waits for the audit log, and says so when the log does not come."""

from __future__ import annotations

import time

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from governance.models import Approval
from governance.selectors.inclusion import all_included, places
from governance.services.reviews import revoke, submit, vote
from security.log import sequencer
from security.log.models import Pending
from security.log.verification import verify
from tests.support.api import Api
from tests.support.databases import usable_by_threads
from tests.support.models import make_model_version
from tests.support.people import PASSWORD, People


@pytest.fixture
def committed(transactional_db: None, people: People, tmp_path, settings):
    """Nobody but the decision itself numbers events."""
    with usable_by_threads(tmp_path):
        settings.LOG_SEQUENCER = "process"
        yield submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))


def test_a_vote_an_approval_and_a_revocation_are_included_when_the_service_returns(people: People, committed) -> None:
    vote(acting_user=people.validator, review=committed, decision="approve", reason="Good.", password=PASSWORD)
    assert all_included(places(committed))
    vote(acting_user=people.risk_officer, review=committed, decision="approve", reason="Good.", password=PASSWORD)
    approval = Approval.objects.get()
    revoke(acting_user=people.owner, approval=approval, reason="Enough.", password=PASSWORD)
    found = places(committed, approval)
    kinds = ["vote:cast", "vote:cast", "review:approved", "approval:issued", "approval:revoked"]
    assert [place.event for place in found] == kinds
    assert all_included(found)
    assert [place.index for place in found] == sorted(place.index for place in found)
    assert all(place.index < place.checkpoint for place in found)
    assert verify().ok


def test_a_decision_that_is_not_included_in_time_holds_and_says_so(
    people: People, committed, settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LOG_INCLUSION_SECONDS = 0.2
    monkeypatch.setattr(sequencer, "number", lambda **_: None)  # somebody else has the lock, and does not come back
    started = time.monotonic()
    vote(acting_user=people.validator, review=committed, decision="reject", reason="No.", password=PASSWORD)
    assert 0.2 <= time.monotonic() - started < 10
    waiting = [place for place in places(committed) if not place.included]
    assert [place.event for place in waiting] == ["vote:cast", "review:rejected"]
    answer = Api(people.auditor).get(f"reviews/{committed.pk}").json()
    assert [(row["event"], row["index"], row["checkpoint"]) for row in answer["log"]] == [
        ("vote:cast", None, None),
        ("review:rejected", None, None),
    ]
    monkeypatch.undo()
    sequencer.number_all()
    assert all_included(places(committed))
    assert Pending.objects.count() == 0


def test_page_and_api_show_the_number_and_the_checkpoint_of_a_decision(people: People, db: None) -> None:
    review = submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))
    vote(acting_user=people.validator, review=review, decision="approve", reason="Good.", password=PASSWORD)
    place = places(review)[0]
    row = Api(people.auditor).get(f"reviews/{review.pk}").json()["log"][0]
    assert (row["event"], row["index"], row["checkpoint"]) == ("vote:cast", place.index, place.checkpoint)
    client = Client()
    client.force_login(people.auditor)
    page = client.get(reverse("review", args=[review.pk])).content.decode()
    assert reverse("audit-event", args=[place.index]) in page
    assert connection.in_atomic_block  # so the decision could not wait; it was numbered where it was recorded
