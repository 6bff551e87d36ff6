"""The engine when things go wrong: limits, crashes, lost workers and messages, a full disk, cancel and retry."""

from __future__ import annotations

import errno
from datetime import timedelta
from unittest import mock

import pyarrow.parquet as pq
import pytest
from django.db import transaction
from django.utils import timezone

from pipelines.engine import completion, execution, leases, records
from pipelines.engine.queue import send
from pipelines.models import Evidence, Run, RunState, StepOutput, StepRun, StepState
from pipelines.services import registration, runs
from pipelines.steps import registry
from security.errors import ConflictError, DeniedError, InvalidError
from security.log import verification
from security.log.models import AuditEvent
from security.vault import services as vault
from security.vault.models import Artifact
from tests.support.engine import drain, errors_of, run_spec


def spec(*steps: str) -> str:
    head = "apiVersion: countersign/v1\nkind: Pipeline\nmetadata: {name: faulty}\nsteps:\n"
    return head + "".join(f"  - {step}\n" for step in steps)


def misbehave(how: str, name: str = "one", after: str = "", **extra: object) -> str:
    wiring = f"inputs: {{table: {after}.table}}, " if after else ""
    params = ", ".join(f"{key}: {value}" for key, value in extra.items() if key in ("amount", "marker"))
    budget = "".join(f", {key}: {value}" for key, value in extra.items() if key in ("timeout", "memory"))
    given = f"how: {how}" + (f", {params}" if params else "")
    return f"{{name: {name}, uses: test.misbehave@1, {wiring}with: {{{given}}}{budget}}}"


def start(people, text: str) -> Run:
    version = registration.register(acting_user=people.engineer, system=people.system, text=text).version
    return runs.create(acting_user=people.engineer, version=version)


def test_a_step_over_its_time_is_stopped_and_says_so(people):
    run = run_spec(spec(misbehave("sleep", amount=30, timeout=1)), user=people.engineer, system=people.system)
    assert run.state == RunState.FAILED
    assert errors_of(run) == {"one": "The step did not finish within its 1 seconds."}
    assert run.steps.get().error["kind"] == "timeout"


def test_a_step_over_its_memory_is_stopped_and_says_so(people):
    run = run_spec(spec(misbehave("hog", amount=3000, memory="600MiB")), user=people.engineer, system=people.system)
    step = run.steps.get()
    assert step.error["kind"] == "memory"
    assert "limit is 600 MiB" in step.error["message"]
    assert step.resources["peak_bytes"] < 2000 * 2**20


def test_a_crashing_step_fails_alone(people):
    run = run_spec(spec(misbehave("crash")), user=people.engineer, system=people.system)
    assert errors_of(run) == {"one": "The step's process ended without an answer (signal SIGABRT)."}


def test_an_unforeseen_error_never_shows_its_text(people):
    run = run_spec(spec(misbehave("raise")), user=people.engineer, system=people.system)
    step = run.steps.get()
    assert "RuntimeError at misbehave.py" in step.error["message"]
    stored = str(step.error) + step.log + "".join(AuditEvent.objects.values_list("entry", flat=True))
    assert "secret value" not in stored
    assert "4111 1111" not in stored


def test_a_refusal_keeps_its_parameter_and_details(people):
    run = run_spec(spec(misbehave("refuse")), user=people.engineer, system=people.system)
    error = run.steps.get().error
    assert (error["kind"], error["param"], error["details"]) == ("step", "column", {"row": 3})


def test_an_undeclared_output_is_refused_and_nothing_is_kept(people):
    run = run_spec(spec(misbehave("lie")), user=people.engineer, system=people.system)
    assert run.state == RunState.FAILED
    assert not StepOutput.objects.exists()
    assert not Artifact.objects.exists()


def test_the_child_holds_no_database_no_keyring_and_no_django(people):
    run = run_spec(spec(misbehave("probe")), user=people.engineer, system=people.system)
    artifact = StepOutput.objects.get(step_run__run=run).artifact
    path = vault.copy_to(artifact, vault.Path(execution.settings.ENGINE_SCRATCH) / "probe.parquet")
    facts = pq.read_table(path)["fact"].to_pylist()
    assert facts
    assert not [fact for fact in facts if "sqlite" in fact or "keyring" in fact or fact.startswith("module")]


def test_after_a_failure_nothing_new_starts_and_retry_continues_there(people, tmp_path):
    text = spec(
        misbehave("work", "one"), misbehave("refuse", "two", after="one"), misbehave("work", "three", after="two")
    )
    run = run_spec(text, user=people.engineer, system=people.system)
    assert dict(run.steps.values_list("name", "state")) == {"one": "succeeded", "two": "failed", "three": "skipped"}
    again = runs.retry(acting_user=people.engineer, run=run)
    StepRun.objects.filter(run=run, name="two").update(params={"how": "work", "amount": 0, "marker": ""})
    drain(again)
    assert set(run.steps.values_list("state", flat=True)) <= {"succeeded", "reused"}
    assert run.steps.get(name="one").attempts.count() == 1
    assert run.steps.get(name="two").attempts.count() == 2
    run.refresh_from_db()
    assert run.state == RunState.SUCCEEDED
    assert verification.verify().ok


def test_only_a_failed_or_cancelled_run_is_retried(people):
    run = run_spec(spec(misbehave("work")), user=people.engineer, system=people.system)
    with pytest.raises(ConflictError, match="this one is succeeded"):
        runs.retry(acting_user=people.engineer, run=run)


def test_a_cancel_before_a_step_starts_ends_the_run(people):
    run = start(people, spec(misbehave("work", "one"), misbehave("work", "two", after="one")))
    runs.cancel(acting_user=people.engineer, run=run)
    drain(run)
    run.refresh_from_db()
    assert run.state == RunState.CANCELLED
    assert set(run.steps.values_list("state", flat=True)) == {"cancelled"}
    with pytest.raises(ConflictError, match="nothing to cancel"):
        runs.cancel(acting_user=people.engineer, run=run)


def test_a_cancel_while_a_step_runs_stops_it_within_seconds(people, settings):
    settings.ENGINE_LEASE_SECONDS = 1
    run = start(people, spec(misbehave("sleep", amount=60)))
    original, calls = leases.Lease.beat, []

    def beat(lease):
        calls.append(1)
        if len(calls) == 5:
            runs.cancel(acting_user=people.engineer, run=run)
        original(lease)

    with mock.patch.object(leases.Lease, "beat", beat):
        assert execution.execute(run.steps.get().pk) == "cancelled"
    run.refresh_from_db()
    assert run.state == RunState.CANCELLED
    assert run.steps.get().attempts.get().outcome == "cancelled"


def test_a_repeated_message_does_nothing(people):
    run = start(people, spec(misbehave("work")))
    step = run.steps.get()
    assert execution.execute(step.pk) == "succeeded"
    assert execution.execute(step.pk) == "not queued"
    assert step.attempts.count() == 1


def test_a_dead_workers_step_is_taken_back_and_done_by_another(people):
    run = start(people, spec(misbehave("work")))
    step = run.steps.get()
    leases.claim(step.pk)  # this worker now dies without a word
    StepRun.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert leases.reap()["lost"] == 1
    assert drain(run).state == RunState.SUCCEEDED
    assert list(step.attempts.values_list("outcome", flat=True)) == ["lost", "succeeded"]
    assert "step:lost" in AuditEvent.objects.values_list("event", flat=True)


def test_a_step_whose_workers_keep_dying_is_given_up(people, settings):
    settings.ENGINE_MAX_ATTEMPTS = 2
    run = start(people, spec(misbehave("work")))
    for _ in range(2):
        leases.claim(run.steps.get().pk)
        StepRun.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
        leases.reap()
    run.refresh_from_db()
    assert run.state == RunState.FAILED
    assert "worker died 2 times" in errors_of(run)["one"]


def test_a_worker_given_up_for_dead_cannot_write_its_late_result(people):
    run = start(people, spec(misbehave("work")))
    step, lease = leases.claim(run.steps.get().pk)
    StepRun.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    leases.reap()
    assert completion.failed(step, lease, completion.problem("step", "late")) == "lost"
    assert StepRun.objects.get().state == StepState.QUEUED
    lease._renewed = -1e9
    with pytest.raises(leases.LeaseLost):
        lease.beat()


def test_a_lost_message_is_sent_again(people):
    run = start(people, spec(misbehave("work")))
    StepRun.objects.update(queued_at=timezone.now() - timedelta(hours=1))
    with mock.patch.object(leases, "send", return_value=True) as sent:
        assert leases.reap() == {"lost": 0, "sent": 1}
        assert leases.reap() == {"lost": 0, "sent": 0}
    sent.assert_called_once_with(run.steps.get().pk)


def test_a_broker_that_is_away_costs_nothing_but_time(people, settings, caplog):
    with mock.patch("pipelines.engine.queue.current_app") as app:
        app.send_task.side_effect = ConnectionError("no broker")
        assert send(start(people, spec(misbehave("work"))).steps.get().pk) is False
    assert "queue away (ConnectionError)" in caplog.text
    assert drain(Run.objects.get()).state == RunState.SUCCEEDED


def test_a_full_disk_while_storing_leaves_nothing_half_written(people, data_root):
    first = run_spec(spec(misbehave("work")), user=people.engineer, system=people.system)
    before = Artifact.objects.count()
    text = spec(misbehave("work", "other", amount=1))
    with mock.patch("security.vault.storage.os.fsync", side_effect=OSError(errno.ENOSPC, "No space left on device")):
        run = run_spec(text, user=people.engineer, system=people.system)
    assert run.state == RunState.FAILED
    assert "disk is full; nothing was stored" in errors_of(run)["other"]
    assert Artifact.objects.count() == before
    files = [path for path in vault.Path(vault.store().location).rglob("*") if path.is_file()]
    assert len(files) == before
    for artifact in Artifact.objects.all():
        assert vault.read(artifact)
    assert drain(runs.retry(acting_user=people.engineer, run=run)).state == RunState.SUCCEEDED
    assert first.state == RunState.SUCCEEDED
    assert verification.verify().ok


def test_a_damaged_input_stops_the_step(people):
    text = spec(misbehave("work", "one"), misbehave("work", "two", after="one"))
    version = registration.register(acting_user=people.engineer, system=people.system, text=text).version
    run = runs.create(acting_user=people.engineer, version=version)
    execution.execute(run.steps.get(name="one").pk)
    path = vault.Path(vault.store().path(Artifact.objects.get().object_name))
    content = bytearray(path.read_bytes())
    content[60] ^= 4
    path.write_bytes(content)
    drain(run)
    step = run.steps.get(name="two")
    assert (step.state, step.error["kind"]) == ("failed", "damaged")


def another_result(step: StepRun, subject: Artifact, *, verdict: str, seed: int = 1, **params: object) -> Evidence:
    """What the engine records when ``step`` has run again with this outcome."""
    step.verdict, step.params, step.run.seed = verdict, {**step.params, **params}, seed
    step.run.save()
    with transaction.atomic():
        return records.evidence(step, step.run, registry()["test.misbehave@1"], {}, {"table": subject})[0]


@pytest.fixture
def first_result(people) -> tuple[StepRun, Artifact, Evidence]:
    run = run_spec(spec(misbehave("work")), user=people.engineer, system=people.system)
    made = Evidence.objects.get()
    return run.steps.select_related("run__system").get(), made.subject, made


def superseded(evidence: Evidence) -> bool:
    return Evidence.objects.get(pk=evidence.pk).superseded_by is not None


def test_a_newer_result_of_the_same_check_supersedes_the_older(first_result):
    step, subject, first = first_result
    second = another_result(step, subject, verdict="pass")
    assert Evidence.objects.get(pk=first.pk).superseded_by == second
    assert not superseded(second)
    assert first.digest != second.digest


def test_a_check_with_softer_parameters_stands_beside_the_failure_and_does_not_replace_it(first_result):
    step, subject, _ = first_result
    failed = another_result(step, subject, verdict="fail")
    another_result(step, subject, verdict="pass", amount=99)
    assert not superseded(failed)


def test_a_failure_is_not_replaced_by_trying_other_seeds(first_result):
    step, subject, _ = first_result
    failed = another_result(step, subject, verdict="fail", seed=1)
    lucky = another_result(step, subject, verdict="pass", seed=2)
    assert not superseded(failed)
    again = another_result(step, subject, verdict="inconclusive", seed=3)
    assert superseded(lucky)
    assert not superseded(failed)
    assert not superseded(again)


def test_another_seed_runs_again_and_gives_another_result(people):
    run_spec(spec(misbehave("work")), user=people.engineer, system=people.system, seed=1)
    other = run_spec(spec(misbehave("work")), user=people.engineer, system=people.system, seed=2)
    assert other.steps.get().state == StepState.SUCCEEDED


@pytest.mark.parametrize(
    ("parameters", "seed", "field"), [({"surprise": 1}, None, "parameters"), ({}, -1, "seed"), ({}, 2**40, "seed")]
)
def test_wrong_parameters_and_seeds_are_refused(people, parameters, seed, field):
    version = registration.register(acting_user=people.engineer, system=people.system, text=spec(misbehave("work")))
    with pytest.raises(InvalidError) as refused:
        runs.create(acting_user=people.engineer, version=version.version, parameters=parameters, seed=seed)
    assert refused.value.field == field
    assert not Run.objects.exists()


@pytest.mark.parametrize("who", ["validator", "risk_officer", "auditor", "outsider", "nobody", "admin"])
def test_who_may_not_run_is_refused(people, who):
    version = registration.register(acting_user=people.engineer, system=people.system, text=spec(misbehave("work")))
    with pytest.raises(DeniedError, match="Eligible: Eli Engineer, Erin Engineer"):
        runs.create(acting_user=getattr(people, who), version=version.version)


def test_a_lost_attempt_leaves_no_object_behind(people, data_root):
    (data_root / "a.csv").write_text("a\n1\n2\n")
    text = spec("{name: load, uses: extract.csv@1, with: {path: a.csv}}", misbehave("work", "two", after="load"))
    run = start(people, text)
    original = completion.succeeded

    def too_late(step, *rest, **more):
        StepRun.objects.filter(pk=step.pk).update(lease_token=None)
        return original(step, *rest, **more)

    with mock.patch.object(completion, "succeeded", too_late):
        assert execution.execute(run.steps.get(name="load").pk) == "lost"
    assert not Artifact.objects.exists()
    assert [path for path in vault.Path(vault.store().location).rglob("*") if path.is_file()] == []
