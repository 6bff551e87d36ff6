"""Every kind of document in every format, of one approved model version."""

from __future__ import annotations

import json

import pytest

from governance.documents.kinds import KINDS
from pipelines.models import StepRun
from security.canonical import canonical_json, digest_of
from tests.governance.documents.conftest import content, made, text_of
from tests.support.documents import make_export
from tests.support.models import add_evidence, make_model_version

BEGINS = {
    "pdf": b"%PDF-1.7",
    "html": b"<!DOCTYPE html>",
    "json": b"{",
    "jsonl": b"{",
    "csv": b"\xef\xbb\xbf",
    "huggingface": b"---\n",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_comes_in_every_format_and_its_facts_say_whose_it_is(kind, people, subjects):
    if kind == "open-items":  # of which there is nothing to say in OSCAL while nothing is open
        make_model_version(people.system, people.engineer, name="worse", verdict="fail")
    for name, format in KINDS[kind].formats.items():
        export = made(people, kind, subjects, name)
        assert content(export).startswith(BEGINS.get(name, b"{")), (kind, name)
        assert export.artifact.media_type == format.media_type
    export = made(people, kind, subjects)
    facts = json.loads(content(export))
    assert canonical_json(facts) == content(export)
    assert (facts["export"], facts["kind"], facts["purpose"]) == (str(export.pk), kind, "yearly audit")
    assert facts["requested_by"] == {"id": str(people.auditor.pk), "name": "Aldo Auditor"}


def test_a_certificate_shows_printed_name_time_and_meaning_of_each_signature(people, subjects):
    export = make_export(people.auditor, "approval-certificate", subjects["approval"], "pdf")
    facts = json.loads(content(make_export(people.auditor, "approval-certificate", subjects["approval"])))
    text = text_of(content(export))
    assert len(facts["content"]["signatures"]) == 2
    for signed in facts["content"]["signatures"]:
        content_ = {name: value for name, value in signed.items() if name != "digest"}
        assert digest_of(content_) == signed["digest"]  # what stands in the log can be recomputed from the document
        printed = f"{signed['printed_name']}Approved: read the evidence and takes responsibility"
        assert printed.replace(" ", "") in text
        assert f"{signed['signed_at'][:10]}{signed['signed_at'][11:19]}(UTC)" in text
        assert signed["digest"] in text
    assert facts["content"]["approval"]["subject_digest"] in text


def test_a_report_shows_the_evidence_that_was_bound_and_not_what_came_later(people, approved, subjects):
    train = StepRun.objects.get(run=approved.step_run.run, name="train")
    later = add_evidence(train, "holdout_metrics", approved.artifact, verdict="fail", n=7)
    report = json.loads(content(make_export(people.auditor, "validation-report", subjects["review"])))["content"]
    bound = {row["digest"] for row in report["review"]["subject"]["evidence"]}
    assert {row["digest"] for row in report["evidence"]} == bound
    assert later.digest not in bound
    assert {gate["verdict"] for gate in report["gates"]} == {"pass"}
    assert (report["changed_since"], report["approval"]["status"]) == (["evidence"], "void")
    card = json.loads(content(make_export(people.auditor, "model-card", approved.pk)))["content"]
    assert later.digest in {row["digest"] for row in card["evidence"]}


def test_an_inventory_names_what_may_be_used_and_what_may_not(people, approved):
    newer = make_model_version(people.system, people.engineer)
    make_model_version(people.system, people.engineer, name="unapproved")
    rows = json.loads(content(make_export(people.auditor, "model-inventory", "credit")))["content"]["models"]
    used = {row["model"]: row["in_use"]["digest"] for row in rows}
    assert used == {"tiny": approved.artifact.digest, "unapproved": ""}
    assert {row["newest"]["digest"] for row in rows} >= {newer.artifact.digest}
