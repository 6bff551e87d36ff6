"""Fixtures: people with roles in a system, the engine without a worker, and a vault of one's own for every test."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

# Before Django reads its settings: a test run never touches the installation's own files.
os.environ["COUNTERSIGN_VAR"] = tempfile.mkdtemp(prefix="countersign-test-")
os.environ["COUNTERSIGN_STEP_PACKAGES"] = "tests.support.steps"
os.environ["DJANGO_SETTINGS_MODULE"] = "controlplane.settings"

import django
import pytest
from django.conf import settings as django_settings
from django.db import connection, transaction
from django.test import TransactionTestCase

django_settings.PASSWORD_HASHERS = ["tests.support.hashing.QuickArgon2", *django_settings.PASSWORD_HASHERS]
django.setup()

from governance import triggers as governance_triggers
from governance.risk import triggers as risk_triggers
from security.access.models import AISystem
from security.identity.models import User
from security.log import background, pressure, sequencer, triggers
from tests.support.people import People
from tests.support.real_data import real_data

# Where every service is meant to be there, a test that needs one and skips has failed; but for the tests of what only
# PostgreSQL does, when the suite runs on SQLite.
REQUIRED = os.environ.get("COUNTERSIGN_REQUIRE_SERVICES") == "1"
NEEDS_A_SERVICE = ("browser", "worker")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where the suite runs a second time for another database and queue (COUNTERSIGN_SECOND_RUN), what touches neither
    would only say the same again."""
    if os.environ.get("COUNTERSIGN_SECOND_RUN") != "1":
        return
    kept, left_out = [], []
    for item in items:
        asked = {"db", "transactional_db"} & set(getattr(item, "fixturenames", ()))
        marked = any(item.get_closest_marker(name) for name in ("django_db", "postgresql", *NEEDS_A_SERVICE))
        (kept if asked or marked else left_out).append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("postgresql")
    if marker and connection.vendor != "postgresql":
        pytest.skip(f"only on PostgreSQL: {marker.args[0]}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    elsewhere = item.get_closest_marker("postgresql") and connection.vendor != "postgresql"
    needed = any(item.get_closest_marker(name) for name in NEEDS_A_SERVICE)
    if REQUIRED and report.skipped and needed and not elsewhere:
        report.outcome, report.longrepr = (
            "failed",
            f"skipped, but COUNTERSIGN_REQUIRE_SERVICES is set: {report.longrepr}",
        )
    return report


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """SQLite's test database is a file, so that a worker process can open it too."""
    if connection.vendor == "sqlite":
        name = str(Path(os.environ["COUNTERSIGN_VAR"]) / "db" / "test.sqlite3")
        connection.settings_dict.setdefault("TEST", {})["NAME"] = name


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the browser, from COUNTERSIGN_CHROMIUM or PATH; tests that need it say so when it is absent."""
    names = (os.environ.get("COUNTERSIGN_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium here: install the package chromium, or set COUNTERSIGN_CHROMIUM to its path")
    return found


@pytest.fixture
def worker_env(settings: pytest.FixtureRequest) -> dict[str, str]:
    """The environment in which another process works on this test's database, queue, vault and folders."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{database['NAME']}"
    else:
        who, where = f"{database['USER']}:{database['PASSWORD']}", f"{database['HOST']}:{database['PORT']}"
        url = f"postgres://{who}@{where}/{database['NAME']}"
    return {
        **os.environ,
        "DATABASE_URL": url,
        "VAULT_KEYRING": str(settings.VAULT_KEYRING),
        "VAULT_ROOT": str(settings.STORAGES["vault"]["OPTIONS"]["location"]),
        "SOURCE_ROOTS": ",".join(map(str, settings.SOURCE_ROOTS)),
        "SECRET_KEY": django_settings.SECRET_KEY,
        "OMP_NUM_THREADS": "1",
    }


@pytest.fixture(autouse=True)
def _own_folders(settings: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Each test has its own vault, keyring, scratch and source folders."""
    scratch, data = tmp_path / "scratch", tmp_path / "data"
    scratch.mkdir()
    data.mkdir()
    settings.VAULT_KEYRING = tmp_path / "keys" / "keyring.json"
    settings.ENGINE_SCRATCH = scratch
    settings.SOURCE_ROOTS = [data]
    vault = dict(settings.STORAGES["vault"]["OPTIONS"], location=tmp_path / "vault")
    settings.STORAGES = {**settings.STORAGES, "vault": {**settings.STORAGES["vault"], "OPTIONS": vault}}


@pytest.fixture(autouse=True)
def _number_at_once(settings: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test records is numbered when it is committed; in a test that never commits, when it is recorded."""
    after_commit = background.after_commit

    def at_once() -> None:
        blocks = connection.atomic_blocks
        if blocks and getattr(blocks[0], "_from_testcase", False) and settings.LOG_SEQUENCER == "inline":
            sequencer.number_all()
        else:
            after_commit()

    settings.LOG_SEQUENCER = "inline"
    monkeypatch.setattr(background, "after_commit", at_once)
    pressure.forget()


@pytest.fixture
def data_root(settings: pytest.FixtureRequest) -> Path:
    """The allowed root that extract steps read from."""
    return Path(settings.SOURCE_ROOTS[0])


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets; tests that need it say so when it is absent."""
    return real_data("adult.csv").parent


@pytest.fixture
def people(db: None, _number_at_once: None) -> People:
    """One person per role, all in the system ``credit``, and a system ``other`` with people of its own.

    What making them records is numbered once for all of them, which saves most of its time.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(background, "after_commit", lambda: None)
        made = People()
    sequencer.number_all()
    return made


@pytest.fixture
def system(people: People) -> AISystem:
    return people.system


@pytest.fixture
def engineer(people: People) -> User:
    return people.engineer


def _delete_all() -> None:
    """Empty the tables of models. Django would truncate them, which takes PostgreSQL a file for each: five seconds of a
    test. Foreign keys are checked at the end of the transaction, so the order does not matter."""
    kept = {"django_content_type", "auth_permission"}  # made by migrations, never changed by a test
    with transaction.atomic(), connection.cursor() as cursor:
        for table in connection.introspection.django_table_names(only_existing=True, include_views=False):
            if table not in kept:
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")


@pytest.fixture(scope="session", autouse=True)
def _flush_past_the_append_only_log() -> Iterator[None]:
    """The test database is emptied between transactional tests, which the log's triggers rightly refuse.

    For the whole session, since a test's own patches are undone before its database is emptied.
    """
    original = TransactionTestCase._fixture_teardown

    def teardown(case: TransactionTestCase) -> None:
        triggers.remove(connection)
        governance_triggers.remove(connection)
        risk_triggers.remove(connection)
        if connection.vendor == "postgresql":
            _delete_all()
        else:
            original(case)
        risk_triggers.install(connection)
        governance_triggers.install(connection)
        triggers.install(connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", teardown)
        yield
