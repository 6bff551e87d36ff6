"""Lineage: what an artifact was made from, what came of it, and how many queries that costs."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pipelines.models import ModelVersion, StepInput, StepOutput, StepRun
from pipelines.selectors.lineage import Lineage, ancestry, graph, upstream_artifacts
from security.access.models import AISystem
from security.canonical import urn
from security.vault.models import Artifact
from tests.support.engine import run_spec
from tests.support.models import make_model_version, make_run, make_step, store
from tests.support.people import People

SPEC = """
apiVersion: countersign/v1
kind: Pipeline
metadata: {name: tiny, title: Tiny}
steps:
  - {name: load, uses: extract.csv@1, with: {path: tiny.csv}}
  - {name: train, uses: train.sklearn@1, inputs: {table: load.table},
     with: {target: label, estimator: logistic_regression}}
  - {name: register, uses: register.model@1, inputs: {model: train.model, training: train.report},
     with: {model: tiny}}
"""


def kinds(found: Lineage) -> dict[str, int]:
    counts: dict[str, int] = {}
    for node in found.nodes:
        counts[node.kind] = counts.get(node.kind, 0) + 1
    return counts


def bare_artifacts(system: AISystem, count: int) -> list[Artifact]:
    """Rows without bytes: lineage reads none."""
    return Artifact.objects.bulk_create(
        Artifact(
            system=system,
            digest=f"{n:064x}",
            size=1,
            media_type="x",
            object_name=f"o{n}",
            object_sha256="0" * 64,
            object_size=1,
            key_id="k",
            wrapped_key=b"",
        )
        for n in range(count)
    )


def test_a_real_run_leads_from_the_source_file_to_the_model_and_its_evidence(people: People, data_root):
    rows = "\n".join(f"{i},{i % 7},{int(i % 7 > 3)}" for i in range(200))
    (data_root / "tiny.csv").write_text(f"a,b,label\n{rows}\n")
    for _ in range(2):  # the second run reuses every step and adds no producer
        run_spec(SPEC, user=people.engineer, system=people.system)
    version = ModelVersion.objects.get()
    up = graph(version.artifact, "up")
    assert kinds(up) == {"model": 1, "dataset": 1, "source": 1, "step": 2, "evidence": 1}
    labels = {node.kind: node.label for node in up.nodes}
    assert (labels["source"], labels["dataset"], labels["model"]) == ("tiny.csv", "tiny/load.table v1", "tiny v1")
    source = next(node for node in up.nodes if node.kind == "source")
    down = graph(Artifact.objects.get(digest=source.digest), "down")
    assert urn("artifact", version.artifact_id) in {node.id for node in down.nodes}
    assert not up.truncated
    assert len(ancestry(version).artifacts) == 3
    assert sorted(ancestry(version).data.values()) == ["source", "table"]


def test_every_edge_joins_two_nodes_of_the_graph(people: People):
    version = make_model_version(people.system, people.engineer)
    found = graph(version.artifact)
    ids = {node.id for node in found.nodes}
    assert len(ids) == len(found.nodes)
    assert {end for edge in found.edges for end in (edge.source, edge.target)} <= ids
    assert set(found.as_json()["edges"][0]) == {"from", "to", "role"}


def test_a_reused_step_is_shown_as_the_step_that_it_reuses(people: People):
    version = make_model_version(people.system, people.engineer)
    before = graph(version.artifact)
    run = make_run(people.system, people.second_engineer)
    for step in StepRun.objects.filter(run=version.step_run.run, name__in=["load", "train"]):
        inputs = {row.port: row.artifact for row in step.inputs.all()}
        outputs = {row.port: (row.kind, row.artifact) for row in step.outputs.all()}
        make_step(run, step.name, inputs=inputs, outputs=outputs, reused_from=step)
    after = graph(version.artifact)
    assert {node.id for node in after.nodes} == {node.id for node in before.nodes}


def test_depth_limits_the_walk_and_says_that_there_is_more(people: People):
    artifacts = bare_artifacts(people.system, 5)
    run = make_run(people.system, people.engineer)
    for number in range(4):
        made = {"out": ("report", artifacts[number + 1])}
        make_step(run, f"s{number}", inputs={"in": artifacts[number]}, outputs=made)
    near = graph(artifacts[4], "up", depth=2)
    assert kinds(near) == {"report": 3, "step": 2}
    assert near.truncated
    assert not graph(artifacts[4], "up", depth=4).truncated
    assert kinds(graph(artifacts[0], "up", depth=4)) == {"report": 1}
    both = graph(artifacts[2], "both", depth=1)
    assert kinds(both) == {"report": 3, "step": 2}
    assert both.truncated


def test_a_cycle_by_equal_content_ends(people: People):
    """Two steps that undo each other give back the same bytes."""
    first, second = bare_artifacts(people.system, 2)
    run = make_run(people.system, people.engineer)
    make_step(run, "there", inputs={"in": first}, outputs={"out": ("report", second)})
    make_step(run, "back", inputs={"in": second}, outputs={"out": ("report", first)})
    assert kinds(graph(first)) == {"report": 2, "step": 2}
    assert upstream_artifacts(first) == {first.pk, second.pk}


@pytest.mark.parametrize("width", [3, 60])
def test_the_number_of_queries_does_not_grow_with_the_number_of_nodes(people: People, width):
    top, *middle, end = bare_artifacts(people.system, width + 2)
    run = make_run(people.system, people.engineer)
    make_step(run, "fan", inputs={"in": top}, outputs={f"o{n}": ("table", a) for n, a in enumerate(middle)})
    make_step(run, "join", inputs={f"i{n}": a for n, a in enumerate(middle)}, outputs={"out": ("report", end)})
    with CaptureQueriesContext(
        connection,
    ) as captured:
        found = graph(end, "up")
    assert len(found.nodes) == width + 4
    assert len(captured) == 10


def test_ten_thousand_nodes(people: People):
    artifacts = bare_artifacts(people.system, 5001)
    run = make_run(people.system, people.engineer)
    steps = StepRun.objects.bulk_create(
        StepRun(run=run, name=f"s{n}", uses="x@1", position=n, timeout_seconds=1, memory_bytes=1, state="succeeded")
        for n in range(5000)
    )
    StepInput.objects.bulk_create(StepInput(step_run=s, port="in", artifact=artifacts[0]) for s in steps)
    StepOutput.objects.bulk_create(
        StepOutput(step_run=s, port="out", kind="table", artifact=a) for s, a in zip(steps, artifacts[1:], strict=True)
    )
    found = graph(artifacts[0], "down")
    assert kinds(found) == {"report": 1, "dataset": 5000, "step": 5000}
    assert len(upstream_artifacts(artifacts[4000])) == 2


def test_another_systems_equal_content_is_another_artifact(people: People):
    version = make_model_version(people.system, people.engineer, content=b"same")
    other = make_model_version(people.other, people.outsider, content=b"same")
    assert version.artifact.digest == other.artifact.digest
    assert not {node.id for node in graph(version.artifact).nodes} & {node.id for node in graph(other.artifact).nodes}


def test_a_source_that_is_also_somebodys_output_leads_on(people: People):
    """A table that was taken out of one pipeline and read by another."""
    run, reader = make_run(people.system, people.engineer), make_run(people.system, people.engineer, name="reader")
    first, table, last = (store(people.system, content) for content in (b"first", b"table", b"last"))
    make_step(run, "write", inputs={"file": first}, outputs={"table": ("table", table)}, origin="first.csv")
    make_step(reader, "read", inputs={"file": table}, outputs={"table": ("table", last)}, origin="table.parquet")
    assert upstream_artifacts(last) == {first.pk, table.pk, last.pk}
