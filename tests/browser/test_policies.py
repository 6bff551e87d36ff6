"""Policies, drafts and waivers in a real browser: they fit, break no policy, and work without script."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from governance.policy import builtin
from governance.policymaking import services, texts
from governance.services.policies import publish_builtin
from governance.waivers import services as waivers
from security.access.services import grant_role
from security.access.table import Role
from tests.browser.conftest import DESK, PHONE, Open, fits, follow
from tests.support.models import make_model_version
from tests.support.people import PASSWORD, People

STRICTER = ("threshold: 0.6\n", "threshold: 0.99\n")


def shot(page: Page, name: str) -> None:
    """Keep a picture where ``COUNTERSIGN_SHOTS`` names a folder."""
    if folder := os.environ.get("COUNTERSIGN_SHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.mark.browser
@pytest.mark.parametrize("width", [DESK, PHONE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_fit_and_break_no_policy(open_page: Open, people: People, width: int, scheme: str):
    publish_builtin()
    maker = people.make("mara", "Mara Maker")
    grant_role(acting_user=people.admin, user=maker, role=Role.VALIDATOR)
    version = make_model_version(people.system, people.engineer)
    failing = make_model_version(people.system, people.engineer, name="weak", verdict="fail")
    draft = services.draft(acting_user=maker, text=texts.text_of(builtin("high")).replace(*STRICTER))
    given = {"part": "slice_metrics", "reason": "A group is small.", "control": "A clerk reads each case.", "days": 9}
    waiver = waivers.request(acting_user=people.engineer, model_version=failing, **given)
    places = {
        "policies": (maker, reverse("policies")),
        "draft": (maker, reverse("policy-draft", args=[draft.pk])),
        "draft-fields": (maker, reverse("policy-draft-fields", args=[draft.pk])),
        "draft-text": (maker, reverse("policy-draft-text", args=[draft.pk])),
        "system-policy": (people.risk_officer, reverse("system-policy", args=["credit"])),
        "waivers": (people.risk_officer, reverse("waivers")),
        "waiver": (people.risk_officer, reverse("waiver", args=[waiver.pk])),
        "waiver-new": (people.engineer, reverse("waiver-new", args=[failing.pk])),
        "rules": (people.validator, reverse("model-version", args=[version.pk])),
    }
    for name, (user, path) in places.items():
        page = open_page(user, path, width=width, scheme=scheme)
        assert fits(page), name
        shot(page, f"{name}-{scheme}-{width}")


@pytest.mark.browser
def test_a_waiver_is_decided_without_script_on_a_phone(open_page: Open, people: People):
    failing = make_model_version(people.system, people.engineer, verdict="fail")
    given = {"part": "slice_metrics", "reason": "A group is small.", "control": "A clerk reads each case.", "days": 9}
    waiver = waivers.request(acting_user=people.engineer, model_version=failing, **given)
    page = open_page(people.risk_officer, reverse("waiver", args=[waiver.pk]), width=PHONE, script=False)
    page.get_by_label("Approve: I accept the risk").check()
    page.locator("form.form textarea[name=reason]").first.fill("For nine days.")
    page.locator("form.form input[name=password]").first.fill(PASSWORD)
    follow(page, page.get_by_role("button", name="Sign this decision"))
    expect(page.locator("h1 .badge")).to_have_text("Active")
