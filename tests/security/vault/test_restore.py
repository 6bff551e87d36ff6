"""Backup and restore as docs/operations.md has it: database, store and keys on another machine, doctor content."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
KEYS = ("keyring.json", "log_key", "log_key.pub")

FILL = """
import django; django.setup()
import sys
from django.db import transaction
from tests.support.api import stored
from security.access.models import AISystem
from security.vault import services as vault
with transaction.atomic():
    system, _ = AISystem.objects.get_or_create(slug="credit", defaults={"name": "Credit", "purpose": "p"})
    vault.system_secret(system)
    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        stored(system, b"content %d " % number * (number * 20_000))
"""
READ = """
import django; django.setup()
from security.access.models import AISystem
from security.vault import services as vault
from security.vault.models import Artifact
assert len(vault.system_secret(AISystem.objects.get())) == 32
print(sorted(int(vault.read(one)[:10].split()[1] or 0) if one.size else 0 for one in Artifact.objects.all()))
"""


def run(var: Path, *arguments: str, status: int | None = 0) -> str:
    env = {**os.environ, "COUNTERSIGN_VAR": str(var), "PYTHONPATH": str(ROOT)}
    for name in ("DATABASE_URL", "BROKER_URL", "SECRET_KEY", "VAULT_KEYRING", "VAULT_ROOT"):
        env.pop(name, None)
    done = subprocess.run([sys.executable, *arguments], check=False, cwd=ROOT, env=env, capture_output=True, text=True)
    assert status is None or done.returncode == status, done.stderr[-2000:] + done.stdout[-2000:]
    return done.stdout


def test_database_store_and_keys_make_the_installation_again_elsewhere(tmp_path: Path):
    old, new, kept = tmp_path / "old", tmp_path / "new", tmp_path / "kept"
    run(old, "manage.py", "migrate", "--verbosity", "0")
    run(old, "-c", FILL, "0", "20")
    # the order of the documentation: database, then store; work goes on in between
    kept.mkdir()
    with sqlite3.connect(old / "db" / "countersign.sqlite3") as source, sqlite3.connect(kept / "db.sqlite3") as copy:
        source.backup(copy)
    source.close()
    copy.close()
    run(old, "-c", FILL, "20", "25")
    shutil.copytree(old / "vault", kept / "vault")
    for name in KEYS:
        shutil.copy2(old / "keys" / name, kept / name)
    shutil.rmtree(old)

    for folder in ("db", "keys"):
        (new / folder).mkdir(parents=True)
    shutil.copy2(kept / "db.sqlite3", new / "db" / "countersign.sqlite3")
    shutil.copytree(kept / "vault", new / "vault")
    for name in KEYS:
        shutil.copy2(kept / name, new / "keys" / name)
    run(new, "manage.py", "migrate", "--verbosity", "0")
    findings = json.loads(run(new, "manage.py", "doctor", "--json", status=None))
    assert [one for one in findings if one["status"] == "fail"] == []
    assert {one["check"]: one["status"] for one in findings}["keyring"] == "ok"
    assert json.loads(run(new, "-c", READ)) == list(range(20))
    assert "20 of 20 artifacts verified" in run(new, "manage.py", "vault_scrub")
