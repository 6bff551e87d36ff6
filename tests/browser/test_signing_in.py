"""Signing in with a second factor in a real browser, with an authenticator that Chromium plays (CDP WebAuthn)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from governance.services.reviews import submit
from security.identity import second_factor
from tests.browser.conftest import DESK, PHONE, Open, fits, follow
from tests.security.identity.test_second_factor import code_of, enrol_totp
from tests.support.models import make_model_version
from tests.support.people import PASSWORD, People

pytestmark = pytest.mark.browser
SHOTS = os.environ.get("COUNTERSIGN_SHOTS")


def shot(page: Page, name: str) -> None:
    """A picture of the page for people, where a folder for them is named."""
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


def with_a_device(page: Page) -> None:
    """Give this browser a platform authenticator whose user is always verified."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def give_password(page: Page, username: str) -> None:
    page.fill("input[name=username]", username)
    page.fill("input[name=password]", PASSWORD)
    follow(page, page.get_by_role("button", name="Sign in"))


def test_a_passkey_is_made_signs_in_and_signs_a_decision(open_page: Open, site: str, people: People):
    review = submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))
    page = open_page(None, reverse("sign-in"))
    with_a_device(page)
    give_password(page, "vera")
    page.goto(site + reverse("second-factor"))
    passkey = page.locator("form[data-passkey=create]")
    passkey.locator("input[name=password]").fill(PASSWORD)
    follow(page, passkey.get_by_role("button", name="Make a passkey"))
    expect(page.get_by_text("The passkey is enrolled.")).to_be_visible()
    expect(page.locator(".recovery li")).to_have_count(10)
    assert second_factor.is_enrolled(people.validator)

    follow(page, page.get_by_role("button", name="Sign out").locator("visible=true").first)
    give_password(page, "vera")
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    follow(page, page.get_by_role("button", name="Use a passkey"))
    expect(page.get_by_role("heading", level=1)).to_be_visible()

    page.goto(site + reverse("review", args=[review.pk]))
    form = page.locator("#decision form[data-passkey=get]").first
    form.locator("input[name=decision][value=approve]").check()
    form.locator("textarea[name=reason]").fill("Checked.")
    form.locator("input[name=password]").fill(PASSWORD)
    follow(page, form.get_by_role("button", name="Sign with a passkey"))
    assert review.votes.get().method == "password+passkey"


def test_the_app_is_enrolled_from_its_picture_without_a_script(open_page: Open, site: str, people: People):
    page = open_page(None, reverse("sign-in"), script=False)
    give_password(page, "vera")
    page.goto(site + reverse("second-factor"))
    assert page.locator("img.qr").evaluate("picture => picture.naturalWidth", timeout=5000) > 100
    secret = page.locator("#app copy-text").get_attribute("value")
    form = page.locator("#app form")
    form.locator("input[name=code]").fill(code_of(secret))
    form.locator("input[name=password]").fill(PASSWORD)
    follow(page, form.get_by_role("button", name="Enrol the app"))
    expect(page.get_by_text("The authenticator app is enrolled.")).to_be_visible()


@pytest.mark.parametrize("width", [DESK, PHONE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_fit_and_break_no_policy(open_page: Open, people: People, settings, width: int, scheme: str):
    settings.REQUIRE_MFA = True
    settings.WORKLOAD_ISSUERS = {"github": {"kind": "github", "issuer": "https://token.actions.githubusercontent.com"}}
    settings.WORKLOAD_AUDIENCE = "https://countersign.example.org"
    enrol_totp(people.owner)
    places = {
        "settings": (people.validator, reverse("settings")),
        "second-factor": (people.validator, reverse("second-factor")),
        "second-factor-enrolled": (people.owner, reverse("second-factor")),
        "person": (people.admin, reverse("person", args=[people.validator.pk])),
        "workloads": (people.admin, reverse("workloads", args=["credit"])),
        "sign-in": (None, reverse("sign-in")),
    }
    for name, (user, path) in places.items():
        page = open_page(user, path, width=width, scheme=scheme)
        assert fits(page), name
        shot(page, f"{name}-{scheme}-{width}")
    page = open_page(None, reverse("sign-in"), width=width, scheme=scheme)
    give_password(page, "olga")
    assert fits(page)
    shot(page, f"second-step-{scheme}-{width}")
