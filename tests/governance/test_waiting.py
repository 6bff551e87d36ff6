"""What waits for whom, and what it costs to find out."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from governance.selectors import evidence
from governance.selectors.reviews import review_page, reviews
from governance.selectors.waiting import waiting
from governance.services.reviews import submit
from pipelines.models import StepRun
from security.access.table import Role
from security.identity.models import User
from tests.support.models import add_evidence, make_model_version, make_run, make_step
from tests.support.reviews import fresh, sign


def test_what_waits_for_whom(people, review):
    assert waiting(people.validator).reviews == [review]
    assert waiting(people.risk_officer).reviews == [review]
    assert waiting(people.engineer).reviews == waiting(people.admin).reviews == waiting(people.auditor).reviews == []
    sign(people.validator, review)
    assert waiting(people.validator).reviews == []
    assert waiting(people.make("vito", "Vito Validator", Role.VALIDATOR)).reviews == []
    assert waiting(people.risk_officer).reviews == [review]


def test_what_waits_is_looked_for_among_the_oldest_and_says_so(people, review, monkeypatch):
    monkeypatch.setattr("governance.selectors.waiting.LOOKED_AT", 3)
    more = [
        submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer, name=name))
        for name in ("a", "b", "c")
    ]
    officer = waiting(people.risk_officer)
    assert officer.reviews == [review, *more[:2]]
    assert (officer.number, officer.badge) == ("3+", "3+")
    sign(people.risk_officer, review)
    rest = waiting(people.risk_officer)  # what one has signed is not looked at again: the youngest moves up
    assert rest.reviews == more
    assert rest.number == "3"


def test_what_a_colleague_approved_does_not_hide_what_nobody_did(people, review, monkeypatch):
    monkeypatch.setattr("governance.selectors.waiting.LOOKED_AT", 2)
    more = [
        submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer, name=name))
        for name in ("a", "b")
    ]
    sign(people.validator, review)
    sign(people.validator, more[0])
    colleague = people.make("vito", "Vito Validator", Role.VALIDATOR)
    assert waiting(colleague).reviews == [more[1]]
    assert waiting(people.risk_officer).reviews == [review, more[0]]  # for another role they are the oldest


def test_a_superseded_review_waits_for_nobody(people, review):
    train = StepRun.objects.get(run=review.model_version.step_run.run, name="train")
    add_evidence(train, "holdout_metrics", review.model_version.artifact, n=401)
    found = waiting(people.validator)
    assert (found.reviews, found.number, found.badge) == ([], "0", "")


def test_what_a_vote_that_no_longer_counts_leaves_open_still_waits(people, review):
    sign(people.validator, review)
    second = people.make("vito", "Vito Validator", Role.VALIDATOR)
    assert waiting(second).reviews == []
    run = make_run(people.system, people.validator)
    make_step(run, "train", outputs={"model": ("model", review.model_version.artifact)})
    assert waiting(second).reviews == [review]


def test_what_waits_costs_the_same_for_one_review_and_for_five(people, review):
    def queries() -> int:
        user = User.objects.get(pk=people.risk_officer.pk)
        with CaptureQueriesContext(connection) as captured:
            found = waiting(user).reviews
        assert found
        return len(captured)

    one = queries()
    for number in range(4):
        version = make_model_version(people.system, people.engineer, name=f"more-{number}")
        submit(acting_user=people.engineer, model_version=version)
    assert len(waiting(people.risk_officer).found) == 5
    assert queries() == one


def test_the_page_of_a_review_needs_a_constant_number_of_queries(people, review, django_assert_max_num_queries):
    for number in range(5):
        train = StepRun.objects.get(run=review.model_version.step_run.run, name="train")
        add_evidence(train, "calibration_report", review.model_version.artifact, n=number + 1)
    sign(people.validator, submit(acting_user=people.engineer, model_version=review.model_version))
    fresh_review = reviews().get(state="in-review")
    user = User.objects.get(pk=people.risk_officer.pk)
    with django_assert_max_num_queries(18):
        page = review_page(fresh_review, user)
    assert page.decision.can_approve
    assert [user.username for user, _ in page.excluded] == ["erin"]


def test_a_list_finds_the_same_as_the_page_of_one_and_reads_only_measurements_that_a_rule_looks_at(people, review):
    version = fresh(review)
    whole = evidence.found(version)
    with CaptureQueriesContext(connection) as captured:
        listed = evidence.found_for([version])[version.pk]
        assert listed.digest == whole.digest == review.subject_digest
        now = timezone.now()
        assert evidence.judge(listed.policy, listed.evidence, now) == evidence.judge(whole.policy, whole.evidence, now)
    assert sum("measurements" in query["sql"] for query in captured.captured_queries) == 1
    read = {row.kind for row in listed.evidence if "measurements" not in row.get_deferred_fields()}
    assert read == listed.policy.measured_kinds
    assert "poisoning_scan" not in read
