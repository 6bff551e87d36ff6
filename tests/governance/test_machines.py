"""The tables of what can happen, and the one way through them."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from governance.machines import CONDITION, GRANT, REQUEST, ConditionEvent, GrantEvent, Machine, RequestEvent
from governance.models import PASSED, PENDING, Approval, GrantState, Review, ReviewState, Vote
from governance.selectors.reviews import decision_state, review_page
from governance.selectors.waiting import waiting
from governance.services.moves import move
from governance.services.reviews import lapse, refresh, submit, withdraw
from security.errors import ConflictError
from tests.support.reviews import approve, events, sign

MACHINES = {"request": (REQUEST, RequestEvent), "grant": (GRANT, GrantEvent), "condition": (CONDITION, ConditionEvent)}


@pytest.mark.parametrize("name", MACHINES)
def test_every_event_is_in_its_table_and_every_state_is_reached(name):
    machine, happenings = MACHINES[name]
    assert {event for _, event in machine.moves} == set(happenings)
    assert set(machine.moves.values()) | {machine.initial} == set(machine.states)


@pytest.mark.parametrize("name", MACHINES)
def test_what_is_not_in_the_table_is_refused_by_its_name(name):
    machine, happenings = MACHINES[name]
    for state, event in itertools.product(machine.states, happenings):
        if (state, event) in machine.moves:
            assert machine.after(state, event) == machine.moves[state, event]
        else:
            with pytest.raises(ConflictError, match=f"{state.replace('-', ' ')} already"):
                machine.after(state, event)


def test_the_ends_are_those_of_the_workflow():
    passed = ("approved", "approved-with-conditions")
    assert set(REQUEST.terminal) == {*passed, "rejected", "withdrawn", "lapsed", "superseded"}
    assert GRANT.terminal == ("revoked",)
    assert CONDITION.terminal == ("met",)


def test_no_clock_leads_to_an_approval():
    for state in REQUEST.states:
        assert REQUEST.moves.get((state, RequestEvent.DEADLINE), "lapsed") == "lapsed"


def test_the_states_of_the_tables_are_those_of_the_database():
    assert set(REQUEST.states) == set(ReviewState.values)
    assert set(GRANT.states) == set(GrantState.values)
    assert {*PENDING, *PASSED} < set(REQUEST.states)
    assert not set(PENDING) & set(REQUEST.terminal)


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "splendid"},
        {"state": "approved"},
        {"decided_at": timezone.now()},
        {"deadline": timezone.now() - timedelta(days=400)},
    ],
)
def test_the_database_refuses_a_review_that_cannot_be(review, wrong):
    with pytest.raises(IntegrityError), transaction.atomic():
        Review.objects.filter(pk=review.pk).update(**wrong)


@pytest.mark.parametrize("wrong", [{"state": "splendid"}, {"state": "revoked"}, {"revoked_at": timezone.now()}])
def test_the_database_refuses_an_approval_that_cannot_be(approved, wrong):
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.update(**wrong)


def test_a_row_moves_only_from_the_version_that_was_read(review):
    first, second = Review.objects.get(pk=review.pk), Review.objects.get(pk=review.pk)
    move(first, REQUEST, RequestEvent.REQUEST_CHANGES)
    with pytest.raises(ConflictError, match="Somebody changed this review"):
        move(second, REQUEST, RequestEvent.WITHDRAW, decided_at=timezone.now())
    stored = Review.objects.get(pk=review.pk)
    assert (stored.state, stored.row_version) == ("changes-requested", 2)
    assert (first.state, first.row_version) == ("changes-requested", 2)


def test_a_machine_without_a_way_out_says_that_it_is_final():
    machine = Machine("thing", "new", {("new", "use"): "used"})
    with pytest.raises(ConflictError, match="that is final"):
        machine.after("used", "use")


def test_a_vote_on_another_version_of_the_review_than_was_looked_at_is_refused(people, review):
    with pytest.raises(ConflictError, match="read it again") as refused:
        sign(people.validator, review, expected_version=7)
    assert refused.value.extra == {"row_version": 1}
    assert not Vote.objects.exists()
    sign(people.validator, review, expected_version=1)


# --------------------------------------------------------------------------------------------- changes are asked for


def test_a_decider_asks_for_changes_and_the_next_submission_answers(people, review):
    sign(people.validator, review, "request-changes", reason="Explain the slices.")
    review.refresh_from_db()
    assert (review.state, review.decided_at) == (ReviewState.CHANGES_REQUESTED, None)
    state = decision_state(people.risk_officer, Review.objects.get(pk=review.pk))
    assert not state.can_vote
    assert "Vera Validator asked for changes" in state.why_not
    again = submit(acting_user=people.engineer, model_version=review.model_version, note="Explained.")
    review.refresh_from_db()
    assert (review.state, again.follows, again.state) == (ReviewState.SUPERSEDED, review, ReviewState.IN_REVIEW)
    approve(people, again)
    assert Approval.objects.get().review == again
    kinds = ("review:changes-requested", "review:superseded", "review:submitted", "review:approved")
    assert events(*kinds) == [kinds[2], kinds[0], kinds[1], kinds[2], kinds[3]]


def test_while_changes_are_asked_for_nobody_decides(people, review):
    sign(people.validator, review, "request-changes")
    for decision in ("approve", "reject", "request-changes"):
        with pytest.raises(ConflictError, match="asked for changes"):
            sign(people.risk_officer, review, decision)
    assert not waiting(people.risk_officer).reviews
    assert Vote.objects.count() == 1


def test_a_review_that_waits_for_changes_can_be_withdrawn_once(people, review):
    sign(people.validator, review, "request-changes")
    assert review_page(Review.objects.get(pk=review.pk), people.engineer).can_withdraw
    assert withdraw(acting_user=people.engineer, review=review).state == ReviewState.WITHDRAWN
    with pytest.raises(ConflictError, match="withdrawn already"):
        withdraw(acting_user=people.engineer, review=review)


# --------------------------------------------------------------------------------------------------------- deadlines


def _late(review: Review) -> Review:
    """The review as if it had been submitted 31 days ago."""
    earlier = {name: getattr(review, name) - timedelta(days=31) for name in ("submitted_at", "deadline")}
    Review.objects.filter(pk=review.pk).update(**earlier)
    review.refresh_from_db()
    return review


def test_past_its_deadline_a_review_reads_as_lapsed_before_anything_recorded_it(people, review):
    late = _late(review)
    page = review_page(late, people.risk_officer)
    assert (late.state, page.standing.state, late.is_open) == ("in-review", "lapsed", False)
    assert "Lapsed: nobody decided by" in page.decision.why_not
    assert not waiting(people.risk_officer).reviews


def test_the_last_signature_after_the_deadline_issues_nothing(people, review):
    sign(people.validator, review)
    with pytest.raises(ConflictError, match="Lapsed"):
        sign(people.risk_officer, _late(review))
    assert not Approval.objects.exists()
    assert events("review:lapsed") == ["review:lapsed"]


def test_the_clock_lapses_what_is_late_and_nothing_else(people, review, approved):
    sign(people.validator, review, "request-changes")
    _late(review)
    fresh = submit(acting_user=people.engineer, model_version=approved)
    assert (lapse(), lapse()) == (1, 0)
    assert Review.objects.get(pk=review.pk).state == ReviewState.LAPSED
    assert Review.objects.get(pk=fresh.pk).state == ReviewState.IN_REVIEW
    assert events("review:lapsed") == ["review:lapsed"]


def test_what_lapsed_can_be_submitted_again(people, review):
    _late(review)
    again = submit(acting_user=people.engineer, model_version=review.model_version)
    assert again.pk != review.pk
    assert refresh(review).state == ReviewState.LAPSED


def test_the_deadline_is_the_installations(people, approved, settings):
    settings.REVIEW_DAYS = 3
    review = submit(acting_user=people.engineer, model_version=approved)
    assert timedelta(days=2) < review.deadline - review.submitted_at <= timedelta(days=3, seconds=1)
