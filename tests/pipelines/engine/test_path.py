"""One real spec through register, run, vault, evidence, registry and log."""

from __future__ import annotations

import pytest

from pipelines.engine import sandbox
from pipelines.models import Evidence, ModelVersion, RunState
from security.log import verification
from tests.support.engine import errors_of, run_spec
from tests.support.people import People

SPEC = """
apiVersion: countersign/v1
kind: Pipeline
metadata: {name: tiny, title: Tiny}
parameters:
  source: {type: string, default: tiny.csv, description: file}
steps:
  - name: load
    uses: extract.csv@1
    with: {path: "${source}"}
  - name: train
    uses: train.sklearn@1
    inputs: {table: load.table}
    with: {target: label, estimator: logistic_regression}
  - name: register
    uses: register.model@1
    inputs: {model: train.model, training: train.report}
    with: {model: tiny}
"""


@pytest.fixture
def tiny(data_root):
    rows = "\n".join(f"{i},{i % 7},{int(i % 7 > 3)}" for i in range(200))
    (data_root / "tiny.csv").write_text(f"a,b,label\n{rows}\n")


def test_a_spec_becomes_a_registered_model_with_evidence_and_a_verified_log(people: People, tiny):
    run = run_spec(SPEC, user=people.engineer, system=people.system)
    assert errors_of(run) == {}
    assert run.state == RunState.SUCCEEDED
    version = ModelVersion.objects.get()
    assert version.model.name == "tiny"
    assert Evidence.objects.get(kind="training_config").subject == version.artifact
    verified = verification.verify()
    assert verified.ok
    assert verified.entries > 10


def test_a_second_identical_run_reuses_every_step_and_points_to_the_first(people: People, tiny):
    first = run_spec(SPEC, user=people.engineer, system=people.system)
    second = run_spec(SPEC, user=people.engineer, system=people.system)
    assert {step.state for step in second.steps.all()} == {"reused"}
    assert {step.reused_from.run_id for step in second.steps.all()} == {first.pk}
    assert ModelVersion.objects.count() == 1


KEYED = """
apiVersion: countersign/v1
kind: Pipeline
metadata: {name: keyed, title: Keyed}
steps:
  - name: load
    uses: extract.csv@1
    with: {path: tiny.csv}
  - name: redact
    uses: redact.pii@1
    inputs: {table: load.table}
    with: {columns: {a: token}}
"""


def test_the_key_of_tokens_goes_to_steps_that_make_tokens_and_to_no_other(
    people: People, tiny, monkeypatch: pytest.MonkeyPatch
):
    secrets, execute = {}, sandbox.run

    def watched(job, **callbacks):
        secrets[job["uses"]] = job["secret"]
        return execute(job, **callbacks)

    monkeypatch.setattr(sandbox, "run", watched)
    run_spec(KEYED, user=people.engineer, system=people.system)
    assert secrets["extract.csv@1"] == ""
    assert len(bytes.fromhex(secrets["redact.pii@1"])) == 32
