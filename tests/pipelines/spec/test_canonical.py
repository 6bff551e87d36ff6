"""One meaning, one digest; another meaning, another digest."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.spec.canonical import canonical, digest, from_canonical, normalised
from pipelines.spec.comparing import Change, compare
from pipelines.spec.loading import parse
from pipelines.spec.validation import load_spec
from tests.pipelines.spec.example import REGISTRY, TEXT, changed

SPEC = load_spec(TEXT, REGISTRY)
DATA = parse(TEXT).data


def shuffled(value: Any, draw: st.DrawFn) -> Any:
    if isinstance(value, dict):
        keys = draw(st.permutations(list(value)))
        return {key: shuffled(value[key], draw) for key in keys}
    return [shuffled(item, draw) for item in value] if isinstance(value, list) else value


@st.composite
def rewritten(draw: st.DrawFn) -> str:
    """The example with the same meaning in other words."""
    data = shuffled(DATA, draw)
    if draw(st.booleans()):
        return json.dumps(data, indent=draw(st.sampled_from([None, 1, 4])), ensure_ascii=draw(st.booleans()))
    style = draw(st.sampled_from([None, "'", '"', "|"]))
    flow = draw(st.sampled_from([None, True, False]))
    text: str = yaml.safe_dump(data, default_style=style, default_flow_style=flow, sort_keys=False, width=40)
    return (
        "# "
        + draw(st.text("abc ", max_size=9))
        + "\n"
        + (text if style is None else yaml.safe_dump(data, sort_keys=False))
    )


@settings(max_examples=60, deadline=None)
@given(rewritten())
def test_key_order_style_and_comments_do_not_change_the_digest(text: str) -> None:
    assert digest(load_spec(text, REGISTRY)) == digest(SPEC)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("memory: 2GiB", "memory: 2048MiB"),
        ("memory: 2GiB", "memory: 2147483648"),
        ("timeout: 300", "timeout: 3.0e2"),
        ("C: 1.0", "C: 1"),
        ("uses: extract.csv@1", "uses: extract.csv@1\n    timeout: 600\n    memory: 4GiB\n    inputs: {}"),
        ("  title: Credit applications", "  description: ''\n  title: Credit applications"),
    ],
)
def test_two_ways_to_say_the_same_have_one_digest(old: str, new: str) -> None:
    assert digest(load_spec(changed(old, new), REGISTRY)) == digest(SPEC)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("memory: 2GiB", "memory: 3GiB"),
        ("timeout: 300", "timeout: 301"),
        ("C: 1.0", "C: true"),
        ("C: 1.0", "C: '1'"),
        ("title: Credit applications", "title: Credit Applications"),
        ("default: credit.csv", "default: credit.CSV"),
        ("min: 0", "max: 0"),
        ("values: [single, married]", "values: [married, single]"),
        ("table: split.test", "table: split.train"),
        ("{type: string}", "{type: string, default: y}"),
        ("{type: string}", "{type: string, choices: [y]}"),
        ("{model: credit}", "{model: credits}"),
        ("with: {path:", "with: {delimiter: ',', path:"),
    ],
)
def test_a_change_of_meaning_changes_the_digest(old: str, new: str) -> None:
    other = load_spec(changed(old, new), REGISTRY)
    assert digest(other) != digest(SPEC)
    assert compare(SPEC, other)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_digests_differ_exactly_when_the_comparison_is_not_empty(data: st.DataObject) -> None:
    changed_data = copy.deepcopy(DATA)
    step = data.draw(st.sampled_from(changed_data["steps"]))
    match data.draw(st.sampled_from(["timeout", "memory", "title", "swap", "nothing"])):
        case "timeout":
            step["timeout"] = data.draw(st.integers(299, 301) | st.just(600))
        case "memory":
            step["memory"] = data.draw(st.sampled_from(["2GiB", "4GiB", 2**32]))
        case "title":
            changed_data["metadata"]["title"] = data.draw(st.text("Cab ", max_size=3))
        case "swap":
            changed_data["steps"].reverse()
    other = load_spec(json.dumps(changed_data), REGISTRY)
    assert (digest(other) == digest(SPEC)) == (not compare(SPEC, other)) == (normalised(other) == normalised(SPEC))


def test_the_canonical_form_is_the_specification() -> None:
    assert from_canonical(canonical(SPEC)) == SPEC
    assert digest(load_spec(canonical(SPEC), REGISTRY)) == digest(SPEC)
    assert (
        canonical(SPEC)
        == json.dumps(normalised(SPEC), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    )


def test_the_canonical_form_survives_what_yaml_cannot_carry() -> None:
    spec = load_spec(changed("title: Credit applications", 'title: "a\\u2028b\\x7f\\u0085"'), REGISTRY)
    assert spec.metadata.title == "a\u2028b\x7f\x85"
    assert from_canonical(canonical(spec)) == spec


def test_the_comparison_reads_like_the_document() -> None:
    text = changed("C: 1.0", "C: 2.0").replace("column: income", "column: wage").replace("credit.csv", "c.csv")
    text = text.replace("  title: Credit applications\n", "").replace("name: register\n", "name: enrol\n")
    assert compare(SPEC, load_spec(text, REGISTRY)) == [
        Change("metadata.title", "removed", "Credit applications", None),
        Change("parameters.applications.default", "changed", "credit.csv", "c.csv"),
        Change("steps.check.with.rules[0].column", "changed", "income", "wage", "check"),
        Change("steps.train.with.options.C", "changed", 1, 2, "train"),
        Change("steps.enrol", "added", None, normalised(load_spec(text, REGISTRY))["steps"][-1], "enrol"),
        Change("steps.register", "removed", normalised(SPEC)["steps"][-1], None, "register"),
    ]
    assert compare(SPEC, SPEC) == []
