"""A wrong specification is answered with every error, each on its line, with what would be right."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.spec.errors import SpecError, SpecErrors
from pipelines.spec.validation import load_spec
from tests.pipelines.spec.cases import CASES, Answer
from tests.pipelines.spec.example import REGISTRY, TEXT, changed


def errors_of(text: bytes | str) -> list[SpecError]:
    with pytest.raises(SpecErrors) as caught:
        load_spec(text, REGISTRY)
    return caught.value.errors


def test_the_example_is_accepted() -> None:
    spec = load_spec(TEXT, REGISTRY)
    assert spec.name == "credit-applications"
    assert [step.name for step in spec.steps] == ["load", "check", "clean", "split", "train", "judge", "register"]
    assert spec.step("train").memory == 2 * 2**30
    assert spec.step("load").memory == 4 * 2**30
    assert (spec.step("train").timeout, spec.step("load").timeout) == (300, 600)
    assert spec.parameters["target"].required
    assert not spec.parameters["fraction"].required


@pytest.mark.parametrize(("old", "new", "expected"), CASES, ids=[f"{old}->{new}" for old, new, _ in CASES])
def test_wrong_passage_is_answered_on_its_line(old: str, new: str, expected: Answer) -> None:
    line, column, step, parameter, message, hint = expected
    found = errors_of(changed(old, new))
    matching = [e for e in found if (e.line, e.column, e.step, e.parameter) == (line, column, step, parameter)]
    assert any(message in e.message and hint in e.hint for e in matching), "\n".join(map(repr, found))


def test_a_loop_is_named() -> None:
    (loop, orphan) = sorted(
        errors_of(changed("{table: load.table}", "{table: split.test}")), key=lambda e: -(e.line or 0)
    )
    assert "loop: " in loop.message
    assert set(loop.message.partition("loop: ")[2].split(" → ")) == {"check", "clean", "split"}
    assert loop.parameter == "inputs.table"
    assert orphan.message == "nothing uses load.table"


def test_every_loop_is_reported_once() -> None:
    text = TEXT + "".join(
        f"  - {{name: {name}, uses: transform.sql@1, inputs: {{table: {source}.table}}, with: {{sql: select 1}}}}\n"
        for name, source in (("a", "b"), ("b", "a"), ("c", "d"), ("d", "e"), ("e", "c"))
    )
    found = errors_of(text)
    assert [sorted(set(e.message.partition("loop: ")[2].split(" → "))) for e in found] == [["a", "b"], ["c", "d", "e"]]


def test_work_that_nobody_uses_is_refused_but_evidence_reports_and_registration_stand_alone() -> None:
    extra = "  - {name: extra, uses: %s, inputs: {%s}%s}\n"
    (error,) = errors_of(TEXT + extra % ("transform.sql@1", "table: split.test", ", with: {sql: select 1}"))
    assert (error.line, error.step, error.message) == (45, "extra", "nothing uses extra.table")
    for uses, inputs in (("report.data@1", "table: split.test"), ("validate.schema@1", "table: split.test")):
        load_spec(TEXT + extra % (uses, inputs, ""), REGISTRY)


def test_all_errors_are_found_at_once_in_the_order_of_lines() -> None:
    text = TEXT
    for old, new in (
        ("kind: Pipeline", "kind: Pipe"),
        ("default: 0.2", "default: x"),
        ("uses: extract.csv@1", "uses: extract.cvs@1"),
        ("min: 0", "minn: 0"),
        ("timeout: 300", "timeout: soon"),
        ("{model: credit}", "{modell: credit}"),
    ):
        text = text.replace(old, new)
    found = errors_of(text)
    assert [error.line for error in found] == sorted(error.line or 0 for error in found)
    assert {2, 8, 12, 19, 36, 44} <= {error.line for error in found}


def test_a_parameter_without_default_is_left_to_the_run() -> None:
    text = changed('{fraction: "${fraction}"}', '{fraction: "${fraction}", rows: "${rows}"}')
    text = text.replace("  target: {type: string}\n", "  target: {type: string}\n  rows: {type: integer}\n")
    assert load_spec(text, REGISTRY).parameters["rows"].required
    assert [
        e.parameter for e in errors_of(text.replace("rows: {type: integer}", "rows: {type: integer, default: 0}"))
    ] == ["rows"]


def test_text_values_are_never_repeated_in_an_error() -> None:
    secret = "hunter2-anna@example.org"
    for old in ("0.2", "300", "2GiB", "split.test", '"${fraction}"', "min: 0"):
        new = f"min: {secret}" if old == "min: 0" else secret
        assert all(secret not in str(error) for error in errors_of(TEXT.replace(old, new)))


def test_more_steps_than_the_limit_are_refused() -> None:
    step = "  - {name: s%d, uses: report.data@1, inputs: {table: split.test}}\n"
    assert any("at most 300" in e.message for e in errors_of(TEXT + "".join(step % i for i in range(300))))


HEAD = "apiVersion: countersign/v1\nkind: Pipeline\nmetadata: {name: a}\n"
READ = "{name: %s, uses: report.data@1, inputs: {%s}}"
HEAVY = {
    "steps that are none": HEAD + "steps: [" + "1," * 49_000 + "1]",
    "far too many steps": HEAD + "steps: [" + ",".join(READ % (f"s{i}", f"table: t{i}.x") for i in range(9_000)) + "]",
    "unknown inputs": HEAD + "steps: [" + READ % ("a", ", ".join(f"table{i}: b.c" for i in range(24_000))) + "]",
    "unknown sources": HEAD
    + "steps: ["
    + ",".join(READ % (f"s{i}", ", ".join(f"p{j}: t{i}{j}.x" for j in range(70))) for i in range(300))
    + "]",
    "unknown parameters": HEAD
    + "steps: [{name: a, uses: extract.csv@1, with: {"
    + ", ".join(f"p{i}: ${{q{i}}}" for i in range(20_000))
    + "}}]",
    "a name of a megabyte": HEAD + "steps: [{name: a, uses: " + "x" * 900_000 + "}]\n" + "y" * 100_000 + ": 1",
    "one loop of 300": HEAD
    + "steps: ["
    + ",".join(
        f"{{name: s{i}, uses: transform.sql@1, with: {{sql: x}}, inputs: {{table: s{(i + 1) % 300}.table}}}}"
        for i in range(300)
    )
    + "]",
}


@pytest.mark.parametrize("name", HEAVY)
def test_a_megabyte_of_errors_is_answered_shortly(name: str) -> None:
    started = time.process_time()
    found = errors_of(HEAVY[name])
    assert time.process_time() - started < 10  # a second or two; without bounds it would be minutes
    assert len(found) <= 100
    assert sum(len(str(error)) for error in found) < 60_000


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_mutilated_specification_raises_nothing_but_spec_errors(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(TEXT)))
    end = data.draw(st.integers(start, min(len(TEXT), start + 60)))
    junk = data.draw(
        st.sampled_from(["", "[", "{}", "null", "- ", ": ", "${", "true", "1", "[[]]", "\n", "x.y"])
        | st.text(max_size=5)
    )
    for error in refusals(TEXT[:start] + junk + TEXT[end:]):
        assert error.line


def refusals(text: str) -> list[SpecError]:
    try:
        load_spec(text, REGISTRY)
    except SpecErrors as refused:
        return refused.errors
    return []


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from(["load", "load.table", "extract.csv@1", "${x}", ""])
)
JUNK = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "uses", "with", "inputs", "path", "type", "default", "choices", "rules", "kind"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["apiVersion", "kind", "metadata", "parameters", "steps"]), JUNK))
def test_any_shape_of_data_raises_nothing_but_spec_errors(data: dict[str, object]) -> None:
    with pytest.raises(SpecErrors):
        load_spec(json.dumps(data), REGISTRY)
