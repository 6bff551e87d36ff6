"""Deciding: who may, who may not, and what it takes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from governance.models import Approval, ReviewState, Vote
from governance.selectors import approvals
from governance.selectors.reviews import decision_state, review_page
from governance.services.reviews import submit
from pipelines.models import StepRun
from security.access.services import grant_role
from security.access.table import Role
from security.errors import ConflictError, DeniedError, InvalidError, MissingError
from security.identity.models import User
from security.identity.services import authenticate_token, create_token
from security.log import verification
from security.log.models import AuditEvent
from tests.support.models import HIGH, add_evidence, make_model_version, make_run, make_step
from tests.support.reviews import events, sign


def test_a_validator_and_a_risk_officer_who_did_not_build_it_approve(people, review):
    sign(people.validator, review)
    assert not Approval.objects.exists()
    sign(people.risk_officer, review)
    approval = Approval.objects.get()
    review.refresh_from_db()
    assert review.state == ReviewState.APPROVED
    assert approval.valid_until - approval.issued_at == timedelta(days=180)
    assert approval.subject_digest == review.subject_digest
    assert approvals.approval_of(review.model_version).status == "active"
    kinds = ("review:submitted", "vote:cast", "review:approved", "approval:issued")
    assert events(*kinds) == ["review:submitted", "vote:cast", "vote:cast", "review:approved", "approval:issued"]
    assert verification.verify().ok


def test_the_builder_is_refused_even_as_validator(people, review):
    grant_role(acting_user=people.admin, user=people.engineer, role=Role.VALIDATOR, system=people.system)
    builder = User.objects.get(pk=people.engineer.pk)
    with pytest.raises(DeniedError, match=r"You had a hand in this model .*created run.*Eligible: .*Vera Validator"):
        sign(builder, review)
    assert not Vote.objects.exists()


def test_a_builder_of_something_upstream_is_refused(people):
    """Somebody else's run made the table that this model was trained on."""
    grant_role(acting_user=people.admin, user=people.second_engineer, role=Role.VALIDATOR, system=people.system)
    upstream = make_run(people.system, people.second_engineer, name="prepare")
    version = make_model_version(people.system, people.engineer)
    table = StepRun.objects.get(run=version.step_run.run, name="train").inputs.get().artifact
    make_step(upstream, "prepare", outputs={"table": ("table", table)})
    review = submit(acting_user=people.engineer, model_version=version)
    with pytest.raises(DeniedError, match="created run 1 of prepare"):
        sign(people.second_engineer, review)


def test_who_registered_the_pipeline_is_refused(people):
    grant_role(acting_user=people.admin, user=people.second_engineer, role=Role.VALIDATOR, system=people.system)
    version = make_model_version(people.system, people.engineer, registered_by=people.second_engineer)
    review = submit(acting_user=people.engineer, model_version=version)
    with pytest.raises(DeniedError, match="registered version 1 of tiny"):
        sign(people.second_engineer, review)


def test_the_submitter_is_refused(people):
    grant_role(acting_user=people.admin, user=people.owner, role=Role.VALIDATOR, system=people.system)
    version = make_model_version(people.system, people.engineer)
    review = submit(acting_user=people.owner, model_version=version)
    with pytest.raises(DeniedError, match="submitted this review"):
        sign(User.objects.get(pk=people.owner.pk), review)


def test_an_administrator_is_no_exception(people, review):
    with pytest.raises(DeniedError, match="needs the role validator or risk officer"):
        sign(people.admin, review)


def test_a_validator_who_becomes_a_builder_before_the_issue_no_longer_counts(people, review):
    sign(people.validator, review)
    run = make_run(people.system, people.validator)
    make_step(run, "train", outputs={"model": ("model", review.model_version.artifact)})
    sign(people.risk_officer, review)
    assert not Approval.objects.exists()
    review.refresh_from_db()
    assert review.is_open
    assert review_page(review, people.auditor).standing.seats[0].open == 1


def test_one_person_has_one_vote(people, review):
    sign(people.validator, review)
    with pytest.raises(DeniedError, match="signed already, as validator; one person is one vote"):
        sign(people.validator, review)
    assert Vote.objects.count() == 1


def test_the_same_person_in_two_roles_fills_one_seat(people, review):
    grant_role(acting_user=people.admin, user=people.validator, role=Role.RISK_OFFICER, system=people.system)
    both = User.objects.get(pk=people.validator.pk)
    assert sign(both, review).role == "validator"
    with pytest.raises(DeniedError, match="one person is one vote"):
        sign(both, review)
    assert not Approval.objects.exists()


def test_who_holds_two_roles_takes_the_seat_that_leaves_the_other_to_somebody(people, review):
    grant_role(acting_user=people.admin, user=people.validator, role=Role.RISK_OFFICER, system=people.system)
    people.risk_officer.is_active = False
    people.risk_officer.save()
    second = people.make("vito", "Vito Validator", Role.VALIDATOR)
    both = User.objects.get(pk=people.validator.pk)
    assert decision_state(both, review).role == "risk-officer"
    sign(both, review)
    sign(second, review)
    assert Approval.objects.exists()


def test_a_token_cannot_sign(people, review):
    _, text = create_token(acting_user=people.validator, user=people.validator, name="mine", scopes=["read", "submit"])
    by_token = authenticate_token(text).user
    with pytest.raises(DeniedError, match="Only a person who signs in"):
        sign(by_token, review)
    assert not decision_state(by_token, review).can_vote
    assert not Vote.objects.exists()


def test_a_wrong_password_signs_nothing_and_is_on_record(people, review):
    with pytest.raises(DeniedError, match="not right; nothing was signed") as refused:
        sign(people.validator, review, password="guess")
    assert refused.value.field == "password"
    assert not Vote.objects.exists()
    last = AuditEvent.objects.get(event="signature:refused")
    assert "guess" not in last.entry


def test_after_five_wrong_passwords_even_the_right_one_waits(people, review):
    for _ in range(5):
        with pytest.raises(DeniedError, match="not right"):
            sign(people.validator, review, password="guess")
    with pytest.raises(DeniedError, match="Too many wrong passwords"):
        sign(people.validator, review)
    sign(people.risk_officer, review)
    assert Vote.objects.get().voter == people.risk_officer
    assert events("signature:blocked") == ["signature:blocked"]


@pytest.mark.parametrize("kind", [kind for kind in HIGH if kind not in ("pii_report", "drift_report")])
def test_approving_without_required_evidence_is_refused_and_named(people, kind):
    version = make_model_version(people.system, people.engineer, kinds=[one for one in HIGH if one != kind])
    review = submit(acting_user=people.engineer, model_version=version)
    with pytest.raises(ConflictError, match=rf"{kind.replace('_', ' ')} \(no .* exists\)") as refused:
        sign(people.validator, review)
    assert refused.value.extra["gates"] == [kind]
    sign(people.validator, review, "reject")


@pytest.mark.parametrize("verdict", ["fail", "inconclusive", "", "splendid"])
def test_approving_with_a_gate_that_does_not_pass_is_refused(people, verdict):
    version = make_model_version(people.system, people.engineer)
    train = StepRun.objects.get(run=version.step_run.run, name="train")
    add_evidence(train, "holdout_metrics", version.artifact, verdict=verdict)
    review = submit(acting_user=people.engineer, model_version=version)
    with pytest.raises(ConflictError, match="holdout metrics"):
        sign(people.validator, review)
    assert not Vote.objects.exists()


def test_what_was_looked_for_and_found_cannot_be_ignored(people):
    version = make_model_version(people.system, people.engineer, kinds=[k for k in HIGH if k != "pii_report"])
    review = submit(acting_user=people.engineer, model_version=version)
    assert decision_state(people.validator, review).can_approve
    train = StepRun.objects.get(run=version.step_run.run, name="train")
    add_evidence(train, "pii_report", train.inputs.get().artifact, verdict="fail")
    again = submit(acting_user=people.engineer, model_version=version)
    assert "pii report (1 fail)" in decision_state(people.validator, again).why_not_approve


def test_one_rejection_ends_the_review(people, review):
    sign(people.validator, review)
    sign(people.risk_officer, review, "reject")
    review.refresh_from_db()
    assert review.state == ReviewState.REJECTED
    assert not Approval.objects.exists()
    with pytest.raises(ConflictError, match="rejected already"):
        sign(people.make("vito", "Vito Validator", Role.VALIDATOR), review)


def test_a_risk_officer_of_another_system_does_not_count(people, review):
    stranger = people.make("remo", "Remo Risk", Role.RISK_OFFICER, system=people.other)
    with pytest.raises(MissingError):
        sign(stranger, review)


@pytest.mark.parametrize("reason", ["", "   ", "x" * 5001, "a\x00b"])
def test_a_vote_needs_a_readable_reason(people, review, reason):
    with pytest.raises(InvalidError) as refused:
        sign(people.validator, review, reason=reason)
    assert refused.value.field == "reason"


def test_an_unknown_decision_is_refused(people, review):
    with pytest.raises(InvalidError, match="approve"):
        sign(people.validator, review, "maybe")


@pytest.mark.parametrize("table", ["governance_vote", "governance_policyversion"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET digest = 'x'", "DELETE FROM {}"])
def test_the_database_refuses_to_change_votes_and_policies(people, review, table, statement):
    sign(people.validator, review)
    with pytest.raises(DatabaseError, match="insert-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(table))
