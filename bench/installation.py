"""A throw-away installation for one measurement: its own folder, database and broker, and optionally a worker."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parents[1]
ADMIN = os.environ.get("BENCH_POSTGRES", "postgres://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("BENCH_REDIS", "redis://127.0.0.1:6379/9")
RABBITMQ = os.environ.get("BENCH_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672//")
BENCH_DATABASE = "countersign_bench"


@contextmanager
def installation(*, postgres: bool, broker: str = "") -> Iterator[dict[str, str]]:
    """The environment of a fresh, migrated installation; everything is gone afterwards.

    Raises psycopg.OperationalError when PostgreSQL is asked for and not there.
    """
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        env = {
            **os.environ,
            "COUNTERSIGN_VAR": folder,
            "COUNTERSIGN_STEP_PACKAGES": "bench.steps",
            "DJANGO_SETTINGS_MODULE": "controlplane.settings",
            "OMP_NUM_THREADS": "1",
        }
        for name in ("DATABASE_URL", "BROKER_URL"):
            env.pop(name, None)
        if broker:
            env["BROKER_URL"] = broker
        if postgres:
            env["DATABASE_URL"] = _fresh_database()
        python(env, "manage.py", "migrate", "--verbosity", "0")
        yield env


@contextmanager
def worker(env: Mapping[str, str], *, concurrency: int = 2) -> Iterator[None]:
    """A real Celery worker with beat, stopped afterwards."""
    log = Path(env["COUNTERSIGN_VAR"]) / "worker.log"
    command = [sys.executable, "-m", "celery", "-A", "controlplane.celery", "worker", "-B", "-c", str(concurrency)]
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, env=dict(env), stdout=file, stderr=file, start_new_session=True)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()


def python(env: Mapping[str, str], *arguments: str) -> str:
    """Run Python in the installation and return what it printed. Raises CalledProcessError."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**env, "PYTHONPATH": str(ROOT)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


def _fresh_database() -> str:
    with psycopg.connect(ADMIN, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {BENCH_DATABASE} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {BENCH_DATABASE}")
    return ADMIN.rpartition("/")[0] + f"/{BENCH_DATABASE}"
