"""A risk officer lowers a tier in a real Chromium, and every page of risk fits, light and dark, desk and phone."""

from __future__ import annotations

import pytest
from django.urls import reverse

from security.access.models import AISystem
from tests.browser.conftest import DESK, PHONE, Open, fits, follow
from tests.support.people import PASSWORD, People
from tests.support.risk import accept, answer, describe, open_risk, report

pytestmark = pytest.mark.browser


def test_a_risk_officer_reads_the_answers_and_signs_the_lower_tier(open_page: Open, people: People):
    describe(people.owner, people.system)
    answer(people.owner, people.system)
    page = open_page(people.risk_officer, reverse("risk", args=["credit"]))
    follow(page, page.get_by_role("link", name="read and sign them"))
    page.get_by_label("Why this is right").fill("Nothing is decided with it.")
    page.get_by_label("Your password, again").fill(PASSWORD)
    follow(page, page.get_by_role("button", name="Sign the lower tier"))
    assert AISystem.objects.get(slug="credit").tier == "low"


def test_the_pages_of_risk_fit_on_desk_and_phone_in_light_and_dark(open_page: Open, site: str, people: People):
    describe(people.owner, people.system)
    assessment = answer(people.owner, people.system)
    risk = open_risk(people.engineer, people.system, likelihood=3, impact=4, controls="A person decides.").risk
    accept(people.risk_officer, risk)
    incident = report(people.engineer, people.system)
    pages = {name: reverse(name, args=["credit"]) for name in ("system", "risk", "risk-profile", "risk-answer")}
    pages |= {name: reverse(name, args=["credit"]) for name in ("risk-new", "incident-new")}
    pages |= {"questionnaire": reverse("questionnaire"), "assessment": reverse("assessment", args=[assessment.pk])}
    pages |= {"risk-entry": reverse("risk-entry", args=[risk.pk]), "incident": reverse("incident", args=[incident.pk])}
    for width, scheme in ((DESK, "light"), (DESK, "dark"), (PHONE, "light"), (PHONE, "dark")):
        page = open_page(people.risk_officer, pages["system"], width=width, scheme=scheme)
        for name, address in pages.items():
            page.goto(site + address)
            assert fits(page), (name, width)
