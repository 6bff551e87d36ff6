"""The register: what is derived from it, and who signs that the rest is borne until when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from governance.risk import records, selectors
from governance.risk.models import Risk, RiskAcceptance, RiskRevision
from governance.risk.services import register
from security.access.services import grant_role
from security.access.table import Role
from security.errors import ConflictError, DeniedError, InvalidError
from security.identity.models import ApiToken, User
from security.log.models import AuditEvent
from tests.support.models import make_model_version
from tests.support.people import PASSWORD, People
from tests.support.reviews import events
from tests.support.risk import accept, answer, open_risk, revise

TODAY = timezone.now().date


@pytest.fixture
def risk(people: People) -> Risk:
    """4 × 5 before, 2 × 4 after controls, owned by the owner, written by the engineer."""
    controls: dict[str, Any] = {"controls": "A person decides.", "residual_likelihood": 2, "residual_impact": 4}
    return open_risk(people.engineer, people.system, likelihood=4, impact=5, **controls).risk


def test_the_residual_risk_of_a_system_is_the_worst_open_risk_and_without_any_the_tier(people, risk):
    assert selectors.residual(people.other).tier == people.other.tier == "high"
    found = selectors.residual(people.system)
    assert (found.tier, found.open, found.unaccepted) == ("medium", 1, 1)
    worst = open_risk(people.validator, people.system, likelihood=3, impact=5).risk
    assert selectors.residual(people.system).tier == "high"
    revise(people.validator, worst, likelihood=3, impact=5, closed=True, note="The feed is gone.")
    assert selectors.residual(people.system).tier == "medium"
    revise(people.engineer, risk, likelihood=1, impact=5, note="Less now.")
    found = selectors.residual(people.system)
    assert (found.tier, found.unaccepted) == ("low", 0)


@pytest.mark.parametrize(
    ("scores", "level"), [((1, 5), "low"), ((2, 3), "medium"), ((2, 5), "medium"), ((3, 5), "high")]
)
def test_levels_come_from_the_questionnaires_bounds(scores, level, people):
    made = open_risk(people.engineer, people.system, likelihood=scores[0], impact=scores[1])
    (line,) = selectors.risk_lines([made])
    assert (line.inherent, line.residual) == (level, level)


def test_a_risk_officer_accepts_what_is_left_until_a_day(people, risk):
    until = TODAY() + timedelta(days=90)
    made = accept(people.risk_officer, risk, until=until)
    assert selectors.acceptance(selectors.entries().get(risk=risk)) == made
    assert (made.printed_name, made.method, made.until) == ("Rosa Risk", "password", until)
    assert selectors.residual(people.system).unaccepted == 0
    assert events("risk:opened", "risk:accepted") == ["risk:opened", "risk:accepted"]


def test_an_acceptance_ends_with_its_day_and_with_any_revision(people, risk, monkeypatch):
    made = accept(people.risk_officer, risk, until=TODAY() + timedelta(days=10))
    entry = selectors.entries().get(risk=risk)
    for days, held in ((10, made), (11, None)):
        then = timezone.now() + timedelta(days=days)
        with monkeypatch.context() as patch:
            patch.setattr(selectors.timezone, "now", lambda then=then: then)
            assert selectors.acceptance(entry) == held
    revise(people.engineer, risk, likelihood=4, impact=5, note="No controls after all.")
    assert selectors.acceptance(selectors.entries().get(risk=risk)) is None
    assert selectors.acceptances(risk).count() == 1


def test_a_signature_is_not_replayed_on_another_revision_nor_given_twice(people, risk):
    accept(people.risk_officer, risk)
    with pytest.raises(ConflictError, match="accepted this until"):
        accept(people.risk_officer, risk)
    revise(people.engineer, risk, likelihood=5, impact=5, note="Worse.")
    with pytest.raises(ConflictError, match="at revision 2, not 1"):
        accept(people.risk_officer, risk, seen=1)
    assert RiskAcceptance.objects.count() == 1


@pytest.mark.parametrize("who", ["engineer", "validator", "auditor", "owner", "admin", "outsider", "nobody"])
def test_nobody_but_the_second_line_accepts_a_risk(who, people, risk):
    with pytest.raises(DeniedError):
        accept(getattr(people, who), risk)


def test_whoever_wrote_owns_or_builds_does_not_accept(people, risk):
    mine = open_risk(people.risk_officer, people.system, likelihood=2, impact=2).risk
    with pytest.raises(DeniedError, match="wrote this down yourself"):
        accept(people.risk_officer, mine)
    owned = open_risk(people.engineer, people.system, likelihood=2, impact=2, owner="rosa").risk
    with pytest.raises(DeniedError, match="You own this risk"):
        accept(people.risk_officer, owned)
    grant_role(acting_user=people.admin, user=people.risk_officer, role=Role.ENGINEER, system=people.system)
    people.risk_officer = User.objects.get(pk=people.risk_officer.pk)
    with pytest.raises(DeniedError, match="You have a hand in this system"):
        accept(people.risk_officer, risk)


def test_a_token_or_a_wrong_password_accepts_nothing(people, risk):
    with pytest.raises(DeniedError, match="The password is not right"):
        accept(people.risk_officer, risk, password="guess")
    people.risk_officer.acting_token = ApiToken(scopes=["risk"])
    with pytest.raises(DeniedError, match="Only a person"):
        accept(people.risk_officer, risk)


@pytest.mark.parametrize("days", [-1, 0, 367])
def test_an_acceptance_ends_in_the_future_and_within_a_year(days, people, risk):
    with pytest.raises(InvalidError) as refused:
        accept(people.risk_officer, risk, until=TODAY() + timedelta(days=days))
    assert refused.value.field == "until"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"likelihood": 0}, "likelihood"),
        ({"impact": 6}, "impact"),
        ({"residual_likelihood": 4}, "residual_likelihood"),
        ({"residual_impact": 1}, "controls"),
        ({"treatment": "ignore"}, "treatment"),
        ({"owner": "otto"}, "owner"),
        ({"owner": "no\0body"}, "owner"),
        ({"title": " "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"description": "a\0b"}, "description"),
        ({"source": "rumour"}, "source"),
        ({"source": "check", "source_id": str(uuid4())}, "source_id"),
        ({"source": "check", "source_id": "x"}, "source_id"),
        ({"source": "person", "source_id": str(uuid4())}, "source_id"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_field(given, field, people):
    with pytest.raises(InvalidError) as refused:
        open_risk(people.engineer, people.system, **({"likelihood": 3, "impact": 3} | given))
    assert refused.value.field == field
    assert not Risk.objects.exists()


def test_a_risk_names_what_it_was_seen_in_if_that_is_in_the_same_system(people):
    found = answer(people.owner, people.system)
    named = {"source": "questionnaire", "source_id": str(found.pk)}
    made = open_risk(people.engineer, people.system, likelihood=3, impact=3, **named)
    assert made.risk.source_urn == f"urn:countersign:assessment:{found.pk}"
    with pytest.raises(InvalidError, match="has nothing of this kind"):
        open_risk(people.outsider, people.other, likelihood=3, impact=3, owner="otto", **named)


def test_two_revisions_at_once_are_one_revision_and_one_refusal(people, risk):
    revise(people.engineer, risk, likelihood=4, impact=4, note="First.")
    with pytest.raises(ConflictError, match="at revision 2, not 1"):
        revise(people.validator, risk, seen=1, likelihood=1, impact=1, note="Second.")
    assert [one.note for one in selectors.revisions(risk)] == ["First.", ""]


def test_closing_says_why(people, risk):
    with pytest.raises(InvalidError) as refused:
        revise(people.engineer, risk, likelihood=4, impact=5, closed=True)
    assert refused.value.field == "note"


def test_the_register_stands_in_the_log_by_digests_and_cannot_be_changed(people, risk):
    made = accept(people.risk_officer, risk)
    told = "".join(AuditEvent.objects.filter(event__startswith="risk:").values_list("entry", flat=True))
    stored = RiskRevision.objects.get()
    assert records.revision_digest(stored) == stored.digest
    assert records.acceptance_digest(RiskAcceptance.objects.get()) == made.digest
    assert stored.digest in told
    assert made.digest in told
    assert "A person decides" not in told
    for table in ("risk_risk", "risk_riskrevision", "risk_riskacceptance"):
        for statement in (f"UPDATE {table} SET id = id", f"DELETE FROM {table}"):
            with pytest.raises(DatabaseError, match="insert-only"), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(statement)


def test_overdue_is_by_the_day(people):
    open_risk(people.engineer, people.system, likelihood=2, impact=2, due=TODAY())
    assert selectors.residual(people.system).overdue == 0
    open_risk(people.engineer, people.system, likelihood=2, impact=2, due=TODAY() - timedelta(days=1))
    assert selectors.residual(people.system).overdue == 1


def test_a_register_is_read_in_the_same_queries_whatever_its_length(people, risk):
    def measured() -> int:
        with CaptureQueriesContext(connection) as captured:
            selectors.risk_lines(selectors.entries().filter(risk__system=people.system))
            selectors.residual(people.system)
        return len(captured)

    few = measured()
    for _ in range(4):
        accept(people.risk_officer, open_risk(people.engineer, people.system, likelihood=3, impact=3).risk)
    assert measured() == few


def test_a_risk_owner_who_only_built_something_elsewhere_is_no_builder_here(people):
    make_model_version(people.other, people.outsider)
    ruth = people.make("ruth", "Ruth Risk", Role.RISK_OFFICER)
    made = open_risk(people.engineer, people.system, likelihood=2, impact=5)
    assert register.accept(
        acting_user=ruth, risk=made.risk, seen=1, until=TODAY() + timedelta(days=1), reason="Fine.", password=PASSWORD
    )
