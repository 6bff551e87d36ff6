"""The deploy gate: nothing goes through but exactly what is approved, where it is approved, while it is."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from governance.models import Approval
from governance.selectors.gate import decide
from governance.services.reviews import revoke, submit, suspend
from security.log.models import AuditEvent
from tests.support.api import Api
from tests.support.models import add_evidence, make_model_version
from tests.support.people import PASSWORD
from tests.support.reviews import approve

STOPPED = {"reason": "It drifts.", "password": PASSWORD}


def asked(user, version, environment: str = "production"):
    return decide(user, version.artifact.digest, environment)


def test_the_exact_bytes_pass_where_they_are_approved(people, approved):
    answer = asked(people.engineer, approved)
    assert (answer.allowed, answer.reasons, answer.approval) == (True, (), Approval.objects.get())


@pytest.mark.parametrize("environment", ["staging", "Production", "production-eu", ""])
def test_another_environment_is_denied(people, approved, environment):
    answer = asked(people.engineer, approved, environment)
    assert not answer.allowed
    assert "covers production, not" in answer.reasons[0]


def test_what_is_unknown_or_never_approved_is_denied(people, approved):
    other = make_model_version(people.system, people.engineer)
    assert asked(people.engineer, other).reasons == (f"{other} was never approved.",)
    unknown = decide(people.engineer, "0" * 64, "production")
    assert (unknown.allowed, unknown.model_versions) == (False, ())
    assert "No model version that you may see" in unknown.reasons[0]


def test_a_model_of_a_system_that_one_may_not_see_is_unknown(people, approved):
    answer = asked(people.outsider, approved)
    assert (answer.allowed, answer.model_versions) == (False, ())


def test_whatever_ends_or_stops_an_approval_closes_the_gate(people, approved):
    approval = Approval.objects.get()
    assert decide(people.engineer, approved.artifact.digest, "production", approval.valid_until).reasons == (
        f"The approval of {approved} ran out on {approval.valid_until:%Y-%m-%d}.",
    )
    suspend(acting_user=people.validator, approval=approval, **STOPPED)
    assert "suspended" in asked(people.engineer, approved).reasons[0]
    add_evidence(approved.step_run, "adversarial_eval", approved.artifact, n=77)
    assert "what was signed has changed" in asked(people.engineer, approved).reasons[0]
    revoke(acting_user=people.validator, approval=approval, **STOPPED)
    answer = asked(people.engineer, approved)
    assert (answer.allowed, "was revoked" in answer.reasons[0]) == (False, True)


def test_a_newer_version_closes_the_gate_for_the_older_there_alone(people):
    first = make_model_version(people.system, people.engineer)
    approve(people, submit(acting_user=people.engineer, model_version=first, environments=["production", "staging"]))
    second = make_model_version(people.system, people.engineer)
    approve(people, submit(acting_user=people.engineer, model_version=second, environments=["staging"]))
    assert asked(people.engineer, first).allowed
    assert not asked(people.engineer, first, "staging").allowed
    assert "superseded there" in asked(people.engineer, first, "staging").reasons[0]
    assert asked(people.engineer, second, "staging").allowed


def test_an_approval_from_before_environments_covers_none(people, approved):
    Approval.objects.update(environments=[])
    assert "covers no environment by name" in asked(people.engineer, approved).reasons[0]


def test_the_gate_asks_the_clock_and_not_a_job(people, approved):
    later = timezone.now() + timedelta(days=181)
    assert not decide(people.engineer, approved.artifact.digest, "production", later).allowed


def test_by_the_api_every_answer_is_on_record(people, approved):
    api = Api(people.engineer)
    address = f"gate?digest={approved.artifact.digest}&environment=production"
    answer = api.get(address)
    assert (answer.status_code, answer.json()["allowed"]) == (200, True)
    assert answer.json()["approval"] == str(Approval.objects.get().pk)
    event = AuditEvent.objects.get(event="gate:asked")
    told = json.loads(event.entry)["payload"]
    assert (event.system, told["allowed"], told["environment"]) == ("credit", True, "production")
    denied = api.get(f"gate?digest={'0' * 64}&environment=production").json()
    assert (denied["allowed"], denied["approval"], denied["model_versions"]) == (False, None, [])
    assert AuditEvent.objects.filter(event="gate:asked").count() == 2


@pytest.mark.parametrize(
    "query",
    ["", "?digest=abc&environment=production", f"?digest={'A' * 64}&environment=production",
     f"?digest={'a' * 64}", f"?digest={'a' * 64}&environment=", f"?digest={'a' * 64}&environment=a%00b"],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_no_yes(people, approved, query):
    answer = Api(people.engineer).get(f"gate{query}")
    assert answer.status_code in (400, 422)
    assert "allowed" not in answer.json()


def test_the_gate_costs_the_same_for_many_versions_of_a_model(people, approved):
    with CaptureQueriesContext(connection) as one:
        asked(people.engineer, approved)
    for _ in range(3):
        version = make_model_version(people.system, people.engineer)
        approve(people, submit(acting_user=people.engineer, model_version=version))
    with CaptureQueriesContext(connection) as many:
        assert asked(people.engineer, version).allowed
    assert len(many) <= len(one)
