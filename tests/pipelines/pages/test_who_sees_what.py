"""Every page × owner, colleague, outsider, anonymous: what one may not see does not exist; nobody is let in unasked."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from pipelines.models import DatasetVersion, PipelineVersion, Run
from tests.pipelines.pages.conftest import Login
from tests.support.people import People

LISTS = ("pipelines", "runs", "datasets")


def pages(run: Run) -> dict[str, str]:
    """Each page about one thing, by name."""
    output = run.steps.get(name="first").outputs.get()
    return {
        "pipeline": reverse("pipeline", args=[run.version.pipeline_id]),
        "pipeline-version": reverse("pipeline-version", args=[run.version_id]),
        "pipeline-compare": reverse("pipeline-compare", args=[run.version.pipeline_id]),
        "run": reverse("run", args=[run.pk]),
        "step": reverse("step", args=[run.pk, "first"]),
        "artifact": reverse("artifact", args=[output.artifact_id]),
        "dataset-version": reverse("dataset-version", args=[DatasetVersion.objects.earliest("created_at").pk]),
    }


def test_an_owner_and_a_colleague_see_every_page(people: People, done: Run, login: Login):
    for person in (people.engineer, people.second_engineer, people.owner, people.risk_officer, people.auditor):
        client = login(person)
        answers = {name: client.get(url).status_code for name, url in pages(done).items()}
        assert set(answers.values()) == {200}, (person.username, answers)


def test_for_an_outsider_nothing_exists(people: People, done: Run, login: Login):
    for person in (people.outsider, people.nobody):
        client = login(person)
        for name, url in pages(done).items():
            answer = client.get(url)
            assert answer.status_code == 404, (person.username, name)
            assert "small" not in answer.content.decode().lower().replace('class="small', "")
        for name in ("run-live", "run-new", "artifact-content"):
            key = {"run-live": done.pk, "run-new": done.version_id}.get(name) or _artifact(done)
            assert client.get(reverse(name, args=[key])).status_code == 404
        for name in ("run-cancel", "run-retry"):
            assert client.post(reverse(name, args=[done.pk])).status_code == 404


def test_lists_hold_nothing_of_other_systems(people: People, done: Run, login: Login):
    client = login(people.outsider)
    for name in LISTS:
        answer = client.get(reverse(name))
        assert answer.status_code == 200
        assert answer.context["page"].paginator.count == 0


def test_anonymous_readers_are_sent_to_sign_in(done: Run, client: Client):
    everything = [*pages(done).values(), *(reverse(name) for name in LISTS), reverse("pipeline-new")]
    for url in everything:
        answer = client.get(url)
        assert answer.status_code == 302
        assert answer["Location"].startswith("/sign-in/?next=")
    for name in ("run-cancel", "run-retry"):
        assert client.post(reverse(name, args=[done.pk])).status_code == 302


def test_a_poll_without_a_session_is_401_so_that_the_page_reloads_itself(done: Run, client: Client):
    assert client.get(reverse("run-live", args=[done.pk])).status_code == 401
    assert client.get(reverse("step-live", args=[done.pk, "first"])).status_code == 401


@pytest.mark.parametrize("who", ["risk_officer", "owner", "auditor", "validator"])
def test_who_may_not_run_is_told_why_and_who_can(people: People, done: Run, login: Login, who: str):
    client = login(getattr(people, who))
    page = client.get(reverse("pipeline", args=[done.version.pipeline_id])).content.decode()
    assert "needs the role engineer" in page
    assert "Erin Engineer" in page
    assert reverse("run-new", args=[done.version_id]) not in page
    assert client.get(reverse("run-new", args=[done.version_id])).status_code == 403
    assert client.post(reverse("run-new", args=[done.version_id]), {"seed": 1}).status_code == 403
    assert Run.objects.count() == 1


def test_a_forged_form_changes_nothing(people: People, queued: Run):
    client = Client(enforce_csrf_checks=True)
    client.force_login(people.engineer)
    assert client.post(reverse("run-cancel", args=[queued.pk])).status_code == 403
    queued.refresh_from_db()
    assert queued.cancel_requested_at is None


def test_reading_does_not_change_and_changing_is_not_a_get(erin: Client, queued: Run):
    assert erin.get(reverse("run-cancel", args=[queued.pk])).status_code == 405
    assert erin.get(reverse("run-retry", args=[queued.pk])).status_code == 405
    assert erin.post(reverse("run", args=[queued.pk])).status_code == 405


def _artifact(run: Run) -> object:
    return run.steps.get(name="first").outputs.get().artifact_id


def test_an_empty_installation_says_what_each_list_is_for_and_how_to_fill_it(people: People, login: Login):
    client = login(people.engineer)
    pages = {name: client.get(reverse(name)).content.decode() for name in LISTS}
    assert "make demo" in pages["pipelines"]
    assert reverse("pipeline-new") in pages["pipelines"]
    assert all(reverse("pipelines") in pages[name] for name in ("runs", "datasets"))
    reader = login(people.auditor).get(reverse("pipelines")).content.decode()
    assert "An engineer of the system can" in reader
    assert reverse("pipeline-new") not in reader


def test_a_pipeline_that_never_ran_has_a_page(people: People, version: PipelineVersion, login: Login):
    client = login(people.engineer)
    assert "never run" in client.get(reverse("pipelines")).content.decode()
    assert "Not run yet" in client.get(reverse("pipeline", args=[version.pipeline_id])).content.decode()
