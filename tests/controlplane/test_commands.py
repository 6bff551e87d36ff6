"""The commands: a supervisor that leaves nothing behind, the log's verification, the first administrator."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from controlplane import ports, serving
from controlplane.serving import Program, ProgramError, StoppedError, Supervisor
from security.access.selectors import live_grants
from security.identity.models import User
from security.log import selectors as log
from security.log import triggers
from security.log.checkpoints import Checkpoint, sign
from security.log.events import Event
from security.log.models import AuditEvent, Leaf, StoredCheckpoint
from security.log.notes import Signer
from security.log.services import record
from tests.support.attackers import exchange

ROOT = Path(__file__).resolve().parents[2]
# Writes its own and its child's process id, then stays; the child is deaf to SIGTERM.
STUBBORN = """
import os, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"],
    stdout=subprocess.PIPE)
child.stdout.readline()
open(sys.argv[1], "w").write(f"{os.getpid()} {child.pid}")
time.sleep(600)
"""

# Supervises the program that its second argument holds, in the folder that its first argument names.
SUPERVISING = """
import sys
from pathlib import Path
from controlplane.serving import Program, Supervisor
folder, code = Path(sys.argv[1]), sys.argv[2]
with Supervisor(cwd=folder) as supervisor:
    supervisor.start(Program("one", [sys.executable, "-c", code, str(folder / "one.pids")], folder / "one.log"))
    supervisor.serve()
"""


def program(tmp_path: Path, code: str, name: str = "one") -> Program:
    return Program(name, [sys.executable, "-c", code, str(tmp_path / f"{name}.pids")], tmp_path / "log" / f"{name}.log")


def pids(tmp_path: Path, name: str = "one") -> list[int]:
    wait_for(lambda: (tmp_path / f"{name}.pids").exists() and (tmp_path / f"{name}.pids").read_text().count(" ") == 1)
    return [int(text) for text in (tmp_path / f"{name}.pids").read_text().split()]


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_leaving_stops_every_process_even_a_deaf_grandchild(tmp_path: Path) -> None:
    with Supervisor(cwd=tmp_path, stop_seconds=1) as supervisor:
        supervisor.start(program(tmp_path, STUBBORN))
        supervisor.start(program(tmp_path, STUBBORN, "two"))
        everybody = pids(tmp_path) + pids(tmp_path, "two")
        assert not [pid for pid in everybody if gone(pid)]
    assert [pid for pid in everybody if not gone(pid)] == []


def test_a_program_that_ends_stops_all_and_names_its_log(tmp_path: Path) -> None:
    dying = program(tmp_path, "print('the reason why'); raise SystemExit(3)", "two")
    with Supervisor(cwd=tmp_path, stop_seconds=1) as supervisor:
        supervisor.start(program(tmp_path, STUBBORN))
        everybody = pids(tmp_path)
        supervisor.start(dying)
        with pytest.raises(ProgramError) as told:
            supervisor.serve()
    assert "two ended (exit status 3)" in str(told.value)
    assert str(dying.log) in str(told.value)
    assert "the reason why" in str(told.value)
    assert all(gone(pid) for pid in everybody)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_gives_the_old_handlers_back(tmp_path: Path, signum: int) -> None:
    before = signal.getsignal(signum)
    with Supervisor(cwd=tmp_path, stop_seconds=1) as supervisor:
        supervisor.start(program(tmp_path, STUBBORN))
        everybody = pids(tmp_path)
        with pytest.raises(StoppedError):
            os.kill(os.getpid(), signum)
    assert all(gone(pid) for pid in everybody)
    assert signal.getsignal(signum) is before


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_a_killed_supervisor_leaves_no_program_behind(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", SUPERVISING, str(tmp_path), STUBBORN]
    supervisor = subprocess.Popen(argv, cwd=ROOT)
    child, grandchild = pids(tmp_path)
    supervisor.kill()
    supervisor.wait()
    wait_for(lambda: gone(child), 10)
    psutil.Process(grandchild).kill()  # deaf on purpose: what a program leaves behind is its own affair then


def test_what_never_becomes_ready_is_reported_with_its_logs(tmp_path: Path) -> None:
    with Supervisor(cwd=tmp_path, stop_seconds=1) as supervisor:
        supervisor.start(program(tmp_path, STUBBORN))
        with pytest.raises(ProgramError, match=r"The web server was not ready after 0.5 seconds. Read .*one.log"):
            supervisor.wait_until(lambda: False, "The web server", seconds=0.5)


def test_a_port_in_use_is_said_before_anything_starts() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(
            CommandError, match=r"cannot be used \(Address already in use\); choose another with --port"
        ):
            ports.require_free("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "http://127.0.0.1:80"), ("::", "http://[::1]:80"), ("::1", "http://[::1]:80")],
)
def test_addresses_are_shown_as_a_browser_takes_them(host: str, shown: str) -> None:
    assert ports.address(host, 80) == shown


@pytest.mark.worker
def test_up_serves_until_interrupted_and_leaves_no_process(tmp_path: Path) -> None:
    env = {
        **os.environ,
        "COUNTERSIGN_VAR": str(tmp_path / "var"),
        "DATABASE_URL": f"sqlite:///{tmp_path / 'up.sqlite3'}",
    }
    port = _free_port()
    manage = [sys.executable, str(ROOT / "manage.py")]
    subprocess.run([*manage, "migrate", "--verbosity", "0"], env=env, check=True, capture_output=True)
    told = []
    with subprocess.Popen([*manage, "up", "--port", str(port)], env=env, stdout=subprocess.PIPE, text=True) as up:
        for line in up.stdout:
            told.append(line)
            if "Ctrl-C" in line:
                break
        everybody = psutil.Process(up.pid).children(recursive=True)
        assert len(everybody) >= 4  # web and its two workers; worker, its clock and its steps' server
        assert serving.web_ready(f"http://127.0.0.1:{port}")
        up.send_signal(signal.SIGINT)
        told += up.stdout.readlines()
        assert up.wait(60) == 0
    assert [process for process in everybody if process.is_running()] == []
    assert "There is no administrator yet" in "".join(told)
    assert not serving.web_ready(f"http://127.0.0.1:{port}")
    assert {path.name for path in (tmp_path / "var" / "log").iterdir()} == {"web.log", "worker.log"}


def test_up_asks_for_migrations_first(tmp_path: Path) -> None:
    env = {**os.environ, "COUNTERSIGN_VAR": str(tmp_path), "DATABASE_URL": f"sqlite:///{tmp_path / 'empty.sqlite3'}"}
    up = subprocess.run(
        [sys.executable, "manage.py", "up"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert up.returncode == 1
    assert "run manage.py migrate first" in up.stderr


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ------------------------------------------------------------------------------------------------ verify_log


@pytest.fixture
def a_log(db: None) -> None:
    """Six entries, and no trigger to protect them: what an attacker with the database's password has."""
    for number in range(6):
        with transaction.atomic():
            record(Event.RUN_STARTED, acting_user=None, subject=f"urn:countersign:run:{number}")
    triggers.remove(connection)


def verify(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    try:
        call_command("verify_log", *arguments)
    except SystemExit as end:
        return int(end.code or 0), capsys.readouterr().err
    return 0, capsys.readouterr().out


def _edit() -> None:
    AuditEvent.plain.filter(leaf__index=2).update(event="run:failed")


def _edit_entry_and_column() -> None:
    event = AuditEvent.objects.get(index=2)
    changed = event.entry.replace("run:started", "run:failed")
    AuditEvent.plain.filter(pk=event.pk).update(event="run:failed", entry=changed)


def _delete_in_the_middle() -> None:
    Leaf.objects.filter(index=3).delete()


def _delete_the_tail() -> None:
    Leaf.objects.filter(index=5).delete()


@pytest.mark.parametrize(
    ("attack", "index", "kind"),
    [
        (_edit, 2, "edited entry"),
        (_edit_entry_and_column, 2, "edited entry"),
        (_delete_in_the_middle, 3, "missing index"),
        (_delete_the_tail, 5, "checkpoint wrong"),
        (lambda: exchange(1, 2), 1, "root wrong"),
        (lambda: exchange(1, 2, with_hash=False), 1, "edited entry"),
    ],
)
def test_tampering_is_found_where_it_happened(
    a_log: None, capsys: pytest.CaptureFixture[str], attack: Callable[[], None], index: int, kind: str
) -> None:
    assert verify(capsys)[0] == 0
    attack()
    status, told = verify(capsys, "--quiet")
    assert status == 1
    assert f"DAMAGED at entry {index}: {kind}." in told


def test_a_tail_cut_off_with_its_checkpoint_is_found_by_a_kept_one(
    a_log: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    assert verify(capsys, "--save", str(kept))[0] == 0
    event = AuditEvent.objects.get(index=5)
    Leaf.objects.filter(index=5).delete()
    AuditEvent.plain.filter(pk=event.pk).delete()
    StoredCheckpoint.objects.filter(size=6).delete()
    assert verify(capsys)[0] == 0  # a whole, shorter log: only somebody who remembers can tell
    status, told = verify(capsys, "--expect", str(kept))
    assert status == 1
    assert "DAMAGED at entry 5: rolled back" in told


def test_a_saved_checkpoint_can_be_given_back_later(
    a_log: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    assert verify(capsys, "--save", str(kept))[0] == 0
    with transaction.atomic():
        record(Event.RUN_STARTED, acting_user=None, subject="urn:countersign:run:later")
    for option in ("--expect", "--since"):
        status, told = verify(capsys, option, str(kept))
        assert (status, "Now 7 entries" in told) == (0, True)
    assert "7 entries verified" in told


def test_what_is_no_checkpoint_of_this_log_is_refused(a_log: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("verify_log", "--expect", str(tmp_path / "absent"))
    other = Signer.generate("example.org/other")
    (tmp_path / "foreign").write_text(sign(Checkpoint("example.org/other", 6, bytes(32)), other))
    with pytest.raises(CommandError, match="no checkpoint of this log"):
        call_command("verify_log", "--expect", str(tmp_path / "foreign"))


def test_a_head_of_the_chain_that_came_before_the_tree_can_still_be_given(
    a_log: None, capsys: pytest.CaptureFixture[str]
) -> None:
    chain = hashlib.sha256(b"").digest()
    for entry in AuditEvent.objects.order_by("index").values_list("entry", flat=True)[:4]:
        leaf = hashlib.sha256(b"\x00" + entry.encode()).digest()
        chain = hashlib.sha256(b"\x02" + chain + leaf).digest()
    assert verify(capsys, "--expect", f"4:{chain.hex()}")[0] == 0
    status, told = verify(capsys, "--expect", f"4:{'0' * 64}")
    assert (status, "DAMAGED at entry 3: fork" in told) == (1, True)
    status, told = verify(capsys, "--expect", f"9:{chain.hex()}")
    assert (status, "DAMAGED at entry 6: rolled back" in told) == (1, True)


def test_the_sequencer_numbers_what_waits_and_says_how_much(
    db: None, settings: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.LOG_SEQUENCER = "process"
    with transaction.atomic():
        record(Event.RUN_STARTED, acting_user=None, subject="urn:countersign:run:1")
    assert log.progress() == (0, 1)
    call_command("log_sequencer", "--once")
    assert "1 events were numbered" in capsys.readouterr().out
    assert log.progress() == (1, 0)


# --------------------------------------------------------------------------------------------- create_person


def test_the_first_administrator_is_made_once(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_NEW_PASSWORD", "a long enough one to pass")
    call_command("create_person", "ada", "--full-name", "Ada Admin", "--admin")
    assert live_grants().get(role="admin").user.username == "ada"
    assert User.objects.get().check_password("a long enough one to pass")
    with pytest.raises(CommandError, match="There is an administrator already"):
        call_command("create_person", "eve", "--full-name", "Eve", "--admin")
    assert User.objects.count() == 1  # the refused one was not half made


def test_a_weak_password_is_refused_with_the_reason(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_NEW_PASSWORD", "short")
    with pytest.raises(CommandError, match="at least 12 characters"):
        call_command("create_person", "ada", "--full-name", "Ada Admin")
    assert not User.objects.exists()
