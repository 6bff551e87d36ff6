"""PDFs: for the archive, the same bytes each time, and whatever people write is text in them."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys

import pypdf
import pytest

from governance.documents import typesetting, visible
from governance.documents.formats import pdf
from governance.documents.kinds import KINDS
from security.canonical import canonical_json
from security.errors import UnavailableError
from tests.governance.documents.conftest import content, text_of
from tests.support.documents import make_export


@pytest.fixture
def facts(people, subjects):
    """The facts of a validation report, which has every part that a document can have."""
    return json.loads(content(make_export(people.auditor, "validation-report", subjects["review"])))


def test_the_same_facts_give_the_same_bytes_and_other_facts_give_others(facts):
    outline = KINDS["validation-report"].outline
    first, second = (pdf.write(outline(facts), facts) for _ in range(2))
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()
    assert pdf.write(outline(facts), {**facts, "label": "another"}) != first


def test_it_says_that_it_is_pdf_a_3b_and_pdf_ua_1_and_carries_its_facts(facts):
    data = pdf.write(KINDS["validation-report"].outline(facts), facts)
    read = pypdf.PdfReader(io.BytesIO(data))
    xmp = read.xmp_metadata.stream.get_data().decode()
    for said in ("<pdfaid:part>3", "<pdfaid:conformance>B", "<pdfuaid:part>1"):
        assert said in xmp
    assert read.attachments["facts.json"] == [canonical_json(facts)]
    name = read.trailer["/Root"]["/AF"][0].get_object()
    assert (name["/F"], name["/AFRelationship"]) == ("facts.json", "/Source")
    assert read.metadata.creation_date.isoformat()[:19] == facts["made_at"][:19]


def test_every_character_that_is_let_through_can_be_set():
    """PDF/A forbids a character without a glyph: one that no font has would end every document that holds it."""
    letters = [chr(code) for code in sorted(visible.COVERED)]
    rows = [["x", "".join(letters[at : at + 64])] for at in range(0, len(letters), 64)]
    outline = {
        "title": "Characters", "lead": "", "running": "", "mark": "", "head": [],
        "sections": [{"title": "All", "parts": [{"type": "facts", "rows": rows}]}],
    }  # fmt: skip
    made = typesetting.typeset(json.dumps(outline), "{}", "2026-11-21T06:50:48Z")
    assert made.startswith(b"%PDF")


@pytest.mark.parametrize("hidden", ["\u202egnp.exe", "名前", "\U0001f600", "\x07", "\ud800", "\ufeff", "שלום"])
def test_what_no_font_has_or_nobody_sees_is_named_by_its_number(hidden, facts):
    shown = visible.for_paper(f"a{hidden}b")
    assert shown.startswith("a⟨U+")
    assert not set(shown) & set(hidden) - set("gnp.exe")
    assert visible.for_screen("名前") == "名前"
    assert visible.for_screen("a\u202eb\ud800") == "a⟨U+202E⟩b⟨U+D800⟩"


def test_a_text_of_ten_thousand_characters_without_a_space_is_set(facts):
    facts["content"]["review"]["note"] = "W" * 10_000
    text = text_of(pdf.write(KINDS["validation-report"].outline(facts), facts))
    assert text.count("W") >= 10_000


def test_the_typesetter_is_told_nothing_but_the_job(monkeypatch, facts):
    seen = {}

    def run(command, **more):
        seen.update(more, command=command)
        return subprocess.CompletedProcess(command, 0, b"%PDF", b"")

    monkeypatch.setattr(subprocess, "run", run)
    assert pdf.write({"title": "x"}, facts) == b"%PDF"
    assert seen["env"] == {}
    assert seen["command"][:2] == [sys.executable, "-I"]
    assert set(json.loads(seen["input"])) == {"outline", "source", "made_at"}


def test_a_document_that_takes_too_long_is_ended_and_said_to_be(monkeypatch, facts):
    monkeypatch.setattr(pdf, "SECONDS", 0.001)
    with pytest.raises(UnavailableError, match="took longer"):
        pdf.write(KINDS["validation-report"].outline(facts), facts)
