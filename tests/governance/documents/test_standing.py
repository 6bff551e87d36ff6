"""What could be used at a past moment: as it would have been answered then, whatever happened since."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from governance.documents.facts.standing import standing, tier_at
from governance.models import Approval
from governance.selectors.approvals import approval_of
from governance.services.reviews import revoke
from pipelines.models import Evidence, StepRun
from security.errors import InvalidError
from security.log.models import AuditEvent
from tests.governance.documents.conftest import content
from tests.support.api import Api
from tests.support.documents import make_export
from tests.support.models import add_evidence, make_model_version
from tests.support.people import PASSWORD
from tests.support.reviews import fresh


def statuses(system, at):
    return {row["model"]["number"]: row["status"] for row in standing(system, at=at)["versions"]}


def test_an_approval_is_live_from_its_issue_and_not_a_moment_before(people, approved):
    approval = Approval.objects.get()
    system = people.system
    assert statuses(system, approval.issued_at - timedelta(microseconds=1)) == {1: "none"}
    assert statuses(system, approval.issued_at) == {1: "active"}
    assert statuses(system, approval.valid_until - timedelta(microseconds=1)) == {1: "active"}
    assert statuses(system, approval.valid_until) == {1: "expired"}
    assert statuses(system, approved.created_at - timedelta(microseconds=1)) == {}


def test_a_revocation_ends_it_from_its_moment_on_and_changes_nothing_before(people, approved):
    approval = revoke(
        acting_user=people.validator, approval=Approval.objects.get(), reason="It drifts.", password=PASSWORD
    )
    before = standing(people.system, at=approval.revoked_at - timedelta(microseconds=1))["versions"][0]
    after = standing(people.system, at=approval.revoked_at)["versions"][0]
    assert (before["status"], before["approval"]["revoked_reason"]) == ("active", "")
    assert (after["status"], after["approval"]["revoked_reason"]) == ("revoked", "It drifts.")
    assert {row["printed_name"] for row in before["approval"]["signatures"]} == {"Vera Validator", "Rosa Risk"}


def test_evidence_that_came_later_voids_it_later_and_not_then(people, approved):
    approval = Approval.objects.get()
    train = StepRun.objects.get(run=approved.step_run.run, name="train")
    later = add_evidence(train, "holdout_metrics", approved.artifact, verdict="fail", n=7)
    assert statuses(people.system, later.created_at - timedelta(microseconds=1)) == {1: "active"}
    now = standing(people.system, at=timezone.now())["versions"][0]
    assert (now["status"], now["changed"]) == ("void", ["evidence"])
    assert {row["digest"] for row in now["approval"]["evidence"]} == set(
        Evidence.objects.exclude(pk=later.pk).values_list("digest", flat=True)
    )
    assert approval_of(fresh(approval.review)).status == "void"


def test_now_is_answered_as_the_rest_of_the_house_answers(people, approved):
    make_model_version(people.system, people.engineer)
    found = standing(people.system, at=timezone.now())
    for row in found["versions"]:
        version = (
            type(approved).objects.select_related("model__system", "artifact", "step_run").get(pk=row["model"]["id"])
        )
        assert row["status"] == approval_of(version).status


def test_the_tier_is_that_of_the_log_and_not_what_the_row_says_now(people, approved):
    people.system.tier = "low"
    people.system.save()
    assert tier_at(people.system, timezone.now()) == "high"
    assert tier_at(people.system, AuditEvent.objects.get(event="system:created", system="other").time) == "high"


def test_another_systems_versions_are_not_there(people, approved):
    make_model_version(people.other, people.outsider, name="foreign")
    assert {row["model"]["model"] for row in standing(people.system, at=timezone.now())["versions"]} == {"tiny"}


def test_the_api_and_the_document_say_the_same(people, approved):
    at = Approval.objects.get().issued_at
    api = Api(people.auditor, scopes=["read", "export"])
    answer = api.get("systems/credit/standing", at=at.isoformat()).json()
    export = make_export(people.auditor, "standing", "credit", at=at)
    assert json.loads(content(export))["content"]["versions"] == answer["versions"]
    future = api.get("systems/credit/standing", at="2999-01-01T00:00:00Z")
    assert (future.status_code, future.json()["field"]) == (422, "at")
    with pytest.raises(InvalidError, match="future"):
        make_export(people.auditor, "standing", "credit", at=timezone.now() + timedelta(days=1))


def test_the_page_shows_a_moment_and_takes_nonsense_for_now(people, approved):
    client = Api(people.engineer, session=True).client
    early = client.get("/systems/credit/as-of/?at=2020-01-01T00:00").content.decode()
    assert "No model was registered then" in early
    for asked in ("", "?at=nonsense", "?at=2999-01-01T00:00", "?at=0001-01-01T00:00"):
        answer = client.get(f"/systems/credit/as-of/{asked}")
        assert answer.status_code == 200
    assert "Vera Validator" in client.get("/systems/credit/as-of/").content.decode()
