"""The number of queries of a page does not grow with what is on it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from pipelines.models import Dataset, DatasetVersion, Evidence, PipelineVersion, Run, StepInput, StepRun
from pipelines.services import registration, runs
from tests.pipelines.pages.conftest import SMALL
from tests.support.people import People

FEW, MANY = 3, 30


def queries(client: Client, url: str) -> int:
    client.get(url)  # what is read once per process
    with CaptureQueriesContext(
        connection,
    ) as seen:
        assert client.get(url).status_code == 200
    return len(seen)


def versions(people: People, start: int, stop: int) -> None:
    for number in range(start, stop):
        text = SMALL.replace("amount: 1}", f"amount: {number}}}")
        registration.register(acting_user=people.engineer, system=people.system, text=text)


def pipelines(people: People, start: int, stop: int) -> None:
    for number in range(start, stop):
        text = SMALL.replace("name: small", f"name: small-{number}")
        made = registration.register(acting_user=people.engineer, system=people.system, text=text).version
        runs.create(acting_user=people.engineer, version=made)


def more_runs(people: People, start: int, stop: int) -> None:
    for _ in range(start, stop):
        runs.create(acting_user=people.engineer, version=PipelineVersion.objects.earliest("created_at"))


def uses(people: People, start: int, stop: int) -> None:
    """Runs that use one artifact, with datasets and evidence about it."""
    done = Run.objects.earliest("created_at").steps.get(name="first")
    artifact = done.outputs.get().artifact
    more_runs(people, start, stop)
    for number, step in enumerate(StepRun.objects.filter(name="second", inputs=None)):
        StepInput.objects.create(step_run=step, port="table", artifact=artifact)
        dataset = Dataset.objects.create(system=people.system, name=f"d{start}-{number}")
        columns = [{"name": f"c{column}", "type": "int64", "personal": False} for column in range(stop)]
        DatasetVersion.objects.create(
            dataset=dataset, number=1, artifact=artifact, step_run=done, rows=1, columns=columns
        )
        Evidence.objects.create(
            system=people.system,
            kind="data_profile",
            subject=artifact,
            step_run=step,
            uses=step.uses,
            verdict="pass",
            digest="0" * 64,
        )


CASES: dict[str, tuple[Callable[[People, int, int], None], Callable[[Run], str]]] = {
    "pipelines": (pipelines, lambda run: reverse("pipelines")),
    "runs": (more_runs, lambda run: reverse("runs")),
    "pipeline with runs": (more_runs, lambda run: reverse("pipeline", args=[run.version.pipeline_id])),
    "pipeline with versions": (versions, lambda run: reverse("pipeline", args=[run.version.pipeline_id])),
    "compare": (versions, lambda run: reverse("pipeline-compare", args=[run.version.pipeline_id])),
    "version": (more_runs, lambda run: reverse("pipeline-version", args=[run.version_id])),
    "datasets": (uses, lambda run: reverse("datasets")),
    "artifact": (uses, lambda run: reverse("artifact", args=[run.steps.get(name="first").outputs.get().artifact_id])),
    "dataset version": (
        uses,
        lambda run: reverse("dataset-version", args=[DatasetVersion.objects.earliest("created_at").pk]),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_page_takes_as_many_queries_for_thirty_rows_as_for_three(people: People, erin: Client, done: Run, case: str):
    fill, url = CASES[case]
    fill(people, 0, FEW)
    few = queries(erin, url(done))
    fill(people, FEW, MANY)
    assert queries(erin, url(done)) == few
    assert few <= 20


WIDE = """\
apiVersion: countersign/v1
kind: Pipeline
metadata: {{name: wide, title: Wide}}
steps:
{steps}"""


@pytest.mark.parametrize("name", ["run", "run-live"])
def test_a_run_takes_as_many_queries_for_thirty_steps_as_for_three(people: People, erin: Client, name: str):
    counts = set()
    for count in (FEW, MANY):
        steps = "".join(f"  - {{name: s{n}, uses: test.misbehave@1, with: {{how: work}}}}\n" for n in range(count))
        made = registration.register(acting_user=people.engineer, system=people.system, text=WIDE.format(steps=steps))
        run = runs.create(acting_user=people.engineer, version=made.version)
        counts.add(queries(erin, reverse(name, args=[run.pk])))
    assert len(counts) == 1
    assert counts.pop() <= 14
