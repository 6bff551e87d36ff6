"""An engineer who tries to get a better answer out of the same check, or a change or a value past the log."""

from __future__ import annotations

import io
import json
import os

import pyarrow.parquet as pq
import pytest
from django.db import transaction

from governance.selectors.evidence import content_of
from pipelines.engine import bare, records
from pipelines.models import Evidence, Pipeline, Run, StepRun
from pipelines.services import registration, runs
from pipelines.steps import registry
from security.canonical import digest_of
from security.log import selectors
from security.log.models import AuditEvent
from security.vault import services as vault
from security.vault.models import Artifact
from tests.support.engine import run_spec

SPEC = """
apiVersion: countersign/v1
kind: Pipeline
metadata: {{name: tiny, title: {title}}}
steps:
  - {{name: one, uses: test.misbehave@1, with: {{how: work}}}}
"""


def result(step: StepRun, subject: Artifact, *, verdict: str, name: str = "one", seed: int = 1) -> Evidence:
    """What the engine records when ``step`` has run with this outcome, under this name and the run's seed."""
    step.verdict, step.name, step.run.seed = verdict, name, seed
    with transaction.atomic():
        return records.evidence(step, step.run, registry()["test.misbehave@1"], {}, {"table": subject})[0]


@pytest.fixture
def step(people) -> StepRun:
    run = run_spec(SPEC.format(title="Tiny"), user=people.engineer, system=people.system)
    return run.steps.select_related("run__system").get()


def stands(evidence: Evidence) -> bool:
    return Evidence.objects.get(pk=evidence.pk).superseded_by is None


def test_a_failure_is_not_replaced_by_the_same_check_under_another_name(step):
    """A step's seed hangs on its name: a hundred names would be a hundred draws under one seed of the run."""
    subject = Evidence.objects.get().subject
    failed = result(step, subject, verdict="fail")
    lucky = result(step, subject, verdict="pass", name="two")
    assert (stands(failed), stands(lucky)) == (True, True)


def test_of_many_draws_after_an_inconclusive_one_the_first_failure_stays(step):
    subject = Evidence.objects.get().subject
    unclear = result(step, subject, verdict="inconclusive")
    failed = result(step, subject, verdict="fail", seed=2)
    result(step, subject, verdict="inconclusive", name="two", seed=3)
    lucky = result(step, subject, verdict="pass", name="three")
    assert [stands(one) for one in (unclear, failed, lucky)] == [False, True, True]


def test_the_log_says_what_each_result_replaces_and_under_which_seed(step):
    """Enough for somebody offline to recompute which results stood when a model was approved."""
    subject = Evidence.objects.get().subject
    unclear = result(step, subject, verdict="inconclusive")
    failed = result(step, subject, verdict="fail", seed=2)
    lucky = result(step, subject, verdict="pass", seed=3)
    told = {}
    for event in AuditEvent.objects.filter(event="evidence:recorded"):
        told[event.subject.rpartition(":")[2]] = json.loads(event.entry)["payload"]
    assert told[str(failed.pk)]["supersedes"] == [str(unclear.pk)]
    assert told[str(lucky.pk)]["supersedes"] == []
    assert [told[str(one.pk)]["seed"] for one in (failed, lucky)] == [failed.seed, lucky.seed]
    assert told[str(failed.pk)]["basis"] == told[str(lucky.pk)]["basis"] == failed.basis != ""


def test_registering_an_old_version_again_changes_nothing_since_no_event_would_tell(people):
    for title in ("Old", "New"):
        registration.register(acting_user=people.engineer, system=people.system, text=SPEC.format(title=title))
    size = AuditEvent.objects.count()
    made = registration.register(acting_user=people.engineer, system=people.system, text=SPEC.format(title="Old"))
    assert not made.created
    assert Pipeline.objects.get().title == "New"
    assert AuditEvent.objects.count() == size


def test_what_somebody_writes_into_a_run_parameter_is_not_in_the_log_for_ever(people):
    text = """
apiVersion: countersign/v1
kind: Pipeline
metadata: {name: tiny}
parameters:
  marker: {type: string}
steps:
  - {name: one, uses: test.misbehave@1, with: {how: work, marker: "${marker}"}}
"""
    made = registration.register(acting_user=people.engineer, system=people.system, text=text)
    runs.create(acting_user=people.engineer, version=made.version, parameters={"marker": "jane.doe@example.org"})
    assert not AuditEvent.objects.filter(entry__contains="jane.doe").exists()
    created = AuditEvent.objects.get(event="run:created")
    run = Run.objects.get()
    assert selectors.opened([created])[created.id.hex].values == {"parameters_sha256": digest_of(run.parameters)}
    assert digest_of(run.parameters) not in created.entry  # a short text could be guessed from it


def test_a_step_reads_no_secret_in_its_environment(people):
    """Neither in ``os.environ`` nor in what the system keeps of the process's start."""
    run = run_spec(
        SPEC.format(title="Tiny").replace("how: work", "how: probe"), user=people.engineer, system=people.system
    )
    artifact = run.steps.get().outputs.get().artifact
    facts = pq.read_table(io.BytesIO(vault.read(artifact)))["fact"].to_pylist()
    names = {fact.removeprefix("environment ") for fact in facts if fact.startswith("environment ")}
    assert "PATH" in names
    kept_back = {name for name in os.environ if not name.startswith(bare.KEPT)} - {"COLUMNS", "LINES"}
    assert {"COUNTERSIGN_VAR", "DJANGO_SETTINGS_MODULE"} <= kept_back
    assert not names & kept_back


def test_what_a_worker_needs_is_in_its_environment_again_after_a_start(people):
    before = dict(os.environ)
    run_spec(SPEC.format(title="Tiny"), user=people.engineer, system=people.system)
    assert dict(os.environ) == before


JUDGED = """
apiVersion: countersign/v1
kind: Pipeline
metadata: {name: judged}
steps:
  - {name: load, uses: extract.csv@1, with: {path: rows.csv}}
  - {name: split, uses: split.holdout@1, inputs: {table: load.table}, with: {fraction: 0.3}}
  - {name: train, uses: train.sklearn@1, inputs: {table: split.train},
     with: {target: label, estimator: logistic_regression}}
  - {name: evaluate, uses: evaluate.classification@1, inputs: {model: train.model, table: TABLE},
     with: {target: label, thresholds: [{metric: accuracy, min: 0}]}}
"""


@pytest.mark.parametrize(
    ("table", "verdict"), [("split.train", "inconclusive"), ("load.table", "inconclusive"), ("split.test", "pass")]
)
def test_a_model_that_is_judged_on_what_it_was_trained_on_passes_no_gate(people, data_root, table, verdict):
    rows = "\n".join(f"{number},{number % 7},{int(number % 7 > 3)}" for number in range(200))
    (data_root / "rows.csv").write_text(f"a,b,label\n{rows}\n")
    run_spec(JUDGED.replace("TABLE", table), user=people.engineer, system=people.system)
    found = Evidence.objects.get(kind="holdout_metrics")
    assert found.verdict == verdict
    assert found.step_run.verdict == "pass"
    assert ("judged on a table that the model was made from" in found.summary) == (verdict != "pass")
    assert digest_of(content_of(found)) == found.digest


def test_a_table_that_baselines_are_fitted_on_may_be_the_models_own(people, data_root):
    rows = "\n".join(f"{number},{number % 7},{int(number % 7 > 3)}" for number in range(200))
    (data_root / "rows.csv").write_text(f"a,b,label\n{rows}\n")
    head, _, _ = JUDGED.partition("  - {name: evaluate")
    compare = "{name: compare, uses: evaluate.comparison@1, inputs: {model: train.model, table: %s, training: %s},"
    rule = "with: {target: label, bootstrap: 100, thresholds: [{metric: accuracy_gain, min: -1}]}}"
    for table, verdict in (("split.test", "pass"), ("split.train", "inconclusive")):
        spec = head + f"  - {compare % (table, 'split.train')}\n     {rule}\n"
        named = spec.replace("name: judged", f"name: judged-{verdict}")
        run = run_spec(named, user=people.engineer, system=people.system)
        assert Evidence.objects.get(kind="challenger_comparison", step_run__run=run).verdict == verdict
