"""Approvals: how long they hold, and what ends them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.models import Approval, PolicyVersion
from governance.selectors import approvals, evidence
from governance.services.reviews import revoke, submit
from pipelines.models import StepRun
from security.access.models import AISystem
from security.errors import ConflictError, DeniedError
from tests.support.models import add_evidence, make_model_version, make_run, make_step
from tests.support.people import PASSWORD
from tests.support.reviews import approve, events, fresh, sign


def test_new_evidence_on_the_training_data_voids_an_approval(people, review):
    approve(people, review)
    train = StepRun.objects.get(run=review.model_version.step_run.run, name="train")
    add_evidence(train, "poisoning_scan", train.inputs.get().artifact, verdict="fail")
    assert approvals.status(Approval.objects.get()) == "void"


def test_the_same_result_again_changes_nothing(people, review):
    approve(people, review)
    train = StepRun.objects.get(run=review.model_version.step_run.run, name="train")
    old = train.evidence.get(kind="holdout_metrics", superseded_by=None)
    add_evidence(train, "holdout_metrics", review.model_version.artifact, report=old.report)
    assert approvals.status(Approval.objects.get()) == "active"


def test_a_run_that_repeats_the_model_changes_nothing(people, review):
    approve(people, review)
    steps = {step.name: step for step in review.model_version.step_run.run.steps.all()}
    run = make_run(people.system, people.second_engineer)
    for name in ("load", "train"):
        inputs = {row.port: row.artifact for row in steps[name].inputs.all()}
        outputs = {row.port: (row.kind, row.artifact) for row in steps[name].outputs.all()}
        make_step(run, name, inputs=inputs, outputs=outputs, reused_from=steps[name])
    assert approvals.status(Approval.objects.get()) == "active"


def test_a_newly_published_policy_voids_an_approval(people, review):
    approve(people, review)
    content = {**PolicyVersion.objects.get(tier="high").content, "validity_days": 30}
    PolicyVersion.objects.create(tier="high", number=2, digest="1" * 64, content=content)
    assert approvals.status(Approval.objects.get()) == "void"


def test_a_change_of_tier_voids_an_approval(people, review):
    approve(people, review)
    AISystem.objects.filter(pk=people.system.pk).update(tier="medium")
    assert approvals.approval_of(fresh(review)).status == "void"


def test_an_approval_expires_by_the_clock_alone(people, review):
    approve(people, review)
    approval = Approval.objects.get()
    assert approvals.status(approval, approval.valid_until - timedelta(seconds=1)) == "active"
    assert approvals.status(approval, approval.valid_until) == "expired"
    due = approval.valid_until - timedelta(days=29)
    assert approvals.expiring(people.risk_officer, now=due) == [approval]
    assert approvals.expiring(people.outsider, now=due) == []
    assert approvals.expiring(people.risk_officer) == []


def test_one_person_revokes_and_it_is_final(people, review):
    approve(people, review)
    approval = Approval.objects.get()
    with pytest.raises(DeniedError, match="not right"):
        revoke(acting_user=people.validator, approval=approval, reason="It drifts.", password="guess")
    revoke(acting_user=people.validator, approval=approval, reason="It drifts.", password=PASSWORD)
    assert approvals.approval_of(review.model_version).status == "revoked"
    with pytest.raises(ConflictError, match="revoked already"):
        revoke(acting_user=people.risk_officer, approval=approval, reason="Twice.", password=PASSWORD)
    assert events("approval:revoked") == ["approval:revoked"]


def test_an_engineer_cannot_revoke(people, review):
    approve(people, review)
    with pytest.raises(DeniedError, match=r"Eligible: .*Vera Validator"):
        revoke(acting_user=people.engineer, approval=Approval.objects.get(), reason="Mine.", password=PASSWORD)


def test_a_revocation_is_not_outlived_by_an_older_approval(people, review):
    approve(people, review)
    second = submit(acting_user=people.engineer, model_version=review.model_version)
    approve(people, second)
    revoke(acting_user=people.validator, approval=second.approval, reason="It drifts.", password=PASSWORD)
    assert approvals.approval_of(review.model_version).status == "revoked"


def test_low_risk_needs_the_risk_officer_alone_for_two_years(people):
    AISystem.objects.filter(pk=people.system.pk).update(tier="low")
    version = make_model_version(people.system, people.engineer, kinds=["training_config", "holdout_metrics"])
    review = submit(acting_user=people.engineer, model_version=version)
    with pytest.raises(DeniedError, match="needs the role risk officer"):
        sign(people.validator, review)
    sign(people.risk_officer, review)
    approval = Approval.objects.get()
    assert approval.valid_until - approval.issued_at == timedelta(days=730)


def test_an_approval_is_void_for_a_caller_that_brings_what_it_found(people, review):
    approve(people, review)
    version = fresh(review)
    assert approvals.approval_of(version, found=evidence.found(version)).status == "active"
    add_evidence(version.step_run, "adversarial_eval", version.artifact, n=77)
    found = evidence.found_for([version])
    assert approvals.approvals_of([version], found=found)[version.pk].status == "void"
    assert approvals.approval_of(version).status == "void"


def test_the_status_of_many_approvals_costs_the_same_as_of_one(people, review):
    approve(people, review)
    second = submit(
        acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer, name="second")
    )
    approve(people, second)
    versions = [fresh(review), fresh(second)]
    with CaptureQueriesContext(connection) as one:
        assert approvals.approval_of(versions[0]).active
    with CaptureQueriesContext(connection) as two:
        assert all(held.active for held in approvals.approvals_of(versions).values())
    assert len(two) == len(one)
