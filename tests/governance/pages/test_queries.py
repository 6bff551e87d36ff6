"""The number of queries of a page does not grow with what is on it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from governance.models import Condition, Review, Vote
from governance.services.reviews import submit
from governance.views.models import TABS
from pipelines.models import StepRun
from tests.governance.pages.conftest import Login
from tests.support.models import HIGH, add_evidence, make_model_version
from tests.support.people import People
from tests.support.reviews import approve

FEW, MANY = 3, 30


def queries(client: Client, url: str) -> int:
    client.get(url)  # what is read once per process
    cache.clear()
    with CaptureQueriesContext(connection) as seen:
        assert client.get(url).status_code == 200
    return len(seen)


def models(people: People, start: int, stop: int) -> None:
    """Models in review, one version each."""
    for number in range(start, stop):
        version = make_model_version(people.system, people.engineer, name=f"model-{number}")
        submit(acting_user=people.engineer, model_version=version)


def versions(people: People, start: int, stop: int) -> None:
    for _ in range(start, stop):
        make_model_version(people.system, people.engineer)


def evidence(people: People, start: int, stop: int) -> None:
    """More results on the version in review, superseding and beside each other."""
    version = Review.objects.earliest("submitted_at").model_version
    train = StepRun.objects.get(run=version.step_run.run, name="train")
    for number in range(start, stop):
        add_evidence(train, HIGH[number % len(HIGH)], version.artifact, n=number + 1)
        add_evidence(train, f"more_{number}", version.artifact, n=number + 1)


def conditions(people: People, start: int, stop: int) -> None:
    """Conditions of an approval, on the review that gave it."""
    vote = Vote.objects.first()
    due = timezone.now() + timedelta(days=2)
    rows = [
        Condition(review=vote.review, vote=vote, number=n, text="Do it.", owner=people.owner, due_at=due)
        for n in range(start, stop)
    ]
    Condition.objects.bulk_create(rows)


CASES: dict[str, tuple[Callable[[People, int, int], None], Callable[[Review], str]]] = {
    "models": (models, lambda review: reverse("models")),
    "reviews": (models, lambda review: reverse("reviews")),
    "model": (versions, lambda review: reverse("model", args=[review.model_version.model_id])),
    "review": (evidence, lambda review: reverse("review", args=[review.pk])),
    "review with conditions": (conditions, lambda review: reverse("review", args=[review.pk])),
    "version with conditions": (conditions, lambda review: reverse("model-version", args=[review.model_version_id])),
    "lineage": (evidence, lambda review: reverse("lineage", args=[review.model_version.artifact_id])),
    **{
        f"version, {tab}": (
            evidence,
            lambda review, tab=tab: reverse("model-version", args=[review.model_version_id]) + f"?tab={tab}",
        )
        for tab in TABS
    },
}


@pytest.mark.parametrize("case", CASES)
def test_a_page_takes_as_many_queries_for_thirty_rows_as_for_three(
    people: People, review: Review, login: Login, case: str
):
    fill, url = CASES[case]
    if fill is conditions:
        approve(people, review)
    client = login(people.validator)
    fill(people, 0, FEW)
    few = queries(client, url(review))
    fill(people, FEW, MANY)
    assert queries(client, url(review)) <= few  # fewer where what supersedes a result brings no report to be read
    assert few <= 64
