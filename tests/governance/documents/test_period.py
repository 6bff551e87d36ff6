"""Everything between two dates: complete, verifiable, streamed, and no formula in any cell."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tracemalloc
from datetime import timedelta

import pytest
from django.utils import timezone

from governance.documents.facts import period
from governance.documents.formats import period as streams
from governance.documents.formats import sheet
from governance.documents.outlines.period import audit_period
from security.errors import DeniedError, InvalidError
from security.log.models import AuditEvent
from tests.governance.documents.conftest import PERIOD, content, made
from tests.governance.documents.test_hostile_text import MARKUP, Reader
from tests.support.documents import make_export
from tests.support.models import make_model_version


def rows_of(data: bytes) -> list[dict]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))


def test_every_event_of_the_system_and_period_is_there_and_its_leaf_can_be_recomputed(people, subjects):
    make_model_version(people.other, people.outsider, name="foreign")
    head, *lines = [json.loads(line) for line in content(made(people, "audit-period", subjects, "jsonl")).splitlines()]
    known = AuditEvent.objects.filter(system="credit", leaf__index__lt=head["content"]["size"])
    assert [row["index"] for row in lines] == list(known.order_by("leaf__index").values_list("leaf__index", flat=True))
    assert len(lines) == head["content"]["events"] > 20
    for row in lines:
        assert hashlib.sha256(b"\0" + row["entry"].encode()).hexdigest() == row["leaf"]
        assert json.loads(row["entry"])["system"] == "credit"


def test_counts_add_up_and_the_decisions_of_the_period_are_named(people, subjects):
    facts = json.loads(content(made(people, "audit-period", subjects)))["content"]
    assert sum(row["count"] for row in facts["by_event"]) == facts["events"]
    assert sum(row["count"] for row in facts["by_actor"]) == facts["events"]
    assert [row["state"] for row in facts["decisions"]] == ["approved"]
    assert len(facts["approvals"]) == 1
    assert "Vera Validator" in {row["name"] for row in facts["by_actor"]}


def test_a_period_begins_with_its_first_moment_and_ends_before_its_last(people, subjects):
    times = list(AuditEvent.objects.filter(system="credit").order_by("time").values_list("time", flat=True))
    first, last = times[3], times[6]
    export = make_export(people.auditor, "audit-period", "credit", since=first, until=last)
    wanted = AuditEvent.objects.filter(system="credit", time__gte=first, time__lt=last).count()
    assert json.loads(content(export))["content"]["events"] == wanted
    empty = make_export(
        people.auditor, "audit-period", "credit", "pdf", since=PERIOD["since"], until=PERIOD["since"] + timedelta(1)
    )
    assert content(empty).startswith(b"%PDF")


def test_sheet_and_page_have_one_row_for_each_event(people, subjects):
    facts = json.loads(content(made(people, "audit-period", subjects)))
    sheet_ = rows_of(content(made(people, "audit-period", subjects, "csv")))
    assert len(sheet_) >= facts["content"]["events"]
    assert json.loads(sheet_[0]["recorded (JSON)"])["event"] == sheet_[0]["event"]
    page = content(made(people, "audit-period", subjects, "html")).decode()
    assert page.count("<tr><td>") >= facts["content"]["events"]
    assert page.endswith("</html>\n")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "since"),
        ({"since": PERIOD["since"]}, "until"),
        ({"since": PERIOD["until"], "until": PERIOD["since"]}, "until"),
        ({"since": PERIOD["since"], "until": PERIOD["since"]}, "until"),
    ],
)
def test_a_period_that_is_none_is_refused(given, field, people, approved):
    with pytest.raises(InvalidError) as refused:
        make_export(people.auditor, "audit-period", "credit", **given)
    assert refused.value.field == field


def test_who_may_export_but_not_view_the_log_gets_no_period(people, approved, monkeypatch):
    from security.access import table

    narrowed = {**table.ALLOWED, table.Role.AUDITOR: table.ALLOWED[table.Role.AUDITOR] - {table.Action.VIEW_LOG}}
    monkeypatch.setattr(table, "ALLOWED", narrowed)
    with pytest.raises(DeniedError, match=r"log\.view"):
        make_export(people.auditor, "audit-period", "credit", **PERIOD)


HOSTILE = ("=1+1", "+1", "-1+2", "@SUM(A1)", "\t=1", " =1", "\r=1", "\n=1", "|calc", "%0A", "＝1+1", '=cmd|"/c x"!A0')


def test_no_cell_is_a_formula_and_every_text_can_be_read_back():
    data = b"".join(sheet.write(["a", "=b"], [[text, 1.5] for text in HOSTILE] + [['say "hi", you', -3]]))
    lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
    assert lines[0] == ["a", "'=b"]
    for line, text in zip(lines[1:], HOSTILE, strict=False):
        assert not line[0].lstrip().startswith(tuple("=+-@|%\t\r＝")), text
        assert text.strip()[-3:] in line[0]
    assert lines[-1] == ['say "hi", you', "-3"]


def _synthetic(count: int):
    now = timezone.now().isoformat()
    for index in range(count):
        yield {
            "index": index, "leaf": "0" * 64, "time": now, "event": "run:created", "actor": "urn:countersign:user:x",
            "name": f"=cmd{MARKUP}", "subject": f"urn:countersign:run:{index}", "entry": '{"a":"' + "x" * 300 + '"}',
        }  # fmt: skip


@pytest.mark.parametrize("write", [streams.json_lines, streams.csv, streams.html])
def test_many_events_are_streamed_in_the_memory_of_few(write, people, subjects, monkeypatch):
    facts = json.loads(content(made(people, "audit-period", subjects)))

    def peak(count: int) -> int:
        monkeypatch.setattr(period, "entries", lambda _: _synthetic(count))
        tracemalloc.start()
        size = sum(len(piece) for piece in write(facts, audit_period))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert size > count * 100
        return found

    few = peak(1000)
    assert peak(10_000) < few + 2**20


def test_a_name_is_no_markup_and_no_formula_in_the_streams(people, subjects, monkeypatch):
    facts = json.loads(content(made(people, "audit-period", subjects)))
    monkeypatch.setattr(period, "entries", lambda _: _synthetic(3))
    read = Reader(b"".join(streams.html(facts, audit_period)))
    assert not read.tags & {"script", "img"}
    assert read.text.count(f"=cmd{MARKUP}") == 3
    assert {row["who"][:5] for row in rows_of(b"".join(streams.csv(facts, audit_period)))} == {"'=cmd"}
