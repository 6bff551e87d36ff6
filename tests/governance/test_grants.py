"""Suspending, reinstating, superseding: what an approval is worth after it was issued."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from governance.meanings import MEANINGS
from governance.models import Approval, Condition, GrantAct, Review, ReviewState
from governance.selectors import approvals, conditions
from governance.services import conditions as services
from governance.services.reviews import lapse, reinstate, revoke, submit, suspend
from security.access.models import RoleGrant
from security.access.table import Role
from security.errors import ConflictError, DeniedError, InvalidError
from security.log import verification
from security.log.models import AuditEvent
from tests.support.bundles import export, files_of, run_verify, unpack
from tests.support.models import add_evidence, make_model_version
from tests.support.people import PASSWORD, People
from tests.support.reviews import approve, events, sign

STOPPED = {"reason": "It drifts.", "password": PASSWORD}


@pytest.fixture
def approval(people, approved) -> Approval:
    return Approval.objects.get()


def status(approval: Approval) -> str:
    return approvals.status(approvals.rows().get(pk=approval.pk))


def conditional(people: People, review: Review, days: int = 3) -> Condition:
    """An approval on the condition, set by the validator, that the owner does something within so many days."""
    due = (timezone.now() + timedelta(days=days)).date()
    condition = {"text": "Document the slices.", "owner": "olga", "due": due}
    sign(people.validator, review, conditions=[condition])
    sign(people.risk_officer, review)
    return Condition.objects.get()


def overdue(condition: Condition) -> Condition:
    """The condition as if it had been due an hour ago."""
    Condition.objects.filter(pk=condition.pk).update(due_at=timezone.now() - timedelta(hours=1))
    condition.refresh_from_db()
    return condition


def met(people: People, condition: Condition) -> Condition:
    services.report(acting_user=people.owner, condition=condition, note="It is in the wiki.")
    return services.confirm(acting_user=people.validator, condition=condition, reason="I read it.", password=PASSWORD)


# ------------------------------------------------------------------------------------- suspended and reinstated


def test_one_person_suspends_and_it_takes_the_full_quorum_to_reinstate(people, approval):
    suspend(acting_user=people.validator, approval=approval, **STOPPED)
    assert status(approval) == "suspended"
    review = reinstate(acting_user=people.owner, approval=approval, note="Retrained its monitor.")
    sign(people.validator, review)
    assert status(approval) == "suspended"
    vote = sign(people.risk_officer, review)
    assert status(approval) == "active"
    assert vote.meaning == MEANINGS["reinstate", "risk-officer"]
    assert Approval.objects.count() == 1
    kinds = ("approval:suspended", "review:submitted", "review:approved", "approval:reinstated", "approval:issued")
    assert events(*kinds) == [kinds[1], kinds[2], kinds[4], kinds[0], kinds[1], kinds[2], kinds[3]]
    assert verification.verify().ok


def test_who_asks_for_reinstatement_does_not_decide_on_it(people, approval):
    suspend(acting_user=people.validator, approval=approval, **STOPPED)
    RoleGrant.objects.create(user=people.owner, role=Role.VALIDATOR, system=people.system, granted_by=people.admin)
    review = reinstate(acting_user=people.owner, approval=approval)
    with pytest.raises(DeniedError, match="submitted this review"):
        sign(people.owner, review)


def test_a_rejected_reinstatement_leaves_it_suspended_and_is_not_asked_again(people, approval):
    suspend(acting_user=people.validator, approval=approval, **STOPPED)
    sign(people.risk_officer, reinstate(acting_user=people.owner, approval=approval), "reject")
    assert status(approval) == "suspended"
    with pytest.raises(ConflictError, match="was rejected"):
        reinstate(acting_user=people.owner, approval=approval)


def test_what_holds_or_is_over_cannot_be_suspended_twice_or_reinstated(people, approval):
    with pytest.raises(ConflictError, match="is active; only one that is suspended"):
        reinstate(acting_user=people.owner, approval=approval)
    suspend(acting_user=people.validator, approval=approval, **STOPPED)
    with pytest.raises(ConflictError, match="suspended already"):
        suspend(acting_user=people.validator, approval=approval, **STOPPED)
    revoke(acting_user=people.validator, approval=approval, **STOPPED)
    for service in (suspend, revoke):
        with pytest.raises(ConflictError, match="revoked already"):
            service(acting_user=people.validator, approval=approval, **STOPPED)
    with pytest.raises(ConflictError, match="is revoked"):
        reinstate(acting_user=people.owner, approval=approval)


def test_a_revocation_during_a_reinstatement_wins(people, approval):
    suspend(acting_user=people.validator, approval=approval, **STOPPED)
    review = reinstate(acting_user=people.owner, approval=approval)
    sign(people.validator, review)
    revoke(acting_user=people.risk_officer, approval=approval, **STOPPED)
    with pytest.raises(ConflictError, match="is revoked"):
        sign(people.risk_officer, review)
    assert status(approval) == "revoked"
    assert Review.objects.get(pk=review.pk).state == ReviewState.IN_REVIEW


def test_an_engineer_cannot_suspend_and_a_wrong_password_suspends_nothing(people, approval):
    with pytest.raises(DeniedError, match="Eligible"):
        suspend(acting_user=people.engineer, approval=approval, **STOPPED)
    with pytest.raises(DeniedError, match="not right"):
        suspend(acting_user=people.validator, approval=approval, reason="x", password="guess")
    with pytest.raises(ConflictError, match="read it again"):
        suspend(acting_user=people.validator, approval=approval, expected_version=9, **STOPPED)
    assert status(approval) == "active"
    assert not GrantAct.objects.exists()


def test_new_evidence_voids_a_suspended_approval_too(people, approved, approval):
    suspend(acting_user=people.validator, approval=approval, **STOPPED)
    add_evidence(approved.step_run, "adversarial_eval", approved.artifact, n=77)
    assert status(approval) == "void"


def test_a_bundle_with_a_suspension_and_a_reinstatement_verifies(people, approved, approval, tmp_path):
    suspend(acting_user=people.validator, approval=approval, **STOPPED)
    approve(people, reinstate(acting_user=people.owner, approval=approval))
    files = files_of(export(people.auditor, approved))
    result = run_verify(unpack(files, tmp_path / "bundle"))
    assert result.returncode == 0, result.stdout
    reviews = json.loads(files["decisions.json"])["reviews"]
    assert [row["reinstates"] for row in reviews] == ["", str(approval.pk)]


# --------------------------------------------------------------------------------------------------- superseded


def test_a_newer_approval_of_the_model_supersedes_the_older_for_good(people, approved, approval):
    second = submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))
    assert second.model_version.model == approved.model
    approve(people, second)
    assert (status(approval), status(second.approval)) == ("superseded", "active")
    told = AuditEvent.objects.get(event="approval:superseded")
    assert str(second.approval.pk) in told.entry
    revoke(acting_user=people.validator, approval=second.approval, **STOPPED)
    assert status(approval) == "superseded"


def test_an_approval_for_elsewhere_supersedes_nothing(people, approved, approval):
    version = make_model_version(people.system, people.engineer)
    second = submit(acting_user=people.engineer, model_version=version, environments=["staging"])
    approve(people, second)
    assert (status(approval), status(second.approval)) == ("active", "active")
    assert events("approval:superseded") == []


def test_an_approval_of_another_model_supersedes_nothing(people, approved, approval):
    version = make_model_version(people.system, people.engineer, name="other")
    approve(people, submit(acting_user=people.engineer, model_version=version))
    assert status(approval) == "active"


# --------------------------------------------------------------------------------------------------- conditions


def test_a_condition_is_signed_with_the_vote_met_by_its_owner_and_confirmed_by_who_set_it(people, review, tmp_path):
    condition = conditional(people, review)
    approval = Approval.objects.get()
    assert Review.objects.get(pk=review.pk).state == ReviewState.APPROVED_WITH_CONDITIONS
    assert condition.vote.conditions == [services.Wanted(condition.text, people.owner, condition.due_at).content()]
    assert list(conditions.mine(people.owner)) == [condition]
    services.report(acting_user=people.owner, condition=condition, note="It is in the wiki.")
    assert list(conditions.mine(people.validator)) == [condition]
    services.send_back(acting_user=people.validator, condition=condition, note="Not all of them.")
    assert met(people, condition).standing == "met"
    assert status(approval) == "active"
    act = GrantAct.objects.get()
    assert (act.condition, act.kind, act.meaning) == (condition, "confirm-condition", MEANINGS[act.kind, ""])
    kinds = ("condition:set", "condition:reported", "condition:returned", "condition:met")
    assert events(*kinds) == [kinds[0], kinds[1], kinds[2], kinds[1], kinds[3]]
    result = run_verify(unpack(files_of(export(people.auditor, review.model_version)), tmp_path / "bundle"))
    assert result.returncode == 0, result.stdout


def test_only_its_owner_reports_and_only_who_set_it_confirms(people, review):
    condition = conditional(people, review)
    for user in (people.validator, people.engineer, people.risk_officer):
        with pytest.raises(DeniedError, match="Only its owner, Olga Owner"):
            services.report(acting_user=user, condition=condition, note="Done.")
    with pytest.raises(ConflictError, match="condition is open already"):
        services.confirm(acting_user=people.validator, condition=condition, reason="x", password=PASSWORD)
    services.report(acting_user=people.owner, condition=condition, note="Done.")
    for user in (people.owner, people.risk_officer, people.engineer):
        with pytest.raises(DeniedError, match="Vera Validator set this condition"):
            services.confirm(acting_user=user, condition=condition, reason="x", password=PASSWORD)
    assert Condition.objects.get().state == "reported"


def test_when_who_set_it_has_left_the_role_another_holder_confirms(people, review):
    condition = conditional(people, review)
    services.report(acting_user=people.owner, condition=condition, note="Done.")
    second = people.make("vito", "Vito Validator", Role.VALIDATOR)
    RoleGrant.objects.filter(user=people.validator).update(revoked_at=timezone.now())
    with pytest.raises(DeniedError, match=r"no validator here any more\. Eligible: Vito Validator"):
        services.confirm(acting_user=people.risk_officer, condition=condition, reason="x", password=PASSWORD)
    assert services.confirm(acting_user=second, condition=condition, reason="x", password=PASSWORD).state == "met"


def test_an_overdue_condition_suspends_at_once_and_late_work_does_not_lift_it(people, review):
    condition = overdue(conditional(people, review))
    approval = Approval.objects.get()
    assert (approval.state, status(approval), condition.standing) == ("active", "suspended", "overdue")
    with pytest.raises(ConflictError, match="what is overdue must be met"):
        reinstate(acting_user=people.owner, approval=approval)
    met(people, condition)
    assert status(approval) == "suspended"
    approve(people, reinstate(acting_user=people.engineer, approval=approval))
    assert status(approval) == "active"
    assert events("approval:suspended", "approval:reinstated") == ["approval:suspended", "approval:reinstated"]


def test_the_clock_records_that_an_overdue_condition_suspended(people, review, approved):
    overdue(conditional(people, review))
    assert (lapse(), lapse()) == (1, 0)
    assert events("approval:suspended") == ["approval:suspended"]
    assert sorted(Approval.objects.values_list("state", flat=True)) == ["active", "suspended"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"text": "  "}, "needs a reason"),
        ({"text": "x" * 1001}, "At most 1,000"),
        ({"owner": "nobody-at-all"}, "Nobody called"),
        ({"owner": "otto"}, "Nobody called"),
        ({"owner": "vera"}, "somebody else must own it"),
        ({"due": timezone.now().date() - timedelta(days=1)}, "is due from today"),
        ({"due": timezone.now().date() + timedelta(days=400)}, "is due from today"),
    ],
)
def test_a_condition_that_cannot_be_met_or_confirmed_is_refused(people, review, change, why):
    given = {"text": "Do it.", "owner": "olga", "due": timezone.now().date() + timedelta(days=2), **change}
    with pytest.raises(InvalidError, match=why) as refused:
        sign(people.validator, review, conditions=[given])
    assert refused.value.field == "conditions"
    assert not Condition.objects.exists()


def test_conditions_go_with_an_approval_only_and_at_most_ten(people, review):
    given = {"text": "Do it.", "owner": "olga", "due": timezone.now().date() + timedelta(days=2)}
    with pytest.raises(InvalidError, match="with nothing else"):
        sign(people.validator, review, "reject", conditions=[given])
    with pytest.raises(InvalidError, match="At most 10"):
        sign(people.validator, review, conditions=[given] * 11)


def test_whoever_looked_at_a_review_before_a_condition_was_set_looks_again(people, review):
    seen = review.row_version
    given = {"text": "Do it.", "owner": "olga", "due": timezone.now().date() + timedelta(days=2)}
    sign(people.validator, review, conditions=[given])
    with pytest.raises(ConflictError, match="read it again"):
        sign(people.risk_officer, review, expected_version=seen)
