"""The pages of reports: made by a form, explained, and with as many queries for many as for few."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from governance.documents.kinds import KINDS
from governance.documents.models import Export
from governance.documents.selectors import subjects as offered
from tests.governance.documents.conftest import PERIOD
from tests.support.documents import make_export
from tests.support.models import make_model_version


@pytest.fixture
def auditor(people):
    client = Client()
    client.force_login(people.auditor)
    return client


def test_a_document_is_made_by_the_form_and_taken_away(auditor, approved):
    address = reverse("report-new", args=["credit", "model-card"])
    page = auditor.get(address).content.decode()
    assert f'<option value="{approved.pk}">' in page
    answer = auditor.post(address, {"subject": approved.pk, "format": "pdf", "purpose": "for the board"}, follow=True)
    export = Export.objects.get()
    text = answer.content.decode()
    assert "Made, and on record." in text
    assert export.artifact.digest in text
    got = auditor.get(reverse("report-content", args=[export.pk]))
    assert got.getvalue().startswith(b"%PDF")
    assert got["Content-Disposition"].startswith("attachment")
    listed = auditor.get(reverse("reports")).content.decode()
    assert "for the board" in listed


def test_what_is_missing_is_said_at_its_field(auditor, approved):
    answer = auditor.post(reverse("report-new", args=["credit", "model-card"]), {"subject": approved.pk})
    text = answer.content.decode()
    assert "Say what the document is for." in text
    assert not Export.objects.exists()


def test_a_purpose_is_never_markup(auditor, people, approved):
    make_export(people.auditor, "model-card", approved.pk, purpose="<script>alert(1)</script>")
    for address in (reverse("reports"), reverse("report", args=[Export.objects.get().pk])):
        text = auditor.get(address).content.decode()
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)" in text


def test_an_engineer_sees_what_was_made_and_why_they_cannot_take_it(people, approved):
    export = make_export(people.auditor, "model-card", approved.pk)
    client = Client()
    client.force_login(people.engineer)
    text = client.get(reverse("report", args=[export.pk])).content.decode()
    assert "needs the role" in text
    assert reverse("report-content", args=[export.pk]) not in text
    assert client.get(reverse("report-new", args=["credit", "model-card"])).status_code == 403
    assert client.get(reverse("report-new", args=["credit", "horoscope"])).status_code == 404


def test_a_waiting_document_looks_again_and_a_made_one_does_not(auditor, people, approved):
    from governance.documents.services import make, request

    export = request(
        acting_user=people.auditor, kind="model-inventory", format="json", subject="credit", purpose="audit"
    )
    address = reverse("report", args=[export.pk])
    assert 'hx-trigger="every 2s"' in auditor.get(address).content.decode()
    make(export.pk)
    part = auditor.get(address, headers={"HX-Request": "true"}).content.decode()
    assert "hx-trigger" not in part
    assert "<html" not in part


def test_pages_and_facts_take_as_many_queries_for_many_rows_as_for_few(auditor, people, subjects):
    def counts():
        found = {}
        for address in (reverse("reports"), reverse("report-new", args=["credit", "model-card"])):
            auditor.get(address)
            with CaptureQueriesContext(connection) as seen:
                assert auditor.get(address).status_code == 200
            found[address] = len(seen)
        for name, kind in KINDS.items():
            row = kind.noun.rows().get(**{kind.noun.key: subjects[kind.noun.word]})
            with CaptureQueriesContext(connection) as seen:
                kind.facts(row, **{name: PERIOD.get(name) or timezone.now() for name in kind.takes})
            found[name] = len(seen)
        return found

    make_export(people.auditor, "model-card", subjects["model-version"])
    few = counts()
    for number in range(4):
        version = make_model_version(people.system, people.engineer, name=f"m{number}")
        make_export(people.auditor, "model-card", version.pk)
    assert len(offered(KINDS["model-card"], people.system)) == 5
    assert counts() == few
