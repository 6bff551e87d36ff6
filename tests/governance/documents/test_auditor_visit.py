"""The example of an auditor's visit: everything through the API with a token, everything verified offline."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections

from governance.documents import services
from governance.documents.models import Export, ExportState
from governance.services.reviews import submit
from security.log import keys
from tests.support.api import Api
from tests.support.models import make_model_version
from tests.support.people import People
from tests.support.reviews import sign

SINCE = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def example() -> ModuleType:
    path = Path(__file__).parents[3] / "examples" / "auditor_visit.py"
    spec = importlib.util.spec_from_file_location("auditor_visit", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def http(people: People) -> Iterator[httpx.Client]:
    """httpx on the WSGI application; it leaves the test's own database connection open between requests."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    transport = httpx.WSGITransport(app=get_wsgi_application())
    headers = Api(people.auditor, scopes=["read", "export"]).headers
    with httpx.Client(transport=transport, base_url="http://localhost", headers=headers) as client:
        yield client
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def work() -> None:
    """What a worker would do while the auditor waits."""
    for export in Export.objects.filter(state=ExportState.WAITING):
        services.make(export.pk)


def test_a_whole_visit_ends_with_files_that_all_verify(example, http, people, approved, tmp_path, capsys):
    rejected = submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))
    sign(people.validator, rejected, "reject")
    key = keys.verifiers()[0].vkey()
    files = example.main(http, "credit", tmp_path / "visit", key, SINCE, work)
    said = capsys.readouterr().out
    assert "Aldo Auditor visits credit" in said
    assert "1 of 2 model versions may be used" in said
    assert [file.suffix for file in files].count(".pdf") == 5  # profile, standing, two reports, a certificate
    assert (tmp_path / "visit" / "tiny-v1.zip") in files
    assert len(list((tmp_path / "visit").glob("*.tlog-proof"))) == len(files) - 1
    assert Export.objects.filter(requested_by=people.auditor, purpose=example.PURPOSE).count() == len(files) - 1


def test_the_visit_stops_at_a_file_that_was_changed(example, http, people, approved, tmp_path):
    key = keys.verifiers()[0].vkey()
    file = example.taken(
        http, tmp_path, work, kind="audit-period", subject="credit", format="jsonl",
        since=SINCE.isoformat(), until=datetime.now(UTC).isoformat(),
    )  # fmt: skip
    receipt = file.with_name(f"{file.name}.tlog-proof")
    example.verified(receipt, key)
    example.receipt_names(receipt, file)
    before, changed, after = file.read_bytes().rpartition(b"run:created")
    assert changed
    file.write_bytes(before + b"run:creaded" + after)
    with pytest.raises(example.VisitError, match="another file"):
        example.receipt_names(receipt, file)
    with pytest.raises(example.VisitError, match="was changed"):
        example.check_period(file)


def test_the_visit_says_what_was_refused(example, http):
    with pytest.raises(example.VisitError, match="There is no such"):
        example.main(http, "nowhere", Path("unused"), "key", SINCE, work)
