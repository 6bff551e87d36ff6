"""Two people decide in a real Chromium: sign in, read, sign with the password; the builder is told why not."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.urls import reverse
from playwright.sync_api import Page, expect

from governance.models import Approval, Review, Vote
from governance.services.reviews import submit
from governance.views.models import TABS
from security.identity.models import User
from tests.browser.conftest import DESK, PHONE, Open, fits
from tests.support.models import make_model_version
from tests.support.people import PASSWORD, People

pytestmark = pytest.mark.browser


@pytest.fixture
def review(site: str, people: People) -> Review:
    cache.clear()
    version = make_model_version(people.system, people.engineer, name="scores")
    return submit(acting_user=people.engineer, model_version=version, note="Look at the slices first.")


def signed_in(open_page: Open, user: User, **how: object) -> Page:
    """Through the sign-in page, as a person does it, to their home page."""
    page = open_page(None, "/", **how)
    page.get_by_label("Name").fill(user.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="What waits for you")).to_be_visible()
    return page


def sign(page: Page, review: Review, reason: str) -> None:
    page.get_by_label("Approve").check()
    page.get_by_label("Reason").fill(reason)
    page.get_by_label("Your password, again").fill(PASSWORD)
    page.get_by_role("button", name="Sign this decision").click()
    page.wait_for_url(f"**{reverse('review', args=[review.pk])}")


def test_a_validator_and_a_risk_officer_approve(open_page: Open, people: People, review: Review):
    page = signed_in(open_page, people.validator)
    page.locator("#waiting").get_by_role("link", name="scores v1").click()
    expect(page.get_by_text("9 of 9 gates pass; approval needs 2 signatures more")).to_be_visible()
    page.keyboard.press("j")
    expect(page.locator("#gate-training_config a").first).to_be_focused()
    page.keyboard.press("j")
    expect(page.locator("#gate-holdout_metrics a").first).to_be_focused()
    page.keyboard.press("k")
    expect(page.locator("#gate-training_config a").first).to_be_focused()
    sign(page, review, "Reproduced from the same inputs.")
    expect(page.get_by_text("Signed. The approval is issued once")).to_be_visible()
    expect(page.get_by_role("button", name="Sign this decision")).to_have_count(0)
    assert Vote.objects.get().voter == people.validator
    page = signed_in(open_page, people.risk_officer)
    page.get_by_role("link", name="Reviews").first.click()
    page.get_by_role("link", name="scores v1").first.click()
    expect(page.get_by_text("Reproduced from the same inputs.")).to_be_visible()
    sign(page, review, "Accepted for the stated use.")
    expect(page.get_by_role("heading", name="Approval certificate")).to_be_visible()
    approval = Approval.objects.get()
    expect(page.locator(".decision")).to_contain_text(approval.subject_digest[:12])
    page.get_by_role("link", name="The model version").click()
    expect(page.locator(".verdict-headline")).to_contain_text("Approved until")


def test_the_builder_sees_why_not_and_who_can(open_page: Open, people: People, review: Review):
    page = open_page(people.engineer, reverse("review", args=[review.pk]))
    panel = page.locator(".decision")
    expect(panel).to_contain_text("You had a hand in this model")
    expect(panel).to_contain_text("Eligible: Rosa Risk, Vera Validator")
    expect(page.get_by_label("Your password, again")).to_have_count(0)


def test_deciding_works_without_script_on_a_phone(open_page: Open, people: People, review: Review):
    page = signed_in(open_page, people.validator, width=PHONE, scheme="dark", script=False)
    page.locator("#waiting").get_by_role("link", name="scores v1").click()
    page.get_by_role("link", name="Decide").click()
    sign(page, review, "Read on the way.")
    expect(page.get_by_text("Signed. The approval is issued once")).to_be_visible()


def test_every_page_fits_a_phone_and_keeps_the_policy(open_page: Open, people: People, review: Review):
    version = review.model_version
    address = reverse("model-version", args=[version.pk])
    paths = [
        "/",
        *(reverse(name) for name in ("systems", "models", "reviews", "people", "audit", "settings")),
        reverse("system", args=["credit"]),
        reverse("model", args=[version.model_id]),
        *(f"{address}?tab={tab}" for tab in TABS),
        reverse("review", args=[review.pk]),
        reverse("evidence", args=[version.artifact.evidence.first().pk]),
        reverse("lineage", args=[version.artifact_id]),
        reverse("audit-event", args=[1]),
    ]
    page = open_page(people.admin, paths[0], width=PHONE, scheme="dark")
    for path in paths:
        page.goto(page.url.split("/", 3)[0] + "//" + page.url.split("/")[2] + path)
        assert fits(page), path


@pytest.mark.parametrize("width", [DESK, PHONE])
@pytest.mark.parametrize("script", [True, False])
def test_a_lineage_opens_with_what_was_asked_for_in_view(
    open_page: Open, people: People, review: Review, width: int, script: bool
):
    address = reverse("lineage", args=[review.model_version.artifact_id])
    page = open_page(people.validator, address, width=width, script=script)
    page.wait_for_load_state("load")
    frame = page.locator(".picture-frame")
    box = frame.locator(".node.selected")
    if not script:
        page.get_by_role("link", name="Show scores v1").click()
    around, asked = frame.bounding_box(), box.bounding_box()
    assert around is not None
    assert asked is not None
    assert around["x"] <= asked["x"]
    assert asked["x"] + asked["width"] <= around["x"] + around["width"]
    assert page.evaluate("document.querySelector('.picture-frame svg').clientWidth") > around["width"]
