"""A condition in a real Chromium: set with a vote, reported, confirmed; and the pages of it at every width."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from governance.models import Condition, Review
from governance.services.reviews import submit
from tests.browser.conftest import DESK, PHONE, Open, fits, follow
from tests.support.models import make_model_version
from tests.support.people import PASSWORD, People
from tests.support.reviews import sign

pytestmark = pytest.mark.browser


@pytest.fixture
def review(site: str, people: People) -> Review:
    cache.clear()
    version = make_model_version(people.system, people.engineer, name="scores")
    return submit(acting_user=people.engineer, model_version=version)


def conditional(page: Page) -> None:
    """Approve on one condition, as a person fills in the form."""
    due = (timezone.now() + timedelta(days=5)).date()
    page.get_by_label("Approve").check()
    page.get_by_label("Reason").fill("Sound, but for its documents.")
    page.get_by_text("Approve with conditions").click()
    page.get_by_label("Condition 1").fill("Describe the small groups in the model card.")
    page.get_by_label("By whom").first.fill("olga")
    page.get_by_label("Until the end of").first.fill(due.isoformat())
    page.get_by_label("Your password, again").fill(PASSWORD)
    follow(page, page.get_by_role("button", name="Sign this decision"))


def test_a_condition_from_the_vote_to_its_confirmation(open_page: Open, people: People, review: Review):
    conditional(open_page(people.validator, reverse("review", args=[review.pk])))
    sign(people.risk_officer, review)
    page = open_page(people.owner, "/")
    follow(page, page.locator("#conditions").get_by_role("link", name="Describe the small groups"))
    page.get_by_label("What was done").fill("Section 4.")
    follow(page, page.get_by_role("button", name="Report that it is met"))
    address = reverse("condition", args=[Condition.objects.get().pk])
    page = open_page(people.validator, address)
    page.get_by_label("How you know that it is met").fill("I read section 4.")
    page.get_by_label("Your password, again").fill(PASSWORD)
    follow(page, page.get_by_role("button", name="Sign that it is met"))
    expect(page.get_by_text("Nothing: it is met.")).to_be_visible()
    expect(page.get_by_text("Meaning: I looked at what was done")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_an_approval_on_conditions_fit(open_page: Open, people: People, review: Review, scheme: str):
    conditional(open_page(people.validator, reverse("review", args=[review.pk]), scheme=scheme))
    sign(people.risk_officer, review)
    kept = os.environ.get("COUNTERSIGN_SCREENSHOTS")
    paths = {
        "review": reverse("review", args=[review.pk]),
        "condition": reverse("condition", args=[Condition.objects.get().pk]),
        "version": reverse("model-version", args=[review.model_version_id]),
        "home": "/",
    }
    for width in (DESK, PHONE):
        for name, path in paths.items():
            page = open_page(people.validator if name == "review" else people.owner, path, width=width, scheme=scheme)
            assert fits(page), (name, width)
            if kept:
                page.screenshot(path=Path(kept) / f"{name}-{width}-{scheme}.png", full_page=True)
