"""Reading YAML that means no good, or that means something else than it looks like."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.spec.errors import SpecError, SpecErrors
from pipelines.spec.loading import MAX_BYTES, parse


def refusal(text: bytes | str) -> tuple[int | None, int | None, str]:
    with pytest.raises(SpecErrors) as caught:
        parse(text)
    (error,) = caught.value.errors
    return error.line, error.column, error.message


def test_ten_megabytes_are_refused_without_being_parsed() -> None:
    text = b"a: [" + b"x, " * 3_333_333 + b"]"
    started = time.process_time()
    line, _, message = refusal(text)
    assert time.process_time() - started < 0.05
    assert line == 1
    assert "1,048,576" in message


def test_size_is_counted_in_bytes_for_text_too() -> None:
    assert "more than" in refusal("é" * (MAX_BYTES // 2 + 1))[2]
    assert parse("'" + "é" * (MAX_BYTES // 2 - 1) + "'").data.startswith("é")


def test_billion_laughs_stop_at_the_first_anchor() -> None:
    lines = ["a0: &a0 [lol, lol]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40))]
    assert refusal("\n".join(lines)) == (1, 5, "anchor &a0 is not allowed")


def test_alias_and_merge_key_are_refused() -> None:
    assert refusal("a: 1\nb: *a")[:2] == (2, 4)
    assert "merge" in refusal("a: 1\n<<: {b: 2}")[2]
    assert parse("'<<': 1").data == {"<<": 1}


def test_a_million_open_brackets_stop_at_the_depth_limit() -> None:
    assert refusal("[" * 40) == (1, 33, "values are nested more than 32 deep")
    line, column, message = refusal("[" * 1_000_000)
    assert (line, message) == (1, "values are nested more than 32 deep")
    assert column <= 1001  # the scanner of newer YAML libraries stops at its own limit, before it hands anything over
    assert refusal("{a: " * 100_000)[2] == "values are nested more than 32 deep"


def test_a_megabyte_of_tiny_values_stops_at_the_value_limit() -> None:
    assert "50,000 values" in refusal("[" + "1," * 500_000 + "1]")[2]


def test_duplicate_key_names_both_lines() -> None:
    with pytest.raises(SpecErrors) as caught:
        parse("a:\n  b: 1\n  c: 2\n  b: 3\n")
    (error,) = caught.value.errors
    assert (error.line, error.column) == (4, 3)
    assert error.hint == "the first is on line 2"


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a: 1\nb: [1, 2\nc: 3", 3, 2, "malformed YAML"),
        ("a: 1\n  b: 2", 2, 4, "malformed YAML"),
        ("a:\n\t- b", 2, 1, "malformed YAML"),
        ('a: "\\ud83d\\ude00"', 1, 7, "Unicode character escape"),
        ("a: 'open", 1, 9, "malformed YAML"),
        ("a: 1\n---\nb: 2", 2, 1, "second document"),
        ("", 1, 1, "empty"),
        ("# only a comment\n", 1, 1, "empty"),
        (b"a: 1\nb: caf\xe9", 2, 7, "UTF-8"),
        ("a: 1".encode("utf-16"), 1, 1, "UTF-8"),
        ("a: 1\nb: x\x00y", 2, 5, "U+0000"),
        ("a: \ud800", 1, 4, "U+D800"),
        ("a: x\u2028y", 1, 5, "U+2028"),
        ("a: 1\nb: !!python/object/apply:os.system [id]", 2, 4, "tag"),
        ("a: !local x", 1, 4, "tag"),
        ("a: !!set {x}", 1, 4, "tag"),
        ("a: !!int abc", 1, 4, "not a value of int"),
        ("1: a", 1, 1, "key must be text"),
        ("? [a]\n: b", 1, 3, "key must be text"),
        ("a: .inf", 1, 4, "infinity"),
        ("a: 1e999", 1, 4, "beyond"),
        ("a: 9007199254740993", 1, 4, "beyond"),
        ("a: 9007199254740993.0", 1, 4, "beyond"),
        ("a: " + "9" * 10_000, 1, 4, "beyond"),
    ],
)
def test_bad_text_is_refused_with_its_position(text: bytes | str, line: int, column: int, words: str) -> None:
    where = refusal(text)
    assert where[:2] == (line, column)
    assert words in where[2]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("NO", "NO"),
        ("on", "on"),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("012", 12),
        ("0o14", 12),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2026-11-01", "2026-11-01"),
        ("1e3", 1000),
        ("1.0", 1),
        (".5", 0.5),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("! 1", "1"),
        ("!!float 1", 1),
        ("1e22", 1e22),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    data = parse(f"a: {text}").data["a"]
    assert data == value
    assert isinstance(data, type(value))


def test_positions_survive_windows_newlines_and_a_byte_order_mark() -> None:
    document = parse("\ufeffa: 1\r\nb:\r\n  - x\r\n  - y\r\n".encode())
    assert document.at(("b", 1)) == (4, 5)
    assert document.key(("b",)) == (2, 1)
    assert document.at(("b", 1, "missing", 3)) == (4, 5)


BMP = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer())
    | BMP,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(BMP, inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_json_is_read_as_json(value: object) -> None:
    assert parse(json.dumps(value)).data == value


@settings(max_examples=400)
@given(st.binary(max_size=400) | st.text(max_size=400) | st.text("[]{}:,-?&*!|>'\"%@` \n\tab1.~#", max_size=120))
def test_no_text_raises_anything_but_spec_errors(text: bytes | str) -> None:
    errors: list[SpecError] = []
    try:
        parse(text)
    except SpecErrors as refused:
        errors = refused.errors
    assert all(error.line and error.column and error.message for error in errors)
