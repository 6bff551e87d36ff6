"""The invariants of the approval workflow, one test named for each.

Each test is an attempt to break one. I8 (waivers) is tested where waivers are; there is no break-glass grant (I17), and
the first test of that number says that nothing in the tables is one.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from governance.machines import GRANT, REQUEST
from governance.meanings import MEANINGS
from governance.models import PASSED, Approval, PolicyVersion, Review, ReviewState, Vote
from governance.selectors import approvals
from governance.selectors.gate import decide
from governance.services.reviews import refresh, reinstate, revoke, submit, suspend
from pipelines.models import Run, StepRun
from security.access.models import AISystem, RoleGrant
from security.access.services import grant_role
from security.access.table import Role
from security.errors import ConflictError, DeniedError
from security.identity.models import User
from security.identity.services import authenticate_token, create_token
from tests.support.models import add_evidence, make_model_version
from tests.support.people import PASSWORD, People
from tests.support.reviews import approve, fresh, sign

STOPPED = {"reason": "It drifts.", "password": PASSWORD}


def again(user: User) -> User:
    return User.objects.get(pk=user.pk)


@pytest.fixture
def approval(people: People, review: Review) -> Approval:
    approve(people, review)
    return Approval.objects.get()


def status(approval: Approval) -> str:
    return approvals.status(approvals.rows().get(pk=approval.pk))


def test_i01_a_change_of_what_was_signed_voids_the_votes(people, review):
    sign(people.validator, review)
    version = review.model_version
    add_evidence(version.step_run, "adversarial_eval", version.artifact, n=77)
    with pytest.raises(ConflictError, match="the evidence changed"):
        sign(people.risk_officer, review)
    assert refresh(review).state == ReviewState.SUPERSEDED
    approve(people, submit(acting_user=people.engineer, model_version=fresh(review)))
    assert Vote.objects.count() == 3


@pytest.mark.parametrize("who", ["engineer", "admin"])
def test_i02_nobody_decides_on_what_they_built_whatever_role_they_are_given(people, who):
    maker = getattr(people, who)
    second = people.make("abe", "Abe Admin")
    grant_role(acting_user=people.admin, user=second, role=Role.ADMIN)
    grant_role(acting_user=again(second), user=maker, role=Role.VALIDATOR, system=people.system)
    review = submit(acting_user=people.owner, model_version=make_model_version(people.system, maker))
    with pytest.raises(DeniedError, match="You had a hand in this model"):
        sign(again(maker), review)


def test_i02_who_turns_out_to_have_built_it_no_longer_counts_at_issue(people, review):
    sign(people.validator, review)
    Run.objects.filter(pk=review.model_version.step_run.run_id).update(created_by=people.validator)
    sign(people.risk_officer, review)
    assert not Approval.objects.exists()


def test_i03_a_quorum_is_of_people_and_a_token_is_none(people, review):
    _, text = create_token(acting_user=people.validator, user=people.validator, name="mine", scopes=["read", "submit"])
    with pytest.raises(DeniedError, match="Only a person"):
        sign(authenticate_token(text).user, review)
    grant_role(acting_user=people.admin, user=people.validator, role=Role.RISK_OFFICER, system=people.system)
    sign(again(people.validator), review)
    with pytest.raises(DeniedError, match="one person is one vote"):
        sign(again(people.validator), review)
    assert not Approval.objects.exists()


def test_i04_one_reject_ends_the_request(people, review):
    sign(people.validator, review)
    sign(people.risk_officer, review, "reject")
    assert Review.objects.get().state == ReviewState.REJECTED
    assert not REQUEST.events(ReviewState.REJECTED)
    with pytest.raises(ConflictError, match="was rejected"):
        submit(acting_user=people.engineer, model_version=review.model_version)


@pytest.mark.parametrize("verdict", ["fail", "inconclusive", ""])
def test_i05_no_grant_while_a_gate_does_not_pass(people, verdict):
    version = make_model_version(people.system, people.engineer)
    train = StepRun.objects.get(run=version.step_run.run, name="train")
    add_evidence(train, "holdout_metrics", version.artifact, verdict=verdict)
    review = submit(acting_user=people.engineer, model_version=version)
    with pytest.raises(ConflictError, match="holdout metrics"):
        sign(people.validator, review)


def test_i06_time_lapses_and_never_approves(people, review):
    sign(people.validator, review)
    Review.objects.update(submitted_at=timezone.now() - timedelta(days=9), deadline=timezone.now())
    assert refresh(review).state == ReviewState.LAPSED
    assert not REQUEST.events(ReviewState.LAPSED)
    assert not Approval.objects.exists()


def test_i07_every_grant_ends_and_its_status_is_computed_at_read(people, approval):
    allowed = timedelta(days=PolicyVersion.objects.get(tier="high").policy.validity_days)
    assert approval.valid_until - approval.issued_at == allowed
    row = approvals.rows().get()
    assert approvals.status(row, row.valid_until - timedelta(seconds=1)) == "active"
    assert approvals.status(row, row.valid_until) == "expired"
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.update(valid_until=approval.issued_at)


def test_i09_one_person_stops_and_only_a_quorum_starts(people, approval):
    suspend(acting_user=people.validator, approval=approval, **STOPPED)
    request = reinstate(acting_user=people.engineer, approval=approval)
    sign(people.validator, request)
    assert status(approval) == "suspended"
    sign(people.risk_officer, request)
    assert status(approval) == "active"
    revoke(acting_user=people.risk_officer, approval=approval, **STOPPED)
    assert GRANT.terminal == ("revoked",)
    with pytest.raises(ConflictError, match="is revoked"):
        reinstate(acting_user=people.engineer, approval=approval)


@pytest.mark.parametrize("statement", ["UPDATE governance_vote SET decision = 'reject'", "DELETE FROM governance_vote"])
def test_i10_a_signature_stays_as_it_is(people, review, statement):
    sign(people.validator, review)
    with pytest.raises(DatabaseError, match="insert-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_i11_a_signature_says_who_when_what_it_means_how_proven_and_on_what(people, review):
    before = timezone.now()
    signed = sign(people.validator, review)
    assert (signed.voter, signed.printed_name) == (people.validator, "Vera Validator")
    assert before <= signed.reauthenticated_at <= signed.signed_at <= before + timedelta(minutes=5)
    assert signed.meaning in MEANINGS.values()
    assert (signed.method, signed.subject_digest) == ("password", review.subject_digest)
    User.objects.filter(pk=people.validator.pk).update(full_name="Vera Married")
    assert Vote.objects.get().printed_name == "Vera Validator"


def test_i12_a_transition_is_of_the_version_that_was_looked_at_and_one_signer_signs_once(people, review):
    with pytest.raises(ConflictError, match="read it again"):
        sign(people.validator, review, expected_version=2)
    signed = sign(people.validator, review, expected_version=1)
    copy = Vote(**{**{f.attname: getattr(signed, f.attname) for f in Vote._meta.concrete_fields}, "id": review.pk})
    with pytest.raises(IntegrityError), transaction.atomic():
        copy.save(force_insert=True)


def test_i13_another_tier_stops_a_grant_until_it_is_reviewed_again(people, approval):
    AISystem.objects.filter(pk=people.system.pk).update(tier="medium")
    assert status(approval) == "void"


def test_i14_a_stricter_policy_before_the_issue_asks_everybody_again(people, review):
    sign(people.validator, review)
    content = {**PolicyVersion.objects.get(tier="high").content, "validity_days": 1}
    PolicyVersion.objects.create(tier="high", number=2, digest="1" * 64, content=content)
    with pytest.raises(ConflictError, match="the policy changed"):
        sign(people.risk_officer, review)
    assert not Approval.objects.exists()


def test_i15_the_gate_lets_through_what_is_active_there_and_nothing_else(people, review, approval):
    digest = review.model_version.artifact.digest
    assert decide(people.engineer, digest, "production").allowed
    assert not decide(people.engineer, digest, "staging").allowed
    assert not decide(people.engineer, digest[::-1], "production").allowed
    suspend(acting_user=people.validator, approval=approval, **STOPPED)
    assert not decide(people.engineer, digest, "production").allowed


def test_i16_what_nobody_could_decide_on_is_not_submitted(people):
    RoleGrant.objects.filter(user=people.risk_officer).update(revoked_at=timezone.now())
    with pytest.raises(ConflictError, match=r"Nobody could decide on this.*0 risk officer"):
        submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))


def test_i17_no_move_skips_the_signatures(people, approval):
    """There is no break-glass: what leads to an approval or to its reinstatement is a quorum, or it is in no table."""
    ways = {event for (_, event), target in REQUEST.moves.items() if target in PASSED}
    assert ways == {"approve", "approve-with-conditions"}
    assert {event for (_, event), target in GRANT.moves.items() if target == "active"} == {"reinstate"}
