"""Asking for documents: who may, what the log has of it, and what happens when it cannot be made."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from governance.documents import services
from governance.documents.formats import pdf
from governance.documents.models import Export, ExportState
from security.access.models import RoleGrant
from security.errors import DeniedError, InvalidError, MissingError, UnavailableError
from security.log.models import AuditEvent, Personal
from tests.governance.documents.conftest import content
from tests.support.documents import make_export


def ask(user, subject, **more):
    given = {"kind": "model-card", "format": "json", "purpose": "yearly audit", **more}
    return services.request(acting_user=user, subject=str(subject), **given)


def test_the_log_has_who_asked_what_for_and_the_digest_of_what_was_made(people, approved):
    export = ask(people.auditor, approved.pk)
    asked, made = AuditEvent.objects.filter(subject=f"urn:countersign:export:{export.pk}").order_by("index")
    assert (asked.event, made.event) == ("export:requested", "export:created")
    assert asked.actor == made.actor == f"urn:countersign:user:{people.auditor.pk}"
    payload = json.loads(made.entry)["payload"]
    assert payload["digest"] == hashlib.sha256(content(export)).hexdigest() == export.artifact.digest
    assert payload["about"] == f"urn:countersign:model-version:{approved.pk}"
    # the purpose is a person's own words: the entry commits to it, so that it can be erased
    assert "yearly audit" not in asked.entry
    assert json.loads(Personal.objects.get(event=asked).values) == {"purpose": "yearly audit"}


def test_no_document_without_its_event_and_no_event_without_its_document(people, approved, monkeypatch):
    def broken(event, **more):
        if event == "export:created":
            raise RuntimeError("the log is away")
        return record(event, **more)

    record = services.record
    monkeypatch.setattr(services, "record", broken)
    with pytest.raises(RuntimeError):
        ask(people.auditor, approved.pk)
    assert Export.objects.filter(state="made").count() == 0
    assert not AuditEvent.objects.filter(event="export:created").exists()


@pytest.mark.parametrize("who", ["engineer", "admin"])
def test_who_may_not_export_is_refused_and_nothing_is_written(who, people, approved):
    with pytest.raises(DeniedError, match=r"export\.create"):
        ask(getattr(people, who), approved.pk)
    assert not Export.objects.exists()


def test_what_one_may_not_see_does_not_exist(people, approved):
    for stranger in (people.outsider, people.nobody):
        with pytest.raises(MissingError):
            ask(stranger, approved.pk)
    with pytest.raises(MissingError):
        ask(people.auditor, "not an id\0")


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("kind", {"kind": "horoscope"}),
        ("format", {"format": "docx"}),
        ("purpose", {"purpose": " \n\t "}),
        ("purpose", {"purpose": "x" * 501}),
        ("purpose", {"purpose": "audit\x00"}),
        ("purpose", {"purpose": "audit \u202etidua"}),
        ("since", {"since": timezone.now()}),
    ],
)
def test_a_request_that_makes_no_sense_says_which_part(field, given, people, approved):
    with pytest.raises(InvalidError) as refused:
        ask(people.auditor, approved.pk, **given)
    assert refused.value.field == field
    assert not Export.objects.exists()


def test_what_may_take_long_waits_for_a_worker_and_is_made_once(people, approved, django_capture_on_commit_callbacks):
    sent = []
    with pytest.MonkeyPatch.context() as patch, django_capture_on_commit_callbacks(execute=True):
        patch.setattr(services, "send", sent.append)
        export = ask(people.auditor, "credit", kind="model-inventory")
    assert (sent, export.state) == ([export.pk], "waiting")
    assert services.make(export.pk) == "made"
    assert services.make(export.pk) == "not waiting"
    assert AuditEvent.objects.filter(event="export:created").count() == 1


def test_whose_role_ended_while_it_waited_gets_nothing(people, approved):
    export = ask(people.auditor, "credit", kind="model-inventory")
    RoleGrant.objects.filter(user=people.auditor).update(revoked_at=timezone.now())
    assert services.make(export.pk) == "failed"
    export.refresh_from_db()
    assert (export.state, export.artifact) == ("failed", None)
    assert "needs the role" in export.error
    assert AuditEvent.objects.filter(event="export:failed").count() == 1


def test_what_fails_by_a_fault_is_tried_three_times_and_tells_no_secret(people, approved, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("password=hunter2")

    export = ask(people.auditor, "credit", kind="model-inventory")
    monkeypatch.setattr(services.log, "head", broken)
    for tries in (1, 2, 3):
        services.make(export.pk)
        export.refresh_from_db()
        assert (export.attempts, export.state) == (tries, "failed" if tries == 3 else "waiting")
    assert "hunter2" not in export.error
    assert services.make(export.pk) == "not waiting"


def test_a_store_that_is_away_fails_a_page_but_only_delays_a_worker(people, approved, monkeypatch):
    def away(*_):
        raise UnavailableError("The vault's disk is full.")

    monkeypatch.setattr(services.vault, "put", away)
    with pytest.raises(UnavailableError):
        ask(people.auditor, approved.pk)
    assert Export.objects.get().state == "failed"
    later = ask(people.auditor, "credit", kind="model-inventory")
    services.make(later.pk)
    later.refresh_from_db()
    assert later.state == "waiting"


def test_what_a_dead_worker_holds_is_taken_back_and_its_late_result_is_dropped(people, approved, monkeypatch):
    sent = []
    monkeypatch.setattr(services, "send", lambda pk: not sent.append(pk))
    export = ask(people.auditor, "credit", kind="model-inventory")
    claimed = services._claim(export.pk)
    stored = services.vault.put([b"late"])
    Export.objects.update(claimed_at=timezone.now() - timedelta(hours=1))
    Export.objects.update(requested_at=timezone.now() - timedelta(hours=1))
    assert services.take_back() == 1
    assert sent == [export.pk]
    services._claim(export.pk)
    assert services._keep(claimed, services.KINDS[export.kind], stored) == "taken back"
    assert Export.objects.get().state == "making"


def test_a_broker_that_is_away_loses_nothing(people, approved, monkeypatch):
    def away(*_, **__):
        raise OSError("no broker")

    monkeypatch.setattr(services.current_app, "send_task", away)
    export = ask(people.auditor, "credit", kind="model-inventory")
    assert services.send(export.pk) is False
    assert services.make(export.pk) == "made"


def test_a_template_that_is_broken_is_not_the_readers_fault(people, approved, monkeypatch):
    monkeypatch.setattr(pdf, "_SCRIPT", pdf._SCRIPT.parent / "apps.py")
    with pytest.raises(pdf.NotSetError):
        ask(people.auditor, approved.pk, format="pdf")
    assert Export.objects.get().error == services._FAULT


def test_the_database_refuses_a_made_document_without_its_bytes(people, approved):
    export = make_export(people.auditor, "model-card", approved.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        Export.objects.filter(pk=export.pk).update(artifact=None)
    with pytest.raises(IntegrityError), transaction.atomic():
        Export.objects.filter(pk=export.pk).update(state=ExportState.WAITING)
    with pytest.raises(IntegrityError), transaction.atomic():
        Export.objects.filter(pk=export.pk).update(purpose="")
