"""OSCAL catalogues in and out: what NIST's own schema accepts, and what no catalogue may be."""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.frameworks import builtin, oscal, shapes
from governance.frameworks.oscal import InvalidCatalogueError
from governance.frameworks.services.catalogues import parse
from tests.support.catalogues import MOMENT, control, large, small
from tests.support.real_data import reference

UUID = str(uuid.uuid4())
# something right for every kind of text
RIGHT = {
    "token": "a-1", "string": "some text", "line": "A <b>line</b>", "markup": "a\n\n* list", "uri": "https://example.org/a",
    "reference": "#a-1", "uuid": UUID, "moment": MOMENT, "base64": "YWJj", "email": "a@example.org",
    "how-many": "one-or-more", "party-type": "organization",
}  # fmt: skip


@pytest.fixture(scope="module")
def schema() -> Any:
    """The published schema of catalogues, OSCAL 1.2.1."""
    text = reference("oscal/oscal_catalog_schema_1.2.1.json").read_text()
    return jsonschema_rs.validator_for(json.loads(text))


def full(shape: str, within: tuple[str, ...] = (), leave: int = 1) -> dict[str, Any]:
    """A document of that shape with every member that the table knows; of two alternatives the one at ``leave``."""
    out = shapes.EITHER[shape][leave] if shape in shapes.EITHER else ""
    made: dict[str, Any] = {}
    for name, what in shapes.SHAPES[shape].items():
        kind = what.strip("*!")
        if name == out or (kind in within and not what.endswith("!")):
            continue
        value: Any = RIGHT.get(kind) or full(kind, (*within, kind), leave)
        made[name] = [value] if what.startswith("*") else value
    return made


def complaint(document: Any) -> InvalidCatalogueError:
    with pytest.raises(InvalidCatalogueError) as found:
        oscal.read(document)
    return found.value


def places(document: Any) -> list[str]:
    return [error["field"] for error in complaint(document).extra["errors"]]


# ------------------------------------------------------------------------------------------ against NIST's schema


@pytest.mark.parametrize("leave", [0, 1])
def test_the_table_of_shapes_knows_only_what_the_published_schema_accepts(schema: Any, leave: int):
    document = full("document", leave=leave)
    assert list(shapes.wrong(document)) == []
    assert list(schema.iter_errors(document)) == []


def test_the_table_of_shapes_knows_all_that_the_published_schema_accepts():
    """No member of the schema is refused: its definitions have no name that the table lacks."""
    found = json.loads(reference("oscal/oscal_catalog_schema_1.2.1.json").read_text())["definitions"]
    names = {"catalog:catalog": "catalog", "catalog:group": "group", "catalog:control": "control"}
    names |= {f"control-common:{name}": name for name in ("part", "parameter")}
    names |= {f"metadata:{name}": name for name in ("metadata", "link", "property", "back-matter", "action", "address")}
    for suffix, shape in names.items():
        whole = next(value for key, value in found.items() if key.endswith(suffix))
        members = {name for one in (whole, *whole.get("anyOf", ())) for name in one.get("properties", {})}
        assert members == set(shapes.SHAPES[shape]), shape


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_the_table_accepts_the_published_schema_accepts(schema: Any, data: st.DataObject):
    """One text of a full document is changed at random: what passes here passes there."""
    document = full("document", leave=data.draw(st.integers(0, 1)))
    holder, key = data.draw(st.sampled_from(_texts(document)))
    ends = st.sampled_from(["", " ", "\n", "#", ":", "%", "²", "é", "a b", "1a", "-", "//x:y", "\u2028", "\ufeff", "/"])
    holder[key] = data.draw(st.one_of(ends, st.text(max_size=8), st.tuples(ends, st.just("ab"), ends).map("".join)))
    if not list(shapes.wrong(document)):
        assert [str(error)[:200] for error in schema.iter_errors(document)] == []


def _texts(document: Any) -> list[tuple[Any, Any]]:
    found, waiting = [], [document]
    while waiting:
        value = waiting.pop()
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            (found.append((value, key)) if isinstance(one, str) else waiting.append(one))
    return found


@pytest.mark.parametrize("document", builtin.documents(), ids=lambda one: one["catalog"]["metadata"]["title"][:14])
def test_a_built_in_catalogue_is_an_oscal_catalogue(schema: Any, document: Any):
    assert [str(error)[:200] for error in schema.iter_errors(document)] == []
    assert oscal.write(oscal.read(document)) == document


def test_a_catalogue_of_the_size_of_sp_800_53_goes_in_and_out_unchanged(schema: Any):
    document = large(1200)
    assert 1_200_000 < len(json.dumps(document)) < 2_000_000
    written = oscal.write(oscal.read(document))
    assert written == document
    assert list(schema.iter_errors(written)) == []


def test_a_catalogue_of_oscal_1_1_is_written_as_1_2_1(schema: Any):
    read = oscal.read(small(oscal_version="1.1.3"))
    written = oscal.write(read)
    assert read.oscal_version == "1.1.3"
    assert written["catalog"]["metadata"]["oscal-version"] == "1.2.1"
    assert list(schema.iter_errors(written)) == []


# ---------------------------------------------------------------------------------------------------- what is refused


def test_an_unknown_member_a_missing_one_and_an_empty_list_are_named_with_their_place():
    document = small(control("c-1", extra="x"), {"title": "No id"}, control("c-3", parts=[]))
    group = "/catalog/groups/0/controls"
    assert places(document) == [f"{group}/0/extra", f"{group}/1/id", f"{group}/2/parts"]


def test_an_id_that_stands_twice_is_refused_with_both_places():
    document = small(control("c-1"), control("c-1"))
    error = complaint(document).extra["errors"][0]
    assert error["field"] == "/catalog/groups/0/controls/1/id"
    assert "/catalog/groups/0/controls/0 already" in error["detail"]


def test_a_part_cannot_have_the_id_of_a_control():
    parts = [{"id": "c-2", "name": "statement"}]
    assert places(small(control("c-1", parts=parts), control("c-2"))) == ["/catalog/groups/0/controls/1/id"]


@pytest.mark.parametrize("rel", oscal.FOLLOWED)
def test_links_that_lead_round_in_a_circle_are_refused_with_their_way(rel: str):
    def to(target: str) -> list[dict[str, str]]:
        return [{"href": f"#{target}", "rel": rel}]

    document = small(
        control("c-0", links=to("c-1")),
        control("c-1", links=to("c-2")),
        control("c-2", links=to("c-3")),
        control("c-3", links=to("c-1")),
    )
    error = complaint(document).extra["errors"][0]
    assert error == {
        "field": "/catalog/groups/0/controls/1/links",
        "detail": "leads back to itself: c-1 → c-2 → c-3 → c-1",
    }


def test_controls_may_be_related_to_each_other():
    def to(target: str) -> list[dict[str, str]]:
        return [{"href": f"#{target}", "rel": "related"}]

    assert len(oscal.read(small(control("c-1", links=to("c-2")), control("c-2", links=to("c-1")))).entries) == 3


def test_a_parameter_that_is_defined_by_itself_is_refused():
    params = [
        {"id": "p1", "select": {"choice": ["{{ insert: param, p2 }}", "never"]}},
        {"id": "p2", "label": "{{ insert: param, p1 }}"},
    ]
    assert places(small(control("c-1", params=params))) == ["/catalog/groups/0/controls/0/params/0"]


def test_controls_in_controls_beyond_the_limit_are_refused():
    inner = control("c-0")
    for level in range(1, oscal.MAX_LEVELS + 1):
        inner = control(f"c-{level}", controls=[inner])
    assert "levels deep" in complaint(small(inner)).message


def test_one_entry_more_than_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch):
    document = large(30, families=1)
    monkeypatch.setattr(oscal, "MAX_ENTRIES", 31)
    assert len(oscal.read(document).entries) == 31
    monkeypatch.setattr(oscal, "MAX_ENTRIES", 30)
    assert "one too many" in complaint(document).message


def test_a_long_chain_of_links_is_read_without_recursion():
    chain = [control(f"c-{n}", links=[{"href": f"#c-{n + 1}", "rel": "required"}]) for n in range(5000)]
    assert len(oscal.read(small(*chain)).entries) == 5001


@pytest.mark.parametrize("version", ["1.0.4", "2.0.0", "1.20", "1.2", "latest"])
def test_another_version_of_oscal_is_refused(version: str):
    assert places(small(oscal_version=version)) == ["/catalog/metadata/oscal-version"]


def test_another_model_of_oscal_is_named():
    assert "This is an OSCAL profile" in complaint({"profile": {}}).message
    assert "no member “catalog”" in complaint({}).message
    assert places([]) == ["/"]


def test_a_catalogue_without_a_control_is_refused():
    document = small()
    document["catalog"]["groups"][0].pop("controls")
    assert places(document) == ["/catalog"]


CONTENT: dict[str, tuple[Callable[[], bytes], str]] = {
    "not JSON": (lambda: b"<catalog/>", "line 1, column 1"),
    "YAML": (lambda: b"catalog:\n  uuid: x\n", "line 1, column 1"),
    "not UTF-8": (lambda: b'{"catalog": "\xff"}', "not UTF-8"),
    "the same name twice": (lambda: b'{"catalog": {}, "catalog": {}}', "given twice"),
    "NUL": (lambda: b'{"catalog": "\\u0000"}', "NUL"),
    "brackets in brackets": (lambda: b"[" * 200_000, "nested too deep"),
    "objects in objects": (lambda: b'{"a":' * 100 + b"1" + b"}" * 100, "nested more than 64 deep"),
    "infinity": (lambda: b'{"catalog": 1e999}', "beyond what a double carries"),
    "too large": (lambda: b" " * (oscal.MAX_BYTES + 1), "at most 16 MiB"),
}


@pytest.mark.parametrize("case", CONTENT)
def test_bytes_that_are_no_catalogue_are_refused_with_a_reason(case: str):
    content, reason = CONTENT[case]
    with pytest.raises(InvalidCatalogueError, match=reason):
        parse(content())


def test_a_document_is_not_changed_by_being_read():
    document = large(30)
    before = copy.deepcopy(document)
    oscal.read(document)
    assert document == before
