"""The demo: what it expects of each batch, its people, and one real run of the whole command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from django.conf import settings as installed
from django.contrib.auth.hashers import identify_hasher
from django.db import connection

from controlplane.demo import cast, running, summary
from controlplane.demo.examples import EXAMPLES, Batch, DataMissingError, Example
from pipelines.models import Run, StepRun
from pipelines.services import registration, runs
from security.access import selectors as access
from security.access.models import AISystem
from security.access.services import bootstrap_admin
from security.access.table import Action
from security.identity.models import User
from security.identity.services import create_user
from security.log.models import AuditEvent

ROOT = Path(__file__).resolve().parents[2]
SPEC = """
apiVersion: countersign/v1
kind: Pipeline
metadata: {name: shown}
steps:
  - {name: one, uses: test.misbehave@1, with: {how: work}}
  - {name: two, uses: test.misbehave@1, with: {how: work}}
"""


@pytest.fixture
def finished(people) -> Run:
    version = registration.register(acting_user=people.engineer, system=people.system, text=SPEC).version
    run = runs.create(acting_user=people.engineer, version=version)
    run.steps.update(state="succeeded", verdict="pass")
    Run.objects.update(state="succeeded")
    return run


def judged(run: Run, *findings: str) -> list[str]:
    planned = running.Planned(EXAMPLES[0], Batch("x", findings=frozenset(findings)), run)
    running.judge(planned)
    return planned.problems


def test_a_planned_finding_that_is_found_is_no_problem(finished: Run) -> None:
    StepRun.objects.update(verdict="fail")
    assert judged(finished, "test.misbehave") == []


def test_a_planned_finding_that_is_not_found_is_a_problem(finished: Run) -> None:
    assert judged(finished, "test.misbehave") == ["test.misbehave did not find what this batch was made with"]


@pytest.mark.parametrize("verdict", ["fail", "inconclusive"])
def test_a_finding_that_nobody_planned_is_a_problem(finished: Run, verdict: str) -> None:
    finished.steps.filter(name="two").update(verdict=verdict, summary="why")
    assert judged(finished) == [f"two is {verdict}, which is not expected here: why"]


def test_an_inconclusive_answer_is_not_the_planned_finding(finished: Run) -> None:
    finished.steps.update(verdict="inconclusive")
    assert "did not find" in judged(finished, "test.misbehave")[-1]


def test_a_step_that_broke_is_a_problem_with_its_message(finished: Run) -> None:
    finished.steps.filter(name="one").update(state="failed", verdict="", error={"message": "no such file"})
    Run.objects.update(state="failed")
    assert judged(finished) == ["one: no such file"]


def test_the_second_batch_alone_is_expected_to_show_drift_and_poisoning() -> None:
    (credit,) = [example for example in EXAMPLES if example.slug == "credit-applications"]
    planned = {batch.label: batch.findings for batch in credit.batches}
    assert planned == {"batch 1": frozenset(), "batch 2": frozenset({"check.poisoning", "monitor.drift"})}


def test_people_get_passwords_that_are_kept_only_as_hashes(db: None) -> None:
    people, passwords = cast.ensure_people()
    assert set(passwords) == {"ada", "erin", "vera", "rosa", "aldo"}
    assert len(set(passwords.values())) == 5
    for name, password in passwords.items():
        stored = User.objects.get(username=name)
        assert stored.check_password(password)
        assert identify_hasher(stored.password).algorithm == "argon2"
    log = "".join(AuditEvent.objects.values_list("entry", flat=True))
    assert not [password for password in passwords.values() if password in log]
    assert access.allowed(people["ada"], Action.MANAGE_PEOPLE)


def test_a_second_time_nobody_changes_unless_asked(db: None) -> None:
    _, first = cast.ensure_people()
    _, again = cast.ensure_people()
    assert again == {}
    people, new = cast.ensure_people(new_passwords=True)
    assert set(new) == set(first)
    assert people["erin"].check_password(new["erin"])
    assert not people["erin"].check_password(first["erin"])


def test_systems_and_roles_are_made_once(db: None) -> None:
    people, _ = cast.ensure_people()
    systems = cast.ensure_systems(people, EXAMPLES)
    events = AuditEvent.objects.count()
    assert cast.ensure_systems(people, EXAMPLES) == systems
    assert AuditEvent.objects.count() == events
    assert access.allowed(people["erin"], Action.RUN, systems["credit-applications"])
    assert not access.allowed(people["erin"], Action.VALIDATE, systems["credit-applications"])
    assert all(system.purpose and system.owner for system in systems.values())


def test_the_examples_are_in_the_tiers_that_signed_answers_come_to(db: None) -> None:
    people, passwords = cast.ensure_people()
    systems = cast.ensure_systems(people, EXAMPLES)
    assert {system.tier for system in systems.values()} == {"high"}
    cast.assess(people, systems, EXAMPLES, passwords)
    assert dict(AISystem.objects.values_list("slug", "tier")) == {one.slug: one.tier for one in EXAMPLES}
    events = AuditEvent.objects.count()
    cast.assess(people, cast.ensure_systems(people, EXAMPLES), EXAMPLES, {})
    assert AuditEvent.objects.count() == events


def test_an_installation_with_people_of_its_own_is_left_alone(db: None) -> None:
    bootstrap_admin(user=create_user(acting_user=None, username="chief", full_name="C", password=None))
    with pytest.raises(cast.NotEmptyError, match="COUNTERSIGN_VAR"):
        cast.ensure_people()
    assert list(User.objects.values_list("username", flat=True)) == ["chief"]


def test_an_example_without_its_data_is_left_out_with_where_to_get_it(tmp_path: Path) -> None:
    def missing(root: Path, data: Path | None) -> None:
        raise DataMissingError("It is at example.org.")

    def there(root: Path, data: Path | None) -> None:
        (root / "data.csv").touch()

    examples = [Example(slug, slug, "", "low", write, ()) for slug, write in (("a", missing), ("b", there))]
    ready, left_out = running.prepare(examples, tmp_path, None)
    assert [example.slug for example in ready] == ["b"]
    assert left_out == ["a is left out. It is at example.org."]


def test_measurements_over_all_rows_are_shown_before_those_of_a_group() -> None:
    def measurement(value: float | None, **where: str) -> dict[str, object]:
        return {"name": "accuracy", "value": value, "slice": where, "interval": {"low": 0.8, "high": 0.95}}

    step = SimpleNamespace(uses="evaluate.classification@1", summary="s", measurements=[])
    assert summary.measured(step) == "s"
    step.measurements = [measurement(0.5, sex="f"), measurement(None), measurement(0.9)]
    assert summary.measured(step) == "accuracy 0.9 (0.8 to 0.95)"


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the demo is the embedded installation's")
def test_the_whole_demo_ends_well_and_a_second_run_reuses_it(tmp_path: Path) -> None:
    first, told = demo(tmp_path)
    assert first == 0, told
    assert "(planted, and found)" in told
    assert "credit-default v" in told
    assert "verified from first to last" in told
    again, told = demo(tmp_path)
    assert again == 0, told
    assert "The people exist (ada, erin, vera, rosa, aldo)" in told
    total, reused = (int(part.split()[0]) for part in told.rsplit(" runs, ", 1)[1].replace("(", ", ").split(", ")[:2])
    assert reused == total
    here = [process for process in psutil.process_iter(["environ"]) if _belongs(process, tmp_path)]
    assert here == []


def demo(folder: Path) -> tuple[int, str]:
    """Run the command in a folder of its own, embedded; its status and what it printed."""
    env = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "BROKER_URL")}
    env["COUNTERSIGN_VAR"] = str(folder / "var")
    argv = [sys.executable, "manage.py", "demo", "--no-serve", "--port", "8917"]
    ran = subprocess.run(
        argv, cwd=installed.BASE_DIR, env=env, capture_output=True, text=True, check=False, timeout=900
    )
    return ran.returncode, ran.stdout + ran.stderr


def _belongs(process: psutil.Process, folder: Path) -> bool:
    return (process.info["environ"] or {}).get("COUNTERSIGN_VAR") == str(folder / "var")
