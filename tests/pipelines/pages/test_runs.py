"""Starting, watching, cancelling and retrying runs on the pages."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from pipelines.models import PipelineVersion, Run, StepState
from pipelines.services import registration, runs
from tests.pipelines.pages.conftest import Login
from tests.support.engine import drain
from tests.support.people import People

TYPED = """\
apiVersion: countersign/v1
kind: Pipeline
metadata: {name: typed, title: Typed}
parameters:
  how: {type: string, default: work, choices: [work, refuse], description: what to do}
  amount: {type: number, description: how much}
  bytes: {type: integer, default: 7}
steps:
  - name: only
    uses: test.misbehave@1
    with: {how: "${how}", amount: "${amount}", marker: "/dev/null"}
  - name: other
    uses: test.misbehave@1
    with: {how: work, amount: "${bytes}"}
"""


@pytest.fixture
def typed(people: People) -> PipelineVersion:
    return registration.register(acting_user=people.engineer, system=people.system, text=TYPED).version


def test_the_form_has_types_defaults_and_choices_of_the_specification(erin: Client, typed: PipelineVersion):
    form = erin.get(reverse("run-new", args=[typed.pk])).context["form"]
    assert form.fields["param-how"].choices == [("work", "work"), ("refuse", "refuse")]
    assert form["param-how"].value() == "work"
    assert form["param-bytes"].value() == "7"
    assert form.fields["param-amount"].required
    assert form["seed"].value() == 1


def test_a_run_starts_with_typed_parameters_and_its_page_says_so(erin: Client, typed: PipelineVersion):
    given = {"param-how": "work", "param-amount": "2.5", "param-bytes": "", "seed": "42"}
    answer = erin.post(reverse("run-new", args=[typed.pk]), given)
    run = Run.objects.get()
    assert answer["Location"] == reverse("run", args=[run.pk])
    assert run.parameters == {"how": "work", "amount": 2.5, "bytes": 7}
    assert run.seed == 42
    assert "Run 1 of typed is queued" in erin.get(answer["Location"]).content.decode()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"param-amount": "much", "seed": "1"}, "param-amount"),
        ({"seed": "1"}, "param-amount"),
        ({"param-amount": "nan", "seed": "1"}, "param-amount"),
        ({"param-amount": "1", "param-bytes": "1.5", "seed": "1"}, "param-bytes"),
        ({"param-amount": "1", "param-how": "explode", "seed": "1"}, "param-how"),
        ({"param-amount": "1", "seed": "-1"}, "seed"),
        ({"param-amount": "1", "seed": str(2**31)}, "seed"),
        ({"param-amount": "1", "seed": "one"}, "seed"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_nothing_runs(erin: Client, typed: PipelineVersion, given, field):
    answer = erin.post(reverse("run-new", args=[typed.pk]), given)
    assert answer.status_code == 422
    assert field in answer.context["form"].errors
    assert Run.objects.count() == 0


def test_running_again_begins_with_the_same_parameters(erin: Client, failed: Run):
    form = erin.get(reverse("run-new", args=[failed.version_id]), {"like": failed.pk}).context["form"]
    assert form["param-how"].value() == "refuse"


def test_a_waiting_run_polls_and_a_finished_one_does_not(erin: Client, queued: Run):
    url = reverse("run", args=[queued.pk])
    assert 'hx-trigger="every 1s"' in erin.get(url).content.decode()
    drain(queued)
    page = erin.get(url).content.decode()
    assert "hx-trigger" not in page
    assert "All 2 steps are done" in page


def test_a_poll_answers_only_when_something_moved(erin: Client, queued: Run):
    live = reverse("run-live", args=[queued.pk])
    seen = erin.get(live).context["seen"]
    assert erin.get(live, {"seen": seen}).status_code == 204
    drain(queued)
    answer = erin.get(live, {"seen": seen})
    assert answer.status_code == 200
    part = answer.content.decode()
    assert "hx-trigger" not in part
    assert 'id="run-state" hx-swap-oob="true"' in part
    assert "state-succeeded" in part


def test_progress_shows_rows_rate_and_time_left(erin: Client, queued: Run):
    now = timezone.now()
    queued.steps.filter(name="first").update(
        state=StepState.RUNNING,
        started_at=now - timezone.timedelta(seconds=10),
        progress={"done": 500, "total": 2000, "note": "reading rows", "at": now.isoformat()},
    )
    page = erin.get(reverse("run", args=[queued.pk])).content.decode()
    assert "reading rows" in page
    assert "500 of 2,000 done" in page
    assert "50/s" in page
    assert "30.0 s left" in page
    assert "running · 25 %" in page
    assert "30.0 s left" in erin.get(reverse("step", args=[queued.pk, "first"])).content.decode()


def test_a_failed_step_says_what_where_and_what_would_be_right(erin: Client, failed: Run):
    page = erin.get(reverse("run", args=[failed.pk])).content.decode()
    assert "Column b is missing; there are a, c." in page
    assert "Stopped at first" in page
    assert reverse("run-retry", args=[failed.pk]) in page
    step = erin.get(reverse("step", args=[failed.pk, "first"])).content.decode()
    assert "<code>column</code>" in step
    assert "&quot;row&quot;: 3" in step
    assert "doing: refuse" in step


def test_cancelling_and_retrying(erin: Client, queued: Run):
    answer = erin.post(reverse("run-cancel", args=[queued.pk]), follow=True)
    assert "Cancelled: 0 of 2 steps were done" in answer.content.decode()
    again = erin.post(reverse("run-cancel", args=[queued.pk]), follow=True).content.decode()
    assert "there is nothing to cancel" in again
    erin.post(reverse("run-retry", args=[queued.pk]))
    queued.refresh_from_db()
    assert queued.is_open
    assert drain(queued).state == "succeeded"
    refused = erin.post(reverse("run-retry", args=[queued.pk]), follow=True).content.decode()
    assert "Only a failed or cancelled run can be retried" in refused


def test_who_may_not_cancel_or_retry_reads_why(people: People, queued: Run, failed: Run, login: Login):
    auditor = login(people.auditor)
    for run in (queued, failed):
        page = auditor.get(reverse("run", args=[run.pk])).content.decode()
        assert "needs the role engineer" in page
        assert '<form method="post" action="/runs' not in page
    assert auditor.post(reverse("run-cancel", args=[queued.pk])).status_code == 403
    assert auditor.post(reverse("run-retry", args=[failed.pk])).status_code == 403


def test_a_reused_step_points_to_the_run_that_did_it(people: People, erin: Client, done: Run):
    second = drain(runs.create(acting_user=people.engineer, version=done.version))
    page = erin.get(reverse("step", args=[second.pk, "first"])).content.decode()
    assert "Not executed again" in page
    assert reverse("step", args=[done.pk, "first"]) in page


def test_an_unknown_step_is_missing(erin: Client, done: Run):
    assert erin.get(reverse("step", args=[done.pk, "third"])).status_code == 404


def test_lists_filter_and_sort_and_bear_nonsense(erin: Client, done: Run, failed: Run):
    def numbers(**query: str) -> list[int]:
        return [run.number for run in erin.get(reverse("runs"), query).context["page"]]

    assert numbers() == [2, 1]
    assert numbers(sort="created_at") == [1, 2]
    assert numbers(state="failed") == [2]
    assert numbers(q="nothing like it") == []
    assert numbers(q="SMALL") == [2, 1]
    assert numbers(state="bogus", verdict="x", system="none", sort="password", page="-9", q="\0") == [2, 1]
    names = [row.name for row in erin.get(reverse("pipelines"), {"state": "failed"}).context["page"]]
    assert names == ["small"]
    assert list(erin.get(reverse("pipelines"), {"state": "queued"}).context["page"]) == []
