"""Exports over REST: asked for, listed, taken away, proven."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys

import pytest

from governance.documents.models import Export
from governance.exports import VERIFIER
from security.log import keys, receipts
from security.log.events import Event
from security.log.models import AuditEvent
from security.vault import shredding
from tests.support.api import Api
from tests.support.documents import make_export


@pytest.fixture
def auditor(people):
    return Api(people.auditor, scopes=["read", "export"])


def body(subject, **more):
    return {"kind": "model-card", "format": "html", "subject": str(subject), "purpose": "yearly audit", **more}


def test_a_document_is_asked_for_read_and_proven_offline(auditor, approved, tmp_path):
    answer = auditor.post("exports", body(approved.pk))
    assert answer.status_code == 201
    export = answer.json()
    assert answer["Location"] == f"/api/v1/exports/{export['id']}"
    assert auditor.get(answer["Location"]).json() == export
    got = auditor.get(f"exports/{export['id']}/content")
    data = got.getvalue()
    digest = hashlib.sha256(data)
    assert digest.hexdigest() == export["artifact"]["digest"]
    assert got["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert got["Content-Disposition"] == f'attachment; filename="{export["filename"]}"'
    assert got["X-Content-Type-Options"] == "nosniff"
    receipt = tmp_path / "export.tlog-proof"
    receipt.write_bytes(auditor.get(f"exports/{export['id']}/receipt").content)
    command = [sys.executable, "-I", str(VERIFIER), str(receipt), "--key", keys.verifiers()[0].vkey()]
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert told.returncode == 0, told.stdout
    entry = receipts.about(f"urn:countersign:export:{export['id']}", Event.EXPORT_CREATED).entry
    assert digest.hexdigest() in entry
    assert base64.b64encode(entry.encode()).decode() in receipt.read_text()  # the entry that was proven is this one


def test_each_reading_of_a_document_is_on_record(auditor, approved):
    export = auditor.post("exports", body(approved.pk)).json()
    before = AuditEvent.objects.filter(event="artifact:read").count()
    auditor.get(f"exports/{export['id']}/content").getvalue()
    assert AuditEvent.objects.filter(event="artifact:read").count() == before + 1


def test_a_key_makes_a_document_once(auditor, approved):
    key = {"Idempotency-Key": "one"}
    first = auditor.post("exports", body(approved.pk), headers=key)
    again = auditor.post("exports", body(approved.pk), headers=key)
    assert first.json() == again.json()
    assert (again.status_code, Export.objects.count()) == (201, 1)


def test_what_waits_is_202_then_409_and_then_there(auditor, approved):
    from governance.documents.services import make

    answer = auditor.post("exports", body("credit", kind="model-inventory"))
    export = answer.json()
    assert (answer.status_code, export["state"], export["artifact"]) == (202, "waiting", None)
    assert auditor.get(f"exports/{export['id']}/content").status_code == 409
    assert auditor.get(f"exports/{export['id']}/receipt").status_code == 404
    make(export["id"])
    assert auditor.get(f"exports/{export['id']}/content").status_code == 200


def test_the_list_is_filtered_and_holds_only_my_systems(auditor, people, approved):
    make_export(people.auditor, "model-card", approved.pk)
    make_export(people.owner, "model-inventory", "credit")
    assert auditor.get("exports", kind="model-card").json()["count"] == 1
    assert auditor.get("exports", requested_by="olga").json()["count"] == 1
    assert auditor.get("exports", state="waiting").json()["count"] == 0
    assert Api(people.outsider).get("exports").json()["count"] == 0
    assert auditor.get("exports", kind="nonsense").status_code == 422


def test_the_kinds_say_who_may_ask_and_about_what(auditor):
    kinds = {row["name"]: row for row in auditor.get("document-kinds").json()["results"]}
    assert kinds["approval-certificate"]["subject"] == "approval"
    assert kinds["model-card"]["roles"] == ["validator", "risk officer", "auditor", "owner"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"kind": "x"}, "kind"), ({"format": "docx"}, "format"), ({"purpose": ""}, "purpose"), ({"extra": 1}, "extra")],
)
def test_a_wrong_body_names_the_member(wrong, field, auditor, approved):
    answer = auditor.post("exports", body(approved.pk, **wrong))
    assert answer.status_code in (400, 422)
    assert field in str(answer.json())


def test_a_token_that_may_only_read_makes_nothing(people, approved):
    answer = Api(people.auditor, scopes=["read"]).post("exports", body(approved.pk))
    assert (answer.status_code, Export.objects.count()) == (403, 0)


def test_an_erased_document_is_gone_and_stays_on_record(auditor, people, approved):
    export = make_export(people.auditor, "model-card", approved.pk)
    shredding.shred(acting_user=people.owner, artifact=export.artifact, ground="no-longer-needed")
    assert auditor.get(f"exports/{export.pk}/content").status_code == 410
    assert auditor.get(f"exports/{export.pk}").json()["artifact"]["digest"] == export.artifact.digest
