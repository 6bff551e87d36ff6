"""Submitting and withdrawing: what is reviewed, and what is refused before anybody has to read it."""

from __future__ import annotations

import pytest

from governance.models import PolicyVersion, Review, ReviewState
from governance.selectors.reviews import review_page, reviews
from governance.selectors.waiting import waiting
from governance.services.reviews import submit, withdraw
from pipelines.models import StepRun
from security.access import selectors as access
from security.access.services import grant_role
from security.access.table import Action, Role
from security.errors import ConflictError, MissingError
from tests.support.models import add_evidence, make_model_version
from tests.support.reviews import events, sign


def test_the_policies_are_published_once_at_the_first_submission(people, review):
    assert events("policy:published") == ["policy:published"] * 3
    submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))
    assert PolicyVersion.objects.count() == 3


def test_new_evidence_supersedes_an_open_review_and_refuses_votes(people, review):
    train = StepRun.objects.get(run=review.model_version.step_run.run, name="train")
    add_evidence(train, "holdout_metrics", review.model_version.artifact, n=401)
    assert review_page(review, people.validator).standing.state == "superseded"
    with pytest.raises(ConflictError, match="the evidence changed after this review was submitted"):
        sign(people.validator, review)
    review.refresh_from_db()
    assert review.state == ReviewState.SUPERSEDED
    assert events("review:superseded") == ["review:superseded"]
    submit(acting_user=people.engineer, model_version=review.model_version)


def test_an_outsider_finds_nothing(people, review):
    with pytest.raises(MissingError):
        access.get(people.outsider, Action.VIEW, reviews(), pk=review.pk)
    with pytest.raises(MissingError):
        sign(people.outsider, review)
    with pytest.raises(MissingError):
        submit(acting_user=people.outsider, model_version=review.model_version)
    with pytest.raises(MissingError):
        withdraw(acting_user=people.nobody, review=review)
    assert waiting(people.outsider).reviews == []


def test_only_one_review_of_a_version_is_open(people, review):
    with pytest.raises(ConflictError, match="is open already"):
        submit(acting_user=people.owner, model_version=review.model_version)
    withdraw(acting_user=people.engineer, review=review)
    submit(acting_user=people.owner, model_version=review.model_version)
    with pytest.raises(ConflictError, match="withdrawn already"):
        withdraw(acting_user=people.engineer, review=review)


def test_a_submission_that_nobody_could_decide_is_refused_early(people):
    people.risk_officer.is_active = False
    people.risk_officer.save()
    with pytest.raises(ConflictError, match="credit has 1 validator, 0 risk officer"):
        submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))
    assert not Review.objects.exists()


def test_one_person_in_both_roles_is_not_enough_people(people):
    people.risk_officer.is_active = False
    people.risk_officer.save()
    grant_role(acting_user=people.admin, user=people.validator, role=Role.RISK_OFFICER, system=people.system)
    with pytest.raises(ConflictError, match="different people"):
        submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))


def test_a_model_of_unknown_origin_is_not_reviewed(people):
    version = make_model_version(people.system, people.engineer)
    StepRun.objects.get(run=version.step_run.run, name="train").inputs.all().delete()
    with pytest.raises(ConflictError, match="not known from which data"):
        submit(acting_user=people.engineer, model_version=version)


def test_exactly_what_was_rejected_cannot_be_submitted_again_until_something_has_changed(people, review):
    sign(people.validator, review, "reject")
    version = review.model_version
    with pytest.raises(ConflictError, match=r"Exactly this, .* was rejected"):
        submit(acting_user=people.engineer, model_version=version)
    add_evidence(version.step_run, "adversarial_eval", version.artifact, n=4000)
    again = submit(acting_user=people.engineer, model_version=version)
    assert again.subject_digest != review.subject_digest
