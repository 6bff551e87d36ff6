"""An engineer registers a pipeline, starts it and watches it finish, in a browser."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from django.db import connections
from django.urls import reverse
from playwright.sync_api import expect

from pipelines.models import Run
from tests.browser.conftest import DESK, PHONE, Open, fits, follow
from tests.support.engine import drain
from tests.support.people import People

pytestmark = pytest.mark.browser

SPEC = """\
apiVersion: countersign/v1
kind: Pipeline
metadata: {name: watched, title: Watched}
parameters:
  seconds: {type: number, default: 3, description: how long the middle takes}
steps:
  - name: begin
    uses: test.misbehave@1
    with: {how: work}
  - name: middle
    uses: test.misbehave@1
    inputs: {table: begin.table}
    with: {how: sleep, amount: "${seconds}"}
  - name: end
    uses: test.misbehave@1
    inputs: {table: middle.table}
    with: {how: work}
"""


def work_off(run: Run) -> threading.Thread:
    """A worker: a thread that executes the run's steps."""

    def work() -> None:
        try:
            drain(run)
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_specification_is_uploaded_run_and_watched_to_its_end(open_page: Open, people: People, tmp_path: Path):
    spec = tmp_path / "watched.yaml"
    spec.write_text(SPEC)
    page = open_page(people.engineer, reverse("pipelines"))
    page.get_by_role("link", name="Register a pipeline").first.click()
    page.get_by_label("A file").set_input_files(spec)
    page.get_by_role("button", name="Check and register").click()
    expect(page.get_by_text("watched version 1 is registered")).to_be_visible()
    page.get_by_role("link", name="Run it").click()
    expect(page.get_by_label("seconds")).to_have_value("3")
    page.get_by_role("button", name="Start the run").click()
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()

    worker = work_off(Run.objects.get())
    try:
        middle = page.locator("svg.graph .node[data-id=middle]")
        expect(page.locator("#run-state")).to_have_text("Running")
        expect(middle).to_have_class("node kind-step state-running")
        expect(page.get_by_text("sleeping")).to_be_visible()
        expect(page.locator("progress")).to_have_count(2)  # of the run, and of the step
        page.reload()
        expect(page.locator("#run-state")).to_have_text("Running")
        middle.locator("a").focus()
        expect(page.locator("#run-state")).to_have_text("Succeeded")
    finally:
        worker.join()
    expect(page.get_by_text("All 3 steps are done.")).to_be_visible()
    expect(page.locator("svg.graph .state-succeeded")).to_have_count(3)
    expect(page.locator("[hx-trigger]")).to_have_count(0)
    assert page.evaluate("document.activeElement.getAttribute('href')").endswith("/steps/middle/")  # the focus stayed
    assert "succeeded" in page.title()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="middle")).to_be_visible()


def test_errors_stand_beside_the_text_which_is_mended_where_it_is(open_page: Open, people: People, tmp_path: Path):
    spec = tmp_path / "wrong.yaml"
    spec.write_text(SPEC.replace("begin.table", "begn.table"))
    page = open_page(people.engineer, reverse("pipeline-new"))
    page.get_by_label("A file").set_input_files(spec)
    page.get_by_role("button", name="Check and register").click()
    expect(page.locator(".listing .wrong")).to_have_count(1)
    text = page.get_by_label("or its text")
    expect(text).to_have_value(spec.read_text())
    text.fill(SPEC)
    page.get_by_role("button", name="Check and register").click()
    expect(page.get_by_text("watched version 1 is registered")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone_and_work_without_a_script(open_page: Open, site: str, people: People, scheme: str):
    page = open_page(people.engineer, reverse("pipeline-new"), width=PHONE, scheme=scheme, script=False)
    page.get_by_label("or its text").fill(SPEC.replace("default: 3", "default: 0.1"))
    assert fits(page)
    follow(page, page.get_by_role("button", name="Check and register"))
    assert fits(page)
    follow(page, page.get_by_role("link", name="Run it"))
    assert fits(page)
    follow(page, page.get_by_role("button", name="Start the run"))
    run = Run.objects.get()
    work_off(run).join()
    page.reload()
    expect(page.get_by_text("All 3 steps are done.")).to_be_visible()
    for path in (*map(reverse, ("pipelines", "runs", "datasets")), *_pages_of(run)):
        page.goto(site + path)
        assert fits(page), path


def _pages_of(run: Run) -> list[str]:
    step = run.steps.get(name="middle")
    output = step.outputs.get()
    return [
        reverse("pipeline", args=[run.version.pipeline_id]),
        reverse("pipeline-version", args=[run.version_id]),
        reverse("step", args=[run.pk, step.name]),
        reverse("artifact", args=[output.artifact_id]),
        reverse("dataset-version", args=[output.artifact.dataset_versions.get().pk]),
    ]


def test_cancelling_from_the_page_stops_a_running_step(open_page: Open, people: People):
    page = open_page(people.engineer, reverse("pipeline-new"), width=DESK)
    page.get_by_label("or its text").fill(SPEC.replace("default: 3", "default: 60"))
    page.get_by_role("button", name="Check and register").click()
    page.get_by_role("link", name="Run it").click()
    page.get_by_role("button", name="Start the run").click()
    worker = work_off(Run.objects.get())
    expect(page.locator("#run-state")).to_have_text("Running")
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.locator("#run-state")).to_have_text("Cancelled")
    worker.join(timeout=20)
    assert not worker.is_alive()
    expect(page.get_by_role("button", name="Retry from the failed step")).to_be_visible()
