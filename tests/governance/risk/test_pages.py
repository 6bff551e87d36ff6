"""The pages of risk as people use them, and what hostile text becomes on them."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from governance.risk.models import Assessment, Incident, QuestionnaireVersion, Risk, SystemProfile, TierChange
from governance.risk.questionnaire import builtin, builtin_text
from governance.risk.services import assessments, incidents, profiles, tiers
from governance.risk.services.questionnaires import publish
from governance.services.reviews import submit
from security.access.models import AISystem
from security.access.services import change_system
from security.identity.models import User
from tests.support.models import make_model_version
from tests.support.people import PASSWORD, People
from tests.support.risk import (
    DESCRIBED,
    HIGH,
    LOW,
    accept,
    answer,
    close,
    describe,
    in_a_month,
    lower,
    open_risk,
    report,
    revise,
)

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def text(answer: Any) -> str:
    return str(answer.content.decode())


def given(answers: dict[str, list[str]], **more: Any) -> dict[str, Any]:
    asked = {f"q_{question}": chosen for question, chosen in answers.items()}
    return {"questionnaire": builtin().digest, **asked, **more}


def test_a_tier_is_lowered_on_the_pages_from_description_to_signature(people: People):
    owner, officer = browser(people.owner), browser(people.risk_officer)
    page = owner.get(reverse("system", args=["credit"]))
    assert "nobody has signed a lower one" in text(page)
    described = DESCRIBED | {"data_categories": "cells\n\nnone else"}
    assert owner.post(reverse("risk-profile", args=["credit"]), described).status_code == 302
    assert SystemProfile.objects.get().data_categories == ["cells", "none else"]
    answered = owner.post(reverse("risk-answer", args=["credit"]), given(LOW, note="Measured twice."))
    found = Assessment.objects.get()
    assert answered["Location"] == reverse("assessment", args=[found.pk])
    assert "You answered this yourself" not in text(owner.get(answered["Location"]))
    assert "needs the role risk officer" in text(owner.get(answered["Location"]))
    assert "read and sign them" in text(officer.get(reverse("risk", args=["credit"])))
    assert "Sign the lower tier" in text(officer.get(answered["Location"]))
    wrong = officer.post(reverse("tier-lower", args=[found.pk]), {"reason": "Fine.", "password": "guess"})
    assert (wrong.status_code, "The password is not right" in text(wrong)) == (403, True)
    signed = officer.post(reverse("tier-lower", args=[found.pk]), {"reason": "Fine.", "password": PASSWORD})
    assert signed.status_code == 302
    assert AISystem.objects.get(slug="credit").tier == "low"
    assert "High → low" in text(owner.get(reverse("system", args=["credit"])))


def test_a_question_that_was_left_out_is_shown_at_its_place_and_nothing_is_stored(people: People):
    page = browser(people.owner).post(
        reverse("risk-answer", args=["credit"]), given({name: value for name, value in LOW.items() if name != "harm"})
    )
    assert page.status_code == 422
    assert page.context["form"].errors.keys() == {"q_harm"}
    impossible = browser(people.owner).post(
        reverse("risk-answer", args=["credit"]), given(LOW | {"area": ["none", "credit"]})
    )
    assert impossible.context["form"].errors.keys() == {"q_area"}
    old = browser(people.owner).post(reverse("risk-answer", args=["credit"]), given(LOW, questionnaire="0" * 64))
    assert "was published since" in text(old)
    assert not Assessment.objects.exists()


def test_a_builder_is_told_before_answering_and_the_officer_why_it_cannot_be_signed(people: People):
    assert "never lower it" in text(browser(people.engineer).get(reverse("risk-answer", args=["credit"])))
    describe(people.engineer, people.system)
    found = answer(people.engineer, people.system)
    page = browser(people.risk_officer).get(reverse("assessment", args=[found.pk]))
    assert "Erin Engineer answered it, and has a hand in the system" in text(page)
    assert page.context["form"] is None
    sent = browser(people.risk_officer).post(
        reverse("tier-lower", args=[found.pk]), {"reason": "Fine.", "password": PASSWORD}
    )
    assert sent.status_code == 409
    assert not TierChange.objects.exists()


def test_a_tier_is_raised_on_the_page(people: People):
    describe(people.owner, people.system)
    lower(people.risk_officer, answer(people.owner, people.system))
    client = browser(people.engineer)
    assert client.post(reverse("tier-raise", args=["credit"]), {"tier": "low", "reason": "Down."}).status_code == 422
    raised = client.post(reverse("tier-raise", args=["credit"]), {"tier": "medium", "reason": "Used for offers."})
    assert raised.status_code == 302
    assert "Used for offers." in text(client.get(raised["Location"]))


def test_an_administrator_publishes_the_next_questionnaire_and_others_read_it(people: People):
    harder = builtin_text().replace("medium: 30", "medium: 20")
    for user, status in ((people.admin, 302), (people.risk_officer, 403), (people.nobody, 403)):
        assert browser(user).post(reverse("questionnaire"), {"text": harder}).status_code == status
    assert QuestionnaireVersion.objects.get().published_by == people.admin
    wrong = browser(people.admin).post(reverse("questionnaire"), {"text": "title: [1"})
    assert (wrong.status_code, "line 2" in text(wrong)) == (422, True)
    shown = browser(people.auditor).get(reverse("questionnaire"))
    assert "from 20 of 100" in text(shown)
    assert shown.context["form"] is None
    assert browser(people.nobody).get(reverse("questionnaire")).status_code == 403
    offered = browser(people.admin).get(reverse("questionnaire")).context["form"].initial["text"]
    again = browser(people.admin).post(reverse("questionnaire"), {"text": offered})
    assert "already, word for word" in text(again)


def test_a_risk_is_registered_revised_and_accepted_on_the_pages(people: People):
    engineer, officer = browser(people.engineer), browser(people.risk_officer)
    scores = {"likelihood": 3, "impact": 5, "residual_likelihood": 3, "residual_impact": 5}
    content = {"title": "It drifts", "treatment": "reduce", "owner": "olga", "due": "2030-01-31", **scores}
    made = engineer.post(reverse("risk-new", args=["credit"]), content | {"source": "drift"})
    risk = Risk.objects.get()
    assert made["Location"] == reverse("risk-entry", args=[risk.pk])
    less = content | {"controls": "A person decides.", "residual_likelihood": 1, "seen": 1, "note": "Reviewed."}
    assert engineer.post(made["Location"], less).status_code == 302
    assert engineer.post(made["Location"], less).status_code == 422  # the same form, sent again
    assert "needs the role risk officer" in text(engineer.get(made["Location"]))
    borne = {"until": in_a_month().isoformat(), "reason": "Small.", "password": PASSWORD, "seen": 2}
    assert officer.post(reverse("risk-accept", args=[risk.pk]), borne).status_code == 302
    shown = text(officer.get(reverse("risk", args=["credit"])))
    assert f"until {in_a_month():%Y-%m-%d}" in shown
    assert officer.post(reverse("risk-accept", args=[risk.pk]), borne).status_code == 409


def test_an_incident_is_reported_stops_a_review_and_is_signed_off_on_the_pages(people: People):
    version = make_model_version(people.system, people.engineer)
    review = submit(acting_user=people.engineer, model_version=version)
    engineer, officer = browser(people.engineer), browser(people.risk_officer)
    given = {"title": "Wrong refusals", "severity": "minor", "what": "Twelve.", "model_version": version.pk}
    made = engineer.post(reverse("incident-new", args=["credit"]), given)
    found = Incident.objects.get()
    assert made["Location"] == reverse("incident", args=[found.pk])
    graver = engineer.post(reverse("incident-note", args=[found.pk]), {"what": "It spreads.", "severity": "critical"})
    assert graver.status_code == 302
    assert "Incident 1 (critical) is open" in text(officer.get(reverse("review", args=[review.pk])))
    assert engineer.post(reverse("incident-close", args=[found.pk]), {"what": "Mended."}).status_code == 403
    assert officer.post(reverse("incident-close", args=[found.pk]), {"what": "Mended."}).status_code == 422
    signed = officer.post(reverse("incident-close", args=[found.pk]), {"what": "Mended.", "password": PASSWORD})
    assert signed.status_code == 302
    assert "signed (password)" in text(officer.get(made["Location"]))
    assert "is open" not in text(officer.get(reverse("review", args=[review.pk])))


def test_a_foreign_model_version_is_no_choice(people: People):
    foreign = make_model_version(people.other, people.outsider)
    given = {"title": "x", "severity": "minor", "what": "x", "model_version": foreign.pk}
    assert browser(people.engineer).post(reverse("incident-new", args=["credit"]), given).status_code == 422


@pytest.fixture
def hostile(people: People) -> dict[str, str]:
    """Hostile text in everything that a person can write; the addresses of all pages that show some of it."""
    evil = builtin_text().replace("title: Inherent risk of an AI system", f'title: "{HOSTILE}"')
    evil = evil.replace("text: Where is its output used?", f'text: "{HOSTILE}"')
    publish(acting_user=people.admin, text=evil.replace("text: No data about people", f'text: "{HOSTILE}"'))
    change_system(acting_user=people.owner, system=people.system, name=HOSTILE, purpose=HOSTILE)
    words = {name: [HOSTILE] if name == "data_categories" else HOSTILE for name in DESCRIBED}
    profiles.describe(acting_user=people.owner, system=people.system, **words)
    found = assessments.answer(acting_user=people.owner, system=people.system, answers=LOW, note=HOSTILE)
    lower(people.risk_officer, found, reason=HOSTILE)
    tiers.raise_tier(acting_user=people.engineer, system=people.system, tier="medium", reason=HOSTILE)
    worded = {"title": HOSTILE, "description": HOSTILE, "controls": HOSTILE, "likelihood": 2, "impact": 4}
    risk = open_risk(people.engineer, people.system, **worded).risk
    revise(people.engineer, risk, note=HOSTILE, **worded)
    accept(people.risk_officer, risk, reason=HOSTILE)
    version = make_model_version(people.system, people.engineer)
    review = submit(acting_user=people.engineer, model_version=version)
    incident = report(people.engineer, people.system, title=HOSTILE, what=HOSTILE, model_version=version)
    incidents.note(acting_user=people.engineer, incident=incident, what=HOSTILE)
    closed = report(people.engineer, people.system, title=HOSTILE, what=HOSTILE)
    close(people.risk_officer, closed, what=HOSTILE)
    pages = {name: reverse(name, args=["credit"]) for name in ("system", "risk", "risk-profile", "risk-answer")}
    pages |= {"assessment": reverse("assessment", args=[found.pk]), "risk-entry": reverse("risk-entry", args=[risk.pk])}
    pages |= {"incident": reverse("incident", args=[incident.pk]), "closed": reverse("incident", args=[closed.pk])}
    pages |= {"questionnaire": reverse("questionnaire"), "review": reverse("review", args=[review.pk])}
    return pages


def test_html_in_any_text_is_shown_and_never_becomes_html(people: People, hostile: dict[str, str]):
    for user in (people.risk_officer, people.engineer, people.admin):
        client = browser(user)
        for name, address in hostile.items():
            page = client.get(address)
            if page.status_code == 403:
                continue
            shown = text(page)
            assert "<script>alert" not in shown, name
            assert "<img src=x" not in shown, name
            assert "&lt;script&gt;alert(1)" in shown, name


def test_the_page_of_risk_takes_the_same_queries_whatever_is_on_it(people: People):
    client = browser(people.auditor)

    def fill() -> None:
        answer(people.owner, people.system, HIGH)
        accept(people.risk_officer, open_risk(people.engineer, people.system, likelihood=2, impact=3).risk)
        report(people.engineer, people.system, model_version=make_model_version(people.system, people.engineer))

    def measured() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(reverse("risk", args=["credit"])).status_code == 200
            assert client.get(reverse("system", args=["credit"])).status_code == 200
        return len(captured)

    fill()
    measured()
    few = measured()
    for _ in range(3):
        fill()
    assert measured() == few
