"""What a confined step can no longer do, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pipelines.engine import isolation

TRY = """
import json, os, socket, subprocess, threading
from pipelines.engine import isolation

found, go = {}, threading.Event()

def attempt(name, what):
    try:
        what()
        found[name] = "done"
    except OSError as error:
        found[name] = error.errno

def waits():
    go.wait()
    attempt("socket in an older thread", socket.socket)

thread = threading.Thread(target=waits)
thread.start()
read, write = os.pipe()
isolation.cut_off()
go.set()
thread.join()
attempt("socket", socket.socket)
attempt("unix socket", lambda: socket.socket(socket.AF_UNIX))
attempt("pair", socket.socketpair)
attempt("program", lambda: subprocess.run(["/bin/true"]))
attempt("signal", lambda: os.kill(os.getppid(), 0))
attempt("file", lambda: open(os.devnull).close())
attempt("pipe", lambda: os.write(write, b"x"))
new = threading.Thread(target=lambda: attempt("thread", lambda: None))
new.start()
new.join()
print(json.dumps(found))
"""
EPERM = 1


def test_a_cut_off_process_opens_no_socket_and_starts_no_program_but_goes_on_working():
    done = subprocess.run([sys.executable, "-c", TRY], capture_output=True, text=True, check=True, timeout=60)
    found = json.loads(done.stdout)
    refused = {"socket in an older thread", "socket", "unix socket", "pair", "program", "signal"}
    assert {name: answer for name, answer in found.items() if name in refused} == dict.fromkeys(refused, EPERM)
    assert [found[name] for name in ("file", "pipe", "thread")] == ["done", "done", "done"]


def test_a_machine_that_cannot_isolate_says_so_instead_of_going_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(isolation.platform, "machine", lambda: "sparc")
    with pytest.raises(isolation.IsolationError, match="sparc"):
        isolation.cut_off()
