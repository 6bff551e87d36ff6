"""Conditions, suspension and reinstatement as people meet them on the pages, without JavaScript."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from governance.models import Approval, Condition, Review, ReviewState
from governance.selectors import approvals
from tests.governance.pages.conftest import Login
from tests.support.people import PASSWORD, People
from tests.support.reviews import sign

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>{{ 7|add:7 }}'
SIGNED = {"reason": "Seen.", "password": PASSWORD}


@pytest.fixture
def condition(people: People, review: Review, login: Login) -> Condition:
    """Approved by the validator on the page, on a hostile condition, and then by the risk officer."""
    due = (timezone.now() + timedelta(days=2)).date()
    filled = {"condition_text_1": HOSTILE, "condition_owner_1": "olga", "condition_due_1": due.isoformat()}
    answer = login(people.validator).post(
        reverse("review-vote", args=[review.pk]), {"decision": "approve", **SIGNED, **filled}
    )
    assert answer.status_code == 302
    sign(people.risk_officer, review)
    return Condition.objects.get()


def test_a_condition_goes_from_the_vote_to_its_confirmation_on_the_pages(people, review, login, condition):
    assert Review.objects.get().state == ReviewState.APPROVED_WITH_CONDITIONS
    owner, setter = login(people.owner), login(people.validator)
    page = reverse("condition", args=[condition.pk])
    assert page in owner.get(reverse("home")).content.decode()
    assert page not in setter.get(reverse("home")).content.decode()
    assert b"Report that it is met" in owner.get(page).content
    assert b"Report that it is met" not in setter.get(page).content
    owner.post(reverse("condition-report", args=[condition.pk]), {"note": HOSTILE})
    assert b"Sign that it is met" in setter.get(page).content
    setter.post(reverse("condition-send-back", args=[condition.pk]), {"note": "Not all."})
    assert b"Not all." in owner.get(page).content
    owner.post(reverse("condition-report", args=[condition.pk]), {"note": "All of them."})
    wrong = setter.post(reverse("condition-confirm", args=[condition.pk]), {**SIGNED, "password": "guess"})
    assert (wrong.status_code, b"not right" in wrong.content) == (403, True)
    setter.post(reverse("condition-confirm", args=[condition.pk]), SIGNED)
    shown = owner.get(page).content.decode()
    assert "Nothing: it is met." in shown
    assert "Meaning: I looked at what was done" in shown
    assert "Vera Validator" in shown


def test_hostile_texts_stay_texts(people, review, login, condition):
    login(people.owner).post(reverse("condition-report", args=[condition.pk]), {"note": HOSTILE})
    for url in (
        reverse("condition", args=[condition.pk]),
        reverse("review", args=[review.pk]),
        reverse("model-version", args=[review.model_version_id]),
    ):
        shown = login(people.validator).get(url).content.decode()
        assert "&lt;script&gt;alert(1)" in shown
        assert "<script>alert(1)" not in shown
        assert "<img src=x" not in shown


def test_a_condition_that_is_half_filled_in_is_an_error_and_signs_nothing(people, review, login):
    sent = {"decision": "approve", **SIGNED, "condition_text_2": "Do it."}
    answer = login(people.validator).post(reverse("review-vote", args=[review.pk]), sent)
    assert answer.status_code == 422
    assert "A condition needs all three" in answer.content.decode()
    assert not review.votes.exists()


def test_an_approval_is_suspended_and_its_reinstatement_asked_for_on_the_page(people, review, login, approval):
    page, validator, engineer = reverse("review", args=[review.pk]), login(people.validator), login(people.engineer)
    assert "Suspend it" in validator.get(page).content.decode()
    assert "Suspend it" not in engineer.get(page).content.decode()
    seen = {"expected_version": approval.row_version, **SIGNED}
    assert validator.post(reverse("approval-suspend", args=[approval.pk]), seen).status_code == 302
    assert "Ask those who decide" in engineer.get(page).content.decode()
    late = validator.post(reverse("approval-revoke", args=[approval.pk]), seen)
    assert (late.status_code, "read it again" in late.content.decode()) == (409, True)
    asked = engineer.post(reverse("approval-reinstate", args=[approval.pk]), {"note": HOSTILE}, follow=True)
    again = Review.objects.get(reinstates=approval)
    shown = asked.content.decode()
    assert asked.redirect_chain == [(reverse("review", args=[again.pk]), 302)]
    assert "Reinstatement of" in shown
    assert "<script>alert(1)" not in shown
    assert "Approve with conditions" not in validator.get(reverse("review", args=[again.pk])).content.decode()
    for user in (people.validator, people.risk_officer):
        sent = {"decision": "approve", **SIGNED}
        assert login(user).post(reverse("review-vote", args=[again.pk]), sent).status_code == 302
    assert approvals.status(approvals.rows().get()) == "active"


def test_every_rendering_of_a_signature_shows_name_time_meaning_and_statement(people, review, login, approval):
    shown = login(people.auditor).get(reverse("review", args=[review.pk])).content.decode()
    for vote in review.votes.all():
        assert vote.printed_name in shown
        assert f"{vote.signed_at:%Y-%m-%d %H:%M:%S} UTC" in shown
        assert vote.meaning.split(".")[0] in shown
        assert reverse("statement", args=[vote.statement_id]) in shown


def test_a_statement_is_downloaded_by_whoever_may_see_the_system(people, review, login, approval):
    url = reverse("statement", args=[review.votes.first().statement_id])
    answer = login(people.risk_officer).get(url)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/vnd.dsse.envelope.v1+json")
    assert "attachment" in answer["Content-Disposition"]
    assert login(people.outsider).get(url).status_code == 404
    model = reverse("statement", args=[review.model_version.artifact_id])
    assert login(people.engineer).get(model).status_code == 404


def test_a_submission_names_its_environments(people, version, login):
    client = login(people.engineer)
    url = reverse("model-submit", args=[version.pk])
    wrong = client.post(url, {"note": "", "environments": "Production, staging"})
    assert (wrong.status_code, "lower-case" in wrong.content.decode()) == (422, True)
    client.post(url, {"note": "", "environments": "staging, production ,staging"})
    assert Review.objects.get().environments == ["production", "staging"]


def test_with_an_overdue_condition_the_version_says_that_it_is_suspended(people, review, login, condition):
    Condition.objects.update(due_at=timezone.now() - timedelta(minutes=1))
    shown = login(people.engineer).get(reverse("model-version", args=[review.model_version_id])).content.decode()
    assert "The approval is suspended" in shown
    assert "Overdue" in shown
    assert Approval.objects.get().state == "active"


def test_no_two_inputs_of_a_page_share_an_id(people, review, login, condition):
    login(people.owner).post(reverse("condition-report", args=[condition.pk]), {"note": "Done."})
    for url in (reverse("condition", args=[condition.pk]), reverse("review", args=[review.pk])):
        shown = login(people.validator).get(url).content.decode()
        ids = re.findall(r'<(?:input|textarea)[^>]* id="([^"]+)"', shown)
        assert ids
        assert [one for one in ids if ids.count(one) > 1 and not one.endswith("expected_version")] == []
