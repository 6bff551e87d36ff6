"""Two people at the same instant: threads with connections of their own, on either database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from governance.risk.models import Assessment, IncidentEntry, RiskRevision, TierChange
from security.access.models import AISystem
from security.access.table import Role
from security.errors import ConflictError
from security.identity.models import User
from tests.governance.test_races import at_once
from tests.support.databases import usable_by_threads
from tests.support.people import People
from tests.support.risk import HIGH, LOW, MEDIUM, answer, close, describe, lower, open_risk, report, revise


@pytest.fixture
def threads(transactional_db: None, people: People, tmp_path: Path) -> Iterator[None]:
    """A database that several connections can use at once, with the owner's description of the system in it."""
    describe(people.owner, people.system)
    with usable_by_threads(tmp_path):
        yield


def again(user: User) -> User:
    """The person as another thread reads them."""
    return User.objects.get(pk=user.pk)


def test_two_assessments_at_once_never_lower_anything_and_both_are_on_record(people: People, threads: None):
    lower(people.risk_officer, answer(people.owner, people.system, MEDIUM))
    system = AISystem.objects.get(pk=people.system.pk)
    at_once(
        lambda: answer(again(people.owner), system, LOW),
        lambda: answer(again(people.validator), system, HIGH),
    )
    assert sorted(Assessment.objects.values_list("number", flat=True)) == [1, 2, 3]
    assert AISystem.objects.get(pk=system.pk).tier == "high"
    assert sorted(TierChange.objects.values_list("number", "after")) == [(1, "medium"), (2, "high")]


def test_two_officers_who_sign_the_same_assessment_at_once_lower_the_tier_once(people: People, threads: None):
    ruth = people.make("ruth", "Ruth Risk", Role.RISK_OFFICER)
    found = answer(people.owner, people.system)
    results = at_once(*(lambda one=one: lower(again(one), found) for one in (people.risk_officer, ruth)))
    assert sorted(type(one) is TierChange for one in results) == [False, True], results
    assert any(isinstance(one, ConflictError) for one in results)
    assert TierChange.objects.count() == 1


def test_two_revisions_and_two_ends_at_once_are_one_each(people: People, threads: None):
    risk = open_risk(people.engineer, people.system, likelihood=3, impact=3).risk
    incident = report(people.engineer, people.system, "minor")
    scores = {"likelihood": 2, "impact": 2, "seen": 1}
    people_at_once = (people.engineer, people.validator)
    results = at_once(
        *(lambda one=one: revise(again(one), risk, **scores) for one in people_at_once),
        *(lambda one=one: close(again(one), incident, password="") for one in people_at_once),
    )
    assert sum(isinstance(one, ConflictError) for one in results) == 2, results
    assert RiskRevision.objects.count() == 2
    assert list(IncidentEntry.objects.order_by("number").values_list("kind", flat=True)) == ["opened", "closed"]
