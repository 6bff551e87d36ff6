"""Whoever writes a name, a note or a reason writes text: no field of any document is ever code or markup."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest

from governance.documents.formats import page, pdf
from governance.documents.kinds import KINDS
from tests.governance.documents.conftest import content, made, text_of

TYPST = '#panic("owned") #eval("1+1") $x^2$ *b* _i_ `r` <l> @l = H // c \\u{41} #read("/etc/passwd") #sys.inputs'
MARKUP = "</p></td></script><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 }}{% now %}&amp;<!--"
READABLE = [name for name, kind in KINDS.items() if {"pdf", "html", "json"} <= set(kind.formats)]
KEPT = (
    "made_at",
    "format",
    "export",
    "kind",
    "event",
    "from",
)  # what the house itself writes and the outline chooses by


class Reader(HTMLParser):
    """Every tag with its attributes, and all text."""

    def __init__(self, data: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(data.decode())

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text += data


def poisoned(value, payload, name=""):
    """The facts with the payload after every text that is not the house's own."""
    if isinstance(value, str):
        return value if name in KEPT else value + payload
    if isinstance(value, dict):
        return {key: poisoned(one, payload, key) for key, one in value.items()}
    return [poisoned(one, payload, name) for one in value] if isinstance(value, list) else value


@pytest.fixture
def facts(people, subjects):
    """The facts of every readable kind."""
    return {name: json.loads(content(made(people, name, subjects))) for name in READABLE}


def test_typst_in_every_field_is_shown_and_not_carried_out(facts):
    for name, given in facts.items():
        hostile = poisoned(given, TYPST)
        text = text_of(pdf.write(KINDS[name].outline(hostile), hostile))
        assert text.count("".join(TYPST.split())) > 5, name
        assert "root:x:0:0" not in text


def test_markup_in_every_field_is_shown_and_makes_no_element(facts):
    for name, given in facts.items():
        clean = Reader(page.write(KINDS[name].outline(given), given))
        hostile = poisoned(given, MARKUP)
        read = Reader(page.write(KINDS[name].outline(hostile), hostile))
        assert read.tags <= clean.tags, name
        assert read.attributes <= clean.attributes, name
        assert not read.tags & {"script", "img", "iframe", "object", "form", "a", "link"}
        assert read.text.count(MARKUP) > 5, name
