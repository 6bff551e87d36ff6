"""What the pages say, on figures that a real run measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.urls import reverse

from governance.models import Review
from pipelines.models import Evidence, ModelVersion, StepRun
from security.canonical import canonical_json
from security.vault import services as vault
from tests.governance.pages.conftest import Login
from tests.support.engine import errors_of, run_spec
from tests.support.models import add_evidence, make_model_version, make_step, store
from tests.support.people import People

SPEC = """
apiVersion: countersign/v1
kind: Pipeline
metadata: {name: groups, title: Groups}
steps:
  - name: load
    uses: extract.csv@1
    with: {path: groups.csv}
  - name: load-later
    uses: extract.csv@1
    with: {path: groups-later.csv}
  - name: train
    uses: train.sklearn@1
    inputs: {table: load.table}
    with: {target: label, exclude: [team], estimator: logistic_regression}
  - name: evaluate
    uses: evaluate.classification@1
    inputs: {model: train.model, table: load-later.table}
    with: {target: label, bootstrap: 100, thresholds: [{metric: accuracy, min: 0.6, on: low}]}
  - name: slices
    uses: evaluate.slices@1
    inputs: {model: train.model, table: load-later.table}
    with: {target: label, groups: [team], thresholds: [{metric: tpr_gap, max: 0.05}]}
  - name: drift
    uses: monitor.drift@1
    inputs: {reference: load.table, current: load.table}
  - name: register
    uses: register.model@1
    inputs: {model: train.model, training: train.report}
    with: {model: groups}
"""


@pytest.fixture
def real(people: People, data_root) -> ModelVersion:
    """Two teams; the label of the second is turned around in a third of its rows, so its rates are lower."""
    for name, numbers in {"groups.csv": range(600), "groups-later.csv": range(600, 1200)}.items():
        (data_root / name).write_text("a,b,team,label\n" + "\n".join(_rows(numbers)) + "\n")
    run = run_spec(SPEC, user=people.engineer, system=people.system)
    assert errors_of(run) == {}
    return ModelVersion.objects.get()


def _rows(numbers: range) -> list[str]:
    rows = []
    for i in numbers:
        team, high = ("red", "blue")[i % 2], i % 10 > 4
        label = int(high) if team == "red" or i % 3 else int(not high)
        rows.append(f"{i % 10},{(i * 7) % 13},{team},{label}")
    return rows


def tab(client, version: ModelVersion, name: str, more: str = "") -> str:
    return client.get(reverse("model-version", args=[version.pk]) + f"?tab={name}{more}").content.decode()


def test_every_tab_shows_what_the_run_measured(people: People, real: ModelVersion, login: Login):
    client = login(people.risk_officer)
    gap = next(m for m in _evidence("slice_metrics").measurements if m["name"] == "tpr_gap")
    assert gap["value"] > 0.05  # the planted difference was found
    slices = tab(client, real, "slices")
    assert "Gap in tpr between groups" in slices
    assert "at most 0.05" in slices
    assert f"{gap['value']:.3f}" in slices
    assert "tone-fail" in slices
    assert "Gap in fpr between groups" in tab(client, real, "slices", "&rate=fpr")
    assert "Gap in tpr between groups" in tab(client, real, "slices", "&rate=nonsense")
    assert "Gap in tpr between groups" in tab(client, real, "fairness")
    performance = tab(client, real, "performance")
    assert "ROC curve" in performance
    assert "Reliability" in performance
    assert "at least 0.6, lower bound" in performance
    data = tab(client, real, "data")
    assert "groups.csv" in data
    assert ">600<" in data
    assert "Population stability index" in data
    lineage = tab(client, real, "lineage")
    assert '<svg xmlns="http://www.w3.org/2000/svg" class="graph"' in lineage
    coverage = tab(client, real, "coverage")
    assert coverage.count('<th scope="row">') == 72
    assert "MEASURE 2.11" in coverage
    assert tab(client, real, "coverage", "&state=missing").count('<th scope="row">') < 72
    assert "groups v1 was registered" in tab(client, real, "history")
    assert "Not attacked" in tab(client, real, "robustness")


def test_slices_that_were_found_are_drawn_from_their_report(people: People, login: Login):
    version = make_model_version(people.system, people.engineer, kinds=())
    step = make_step(version.step_run.run, "found")
    StepRun.objects.filter(pk=step.pk).update(uses="evaluate.found_slices@1")
    step.refresh_from_db()
    figures = {"error": 0.4, "error_elsewhere": 0.1, "gap": 0.3, "interval": [0.2, 0.4], "rows": 120}
    rows = [
        {"slice": {"team": "<b>blue</b>", "a": "up to 4"}, "adjusted_p": 0.001, "finding": True, **figures},
        {"slice": {"team": "red"}, "adjusted_p": 0.7, "finding": False, **figures},
    ]
    report = store(people.system, canonical_json({"possible": 77, "slices": rows}), "application/json")
    add_evidence(step, "slice_metrics", version.artifact, report=report, uses=step.uses)
    page = tab(login(people.risk_officer), version, "slices")
    assert "Slices that the model errs on more than elsewhere" in page
    assert "a = up to 4, team = &lt;b&gt;blue&lt;/b&gt;" in page
    assert "team = red (may be chance)" in page
    assert "<b>blue" not in page
    assert "Rate that is drawn" not in page


def test_the_sentence_counts_gates_and_names_what_is_missing(people: People, real: ModelVersion, login: Login):
    page = tab(login(people.validator), real, "evidence")
    assert "4 of 9 gates pass; not submitted for review; approval will need 2 signatures" in page
    assert "fails: slice metrics, fairness metrics" in page
    assert "missing: adversarial eval, poisoning scan, data profile" in page


def test_evidence_says_rule_verdict_subject_run_and_what_superseded_it(
    people: People, real: ModelVersion, login: Login
):
    client, evidence = login(people.engineer), _evidence("slice_metrics")
    page = client.get(reverse("evidence", args=[evidence.pk])).content.decode()
    for words in ("at most 0.05", "by team", "groups v1", "run 1, step slices", evidence.digest[:12]):
        assert words in page
    newer = Evidence.objects.create(
        system=evidence.system,
        kind=evidence.kind,
        subject=evidence.subject,
        step_run=evidence.step_run,
        uses=evidence.uses,
        verdict="pass",
        digest="0" * 64,
    )
    Evidence.objects.filter(pk=evidence.pk).update(superseded_by=newer)
    page = client.get(reverse("evidence", args=[evidence.pk])).content.decode()
    assert "Superseded" in page
    assert reverse("evidence", args=[newer.pk]) in page


def test_a_damaged_report_is_said_and_the_figures_on_record_stand(people: People, real: ModelVersion, login: Login):
    evidence = _evidence("holdout_metrics")
    path = Path(vault.store().path(evidence.report.object_name))
    with path.open("r+b") as file:
        file.seek(100)
        byte = file.read(1)
        file.seek(100)
        file.write(bytes([byte[0] ^ 1]))
    page = tab(login(people.validator), real, "performance")
    assert "The stored report cannot be shown" in page
    assert "ROC curve" not in page
    assert "roc_auc" in page


def test_lineage_as_data_is_the_graph_on_the_page(people: People, real: ModelVersion, login: Login):
    client, url = login(people.auditor), reverse("lineage", args=[real.artifact_id])
    data = json.loads(client.get(url + "?direction=up&format=json").content)
    kinds = {node["kind"] for node in data["nodes"]}
    assert {"source", "dataset", "model", "step"} <= kinds
    page = client.get(url + "?direction=up").content.decode()
    assert all(node["digest"][:12] in page for node in data["nodes"] if node["digest"])
    down = json.loads(client.get(url + "?direction=down&depth=1&format=json").content)
    assert "source" not in {node["kind"] for node in down["nodes"]}
    assert client.get(url + "?direction=sideways&depth=-4").status_code == 200


def test_lists_filter_sort_and_say_what_to_do_when_empty(people: People, review: Review, login: Login):
    client = login(people.engineer)
    assert client.get(reverse("models") + "?review=in-review&q=tin&tier=high").context["page"].paginator.count == 1
    assert client.get(reverse("models") + "?review=none").context["page"].paginator.count == 0
    assert "No model fits" in client.get(reverse("models") + "?q=nothing").content.decode()
    assert "No model yet" in login(people.outsider).get(reverse("models")).content.decode()
    assert "No review yet" in login(people.outsider).get(reverse("reviews")).content.decode()
    for name, sorts in {"models": ("-latest_at", "version_count"), "reviews": ("state", "-submitted_at")}.items():
        for sort in (*sorts, "password", "--"):
            assert client.get(reverse(name), {"sort": sort}).status_code == 200


def _evidence(kind: str) -> Evidence:
    return Evidence.objects.get(kind=kind)
