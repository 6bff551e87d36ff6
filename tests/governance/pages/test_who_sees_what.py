"""Every page × owner, colleague, outsider, anonymous: what one may not see does not exist; nobody is let in unasked."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from governance.models import Approval, Review
from governance.views.models import TABS
from tests.governance.pages.conftest import Login
from tests.support.people import People

LISTS = ("models", "reviews")


def pages(review: Review) -> dict[str, str]:
    version = review.model_version
    evidence = version.artifact.evidence.first()
    address = reverse("model-version", args=[version.pk])
    return {
        "model": reverse("model", args=[version.model_id]),
        "review": reverse("review", args=[review.pk]),
        "evidence": reverse("evidence", args=[evidence.pk]),
        "lineage": reverse("lineage", args=[version.artifact_id]),
        "lineage as data": reverse("lineage", args=[version.artifact_id]) + "?format=json",
        **{f"version, {tab}": f"{address}?tab={tab}" for tab in TABS},
    }


def test_everybody_with_a_role_sees_every_page(people: People, approval: Approval, login: Login):
    for person in (people.engineer, people.second_engineer, people.owner, people.risk_officer, people.auditor):
        client = login(person)
        answers = {name: client.get(url).status_code for name, url in pages(approval.review).items()}
        assert set(answers.values()) == {200}, (person.username, answers)


def test_for_an_outsider_nothing_exists(people: People, approval: Approval, login: Login):
    review = approval.review
    posts = {
        "review-vote": review.pk,
        "review-withdraw": review.pk,
        "approval-revoke": approval.pk,
        "model-submit": review.model_version_id,
        "model-bundle": review.model_version_id,
    }
    for person in (people.outsider, people.nobody):
        client = login(person)
        for name, url in pages(review).items():
            answer = client.get(url)
            assert answer.status_code == 404, (person.username, name)
            assert "tiny" not in answer.content.decode()
        for name, key in posts.items():
            assert client.post(reverse(name, args=[key])).status_code == 404, (person.username, name)


def test_lists_hold_nothing_of_other_systems(people: People, review: Review, login: Login):
    client = login(people.outsider)
    for name in LISTS:
        answer = client.get(reverse(name))
        assert answer.status_code == 200
        assert answer.context["page"].paginator.count == 0
        assert "tiny" not in answer.content.decode()


def test_anonymous_readers_are_sent_to_sign_in(review: Review, client: Client):
    for url in [*pages(review).values(), *(reverse(name) for name in LISTS)]:
        answer = client.get(url)
        assert answer.status_code == 302
        assert answer["Location"].startswith("/sign-in/?next=")
    for name in ("review-vote", "review-withdraw"):
        assert client.post(reverse(name, args=[review.pk])).status_code == 302


def test_reading_does_not_change_and_changing_is_not_a_get(people: People, approval: Approval, login: Login):
    client, review = login(people.validator), approval.review
    for name, key in {
        "review-vote": review.pk,
        "review-withdraw": review.pk,
        "approval-revoke": approval.pk,
        "model-bundle": review.model_version_id,
    }.items():
        assert client.get(reverse(name, args=[key])).status_code == 405, name
    assert client.post(reverse("review", args=[review.pk])).status_code == 405


@pytest.mark.parametrize("who", ["risk_officer", "validator", "auditor"])
def test_who_may_not_submit_is_told_why_and_who_can(people: People, version, login: Login, who: str):
    client = login(getattr(people, who))
    page = client.get(reverse("model-version", args=[version.pk])).content.decode()
    assert "“review.submit” in credit needs the role engineer or owner or service." in page
    assert "Erin Engineer" in page
    assert reverse("model-submit", args=[version.pk]) not in page
    answer = client.post(reverse("model-submit", args=[version.pk]), {"note": "please"})
    assert answer.status_code == 403
    assert not Review.objects.exists()


def test_a_risk_officer_reads_the_pictures_but_not_the_report_itself(people: People, version, login: Login):
    evidence = version.artifact.evidence.first()
    url = reverse("evidence", args=[evidence.pk])
    client = login(people.risk_officer)
    assert "“artifact.read” in credit needs the role" in client.get(url).content.decode()
    assert client.get(url + "?show=report").status_code == 403
    shown = login(people.validator).get(url + "?show=report")
    assert shown.status_code == 200
    assert "&quot;seed&quot;" in shown.content.decode()


def test_the_bundle_is_for_those_who_may_export(people: People, version, login: Login):
    url = reverse("model-bundle", args=[version.pk])
    assert login(people.engineer).post(url).status_code == 403
    answer = login(people.auditor).post(url)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/zip"
    assert b"".join(answer.streaming_content).startswith(b"PK")
