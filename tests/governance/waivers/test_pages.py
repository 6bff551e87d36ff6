"""The pages and the API of waivers."""

from __future__ import annotations

from django.test import Client
from django.urls import reverse

from governance.waivers.models import Waiver
from tests.support.api import PROBLEM, Api
from tests.support.models import make_model_version
from tests.support.people import PASSWORD

PART = "holdout_metrics"
ASKED = {"part": PART, "reason": "A group is small.", "control": "A clerk reads each case.", "days": 10}
SIGNED = {"decision": "approve", "reason": "For ten days.", "password": PASSWORD}


def client_of(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_a_waiver_is_asked_for_decided_and_ended_on_the_pages(people):
    version = make_model_version(people.system, people.engineer, verdict="fail")
    engineer, officer = client_of(people.engineer), client_of(people.risk_officer)
    address = reverse("waiver-new", args=[version.pk])
    assert f"{address}?part={PART}" in engineer.get(reverse("model-version", args=[version.pk])).content.decode()
    made = engineer.post(address, {**ASKED, "owner": "olga"}, follow=True).content.decode()
    assert "Asked. A risk officer" in made
    waiver = Waiver.objects.get()
    assert waiver.owner == people.owner
    assert "needs the role risk officer" in made
    said = officer.post(reverse("waiver-decide", args=[waiver.pk]), SIGNED, follow=True).content.decode()
    assert "Active" in said
    page = officer.get(reverse("model-version", args=[version.pk])).content.decode()
    assert "1 waiver" in page
    assert f"{PART} until" in page
    assert PART in officer.get(reverse("waivers")).content.decode()
    ended = officer.post(
        reverse("waiver-end", args=[waiver.pk]), {"reason": "No longer.", "password": PASSWORD}, follow=True
    )
    assert "Revoked" in ended.content.decode()
    assert "1 waiver" not in officer.get(reverse("model-version", args=[version.pk])).content.decode()


def test_a_refusal_says_why_and_signs_nothing(people):
    version = make_model_version(people.system, people.engineer, verdict="fail")
    engineer = client_of(people.engineer)
    long = engineer.post(reverse("waiver-new", args=[version.pk]), {**ASKED, "days": 31})
    assert (long.status_code, Waiver.objects.count()) == (422, 0)
    assert "1 to 30 days" in long.content.decode()
    engineer.post(reverse("waiver-new", args=[version.pk]), ASKED)
    waiver = Waiver.objects.get()
    refused = client_of(people.validator).post(reverse("waiver-decide", args=[waiver.pk]), SIGNED)
    assert refused.status_code == 403
    assert "Nothing was signed." in refused.content.decode()
    assert Waiver.objects.get().state() == "requested"


def test_hostile_text_in_a_waiver_is_shown_as_text(people):
    version = make_model_version(people.system, people.engineer, verdict="fail")
    engineer = client_of(people.engineer)
    engineer.post(reverse("waiver-new", args=[version.pk]), {**ASKED, "reason": "<img src=x onerror=alert(1)>"})
    page = engineer.get(reverse("waiver", args=[Waiver.objects.get().pk])).content.decode()
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_the_same_through_the_api(people):
    version = make_model_version(people.system, people.engineer, verdict="fail")
    api, officer = Api(people.engineer), Api(people.risk_officer, session=True)
    made = api.post(f"model-versions/{version.pk}/waivers", ASKED)
    assert (made.status_code, made.json()["state"], made.json()["has_effect"]) == (201, "requested", False)
    path = f"waivers/{made.json()['id']}"
    assert Api(people.risk_officer).post(f"{path}/decide", SIGNED).status_code == 403  # a token signs nothing
    done = officer.post(f"{path}/decide", SIGNED)
    assert (done.status_code, done.json()["state"], done.json()["has_effect"]) == (200, "active", True)
    assert PASSWORD not in done.content.decode()
    review = api.post(f"model-versions/{version.pk}/submit", {}).json()
    gate = next(one for one in review["gates"] if one["kind"] == PART)
    assert (gate["waived"], gate["waivers"], gate["broken"]) == (True, [made.json()["id"]], [PART])
    assert (review["gates_waived"], review["gates_passed"]) == (1, 1)  # training_config asks for existence alone
    (line,) = api.get("waivers", system="credit").json()["results"]
    assert (line["part"], line["state"]) == (PART, "active")
    wrong = api.post(f"model-versions/{version.pk}/waivers", {**ASKED, "part": "nonsense"})
    assert (wrong.status_code, wrong["Content-Type"]) == (422, PROBLEM)
    ended = officer.post(f"{path}/end", {"reason": "No longer.", "password": PASSWORD})
    assert ended.json()["state"] == "revoked"
