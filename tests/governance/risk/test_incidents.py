"""Incidents: their timeline, what a grave one stops, and who may say that it is over."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from governance.models import Approval, Review
from governance.risk import records, selectors
from governance.risk.models import Incident, IncidentEntry
from governance.risk.services import incidents
from governance.services.reviews import submit
from security.access.services import grant_role
from security.access.table import Role
from security.errors import ConflictError, DeniedError, InvalidError
from security.identity.models import ApiToken, User
from security.log.models import AuditEvent
from tests.support.models import make_model_version
from tests.support.people import People
from tests.support.reviews import approve, events, sign
from tests.support.risk import close, report


@pytest.fixture
def review(people: People) -> Review:
    return submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))


@pytest.mark.parametrize("severity", ["serious", "critical"])
def test_a_grave_incident_stops_approval_but_not_rejection(severity, people, review):
    report(people.engineer, people.system, severity, model_version=review.model_version)
    with pytest.raises(ConflictError, match=rf"Incident 1 \({severity}\) is open: Wrong refusals"):
        sign(people.validator, review)
    sign(people.validator, review, "reject")
    assert not Approval.objects.exists()


def test_an_incident_between_two_signatures_stops_the_second_until_it_is_closed(people, review):
    sign(people.validator, review)
    found = report(people.engineer, people.system, model_version=review.model_version)
    with pytest.raises(ConflictError, match="Approving is not possible now"):
        sign(people.risk_officer, review)
    close(people.risk_officer, found)
    sign(people.risk_officer, review)
    assert Approval.objects.count() == 1


def test_an_incident_without_a_version_stops_every_version_of_its_system_and_no_other(people, review):
    foreign = make_model_version(people.other, people.outsider)
    report(people.validator, people.system)
    assert selectors.stopping(review.model_version) == ["Incident 1 (serious) is open: Wrong refusals"]
    assert selectors.stopping(foreign) == []


def test_a_light_incident_or_one_of_another_version_stops_nothing(people, review):
    another = make_model_version(people.system, people.engineer)
    report(people.engineer, people.system, "moderate", model_version=review.model_version)
    report(people.engineer, people.system, "critical", model_version=another)
    assert selectors.stopping(review.model_version) == []
    approve(people, review)
    assert Approval.objects.count() == 1


def test_an_incident_becomes_graver_and_never_less_grave(people, review):
    found = report(people.owner, people.system, "minor", model_version=review.model_version)
    incidents.note(acting_user=people.engineer, incident=found, what="It spreads.", severity="critical")
    assert selectors.stopping(review.model_version)
    with pytest.raises(InvalidError) as refused:
        incidents.note(acting_user=people.engineer, incident=found, what="It is small.", severity="minor")
    assert refused.value.field == "severity"
    entries = [(one.kind, one.severity) for one in selectors.timeline(found)]
    assert entries == [("opened", "minor"), ("graver", "critical")]


@pytest.mark.parametrize("who", ["engineer", "validator", "auditor", "owner", "admin", "outsider", "nobody"])
def test_nobody_but_the_second_line_closes_a_grave_incident(who, people):
    found = report(people.engineer, people.system)
    with pytest.raises(DeniedError):
        close(getattr(people, who), found)
    assert selectors.incidents().get().state == "open"


def test_a_risk_officer_who_builds_or_a_token_or_a_wrong_password_closes_nothing(people):
    found = report(people.engineer, people.system)
    with pytest.raises(DeniedError, match="The password is not right"):
        close(people.risk_officer, found, password="guess")
    with pytest.raises(DeniedError, match="The password is not right"):
        close(people.risk_officer, found, password="")
    people.risk_officer.acting_token = ApiToken(scopes=["risk"])
    with pytest.raises(DeniedError, match="a token cannot do it"):
        close(people.risk_officer, found)
    grant_role(acting_user=people.admin, user=people.risk_officer, role=Role.ENGINEER, system=people.system)
    with pytest.raises(DeniedError, match="You have a hand in this system"):
        close(User.objects.get(pk=people.risk_officer.pk), found)


def test_a_light_incident_is_closed_by_whoever_works_here_and_once(people):
    found = report(people.engineer, people.system, "minor")
    close(people.owner, found, password="")
    with pytest.raises(ConflictError, match="closed already"):
        close(people.owner, found)
    with pytest.raises(ConflictError, match="what happens now is another one"):
        incidents.note(acting_user=people.engineer, incident=found, what="Again.")
    assert events("incident:opened", "incident:closed") == ["incident:opened", "incident:closed"]


def test_an_incident_that_becomes_grave_meanwhile_is_not_closed_without_a_signature(people, monkeypatch):
    found = report(people.engineer, people.system, "minor")
    stale = Incident.objects.select_related("system").get(pk=found.pk)
    incidents.note(acting_user=people.engineer, incident=found, what="It spreads.", severity="serious")
    with pytest.raises(ConflictError, match="has become grave meanwhile"):
        close(people.risk_officer, stale, password="")
    assert selectors.incidents().get().state == "open"


def test_auditors_and_outsiders_report_nothing_and_foreign_versions_are_none_of_it(people, review):
    for user in (people.auditor, people.admin, people.outsider, people.nobody):
        with pytest.raises(DeniedError):
            report(user, people.system)
    foreign = make_model_version(people.other, people.outsider)
    with pytest.raises(InvalidError) as refused:
        report(people.engineer, people.system, model_version=foreign)
    assert refused.value.field == "model_version"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"title": ""}, "title"),
        ({"what": " "}, "what"),
        ({"what": "a\0b"}, "what"),
        ({"what": "x" * 5001}, "what"),
        ({"severity": "terrible"}, "severity"),
        ({"happened_at": timezone.now() + timedelta(hours=1)}, "happened_at"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_field(given, field, people):
    with pytest.raises(InvalidError) as refused:
        report(people.engineer, people.system, **given)
    assert refused.value.field == field
    assert not Incident.objects.exists()


def test_a_timeline_stands_in_the_log_by_digests_and_cannot_be_changed(people):
    found = report(people.engineer, people.system)
    closing = close(people.risk_officer, found)
    told = "".join(AuditEvent.objects.filter(event__startswith="incident:").values_list("entry", flat=True))
    for entry in selectors.timeline(found):
        assert records.entry_digest(entry) == entry.digest
        assert entry.digest in told
    assert "Twelve applicants" not in told
    assert (closing.method, closing.printed_name) == ("password", "Rosa Risk")
    for statement in ("UPDATE risk_incidententry SET text = 'nothing'", "DELETE FROM risk_incidententry"):
        with pytest.raises(DatabaseError, match="insert-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_the_database_refuses_an_unsigned_end_of_a_grave_incident(people):
    found = report(people.engineer, people.system)
    now = timezone.now()
    with pytest.raises(IntegrityError), transaction.atomic():
        IncidentEntry.objects.create(
            incident=found, number=2, kind="closed", text="x", severity="serious", happened_at=now, written_at=now,
            written_by=people.engineer, printed_name="x", digest="0" * 64,
        )  # fmt: skip
