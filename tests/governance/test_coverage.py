"""Framework coverage of a model version grows with what is really there."""

from __future__ import annotations

import pytest

from governance.selectors.coverage import coverage_of
from governance.services.reviews import submit, vote
from pipelines.models import ModelVersion
from tests.support.models import make_model_version
from tests.support.people import PASSWORD, People


def states(version: ModelVersion) -> dict[str, str]:
    return {row.subcategory.id: row.state for row in coverage_of(version)}


@pytest.fixture
def version(people: People) -> ModelVersion:
    return make_model_version(people.system, people.engineer)


def test_a_registered_model_with_evidence_supports_what_its_evidence_says(version):
    found = states(version)
    assert len(found) == 72
    assert found["MEASURE 2.7"] == "supported"  # security: the evasion attack
    assert found["GOVERN 1.6"] == "supported"  # it is in the inventory
    assert found["GOVERN 4.1"] == "needs-attestation"
    assert found["MANAGE 4.3"] == "missing"


def test_failing_evidence_supports_nothing(people, version):
    weak = states(make_model_version(people.system, people.engineer, name="weak", verdict="fail"))
    assert weak["MEASURE 2.7"] == "partial"
    assert list(weak.values()).count("supported") < list(states(version).values()).count("supported")


def test_the_review_adds_policy_decisions_and_their_independence(people, version):
    def facts() -> dict[str, str]:
        return {row.kind: row.verdict for covered in coverage_of(version) for row in covered.evidence}

    assert "approval_record" not in facts()
    review = submit(acting_user=people.engineer, model_version=version)
    assert facts()["policy_bundle"] == "pass"
    vote(acting_user=people.validator, review=review, decision="approve", reason="Sound.", password=PASSWORD)
    assert facts()["approval_record"] == "inconclusive"
    vote(acting_user=people.risk_officer, review=review, decision="approve", reason="Sound.", password=PASSWORD)
    assert facts()["approval_record"] == "pass"
    assert facts()["separation_of_duties_check"] == "pass"
