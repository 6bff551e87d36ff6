"""Policies as text: what is read back, and what is refused at which line and field. Pure."""

from __future__ import annotations

import pytest

from governance.policy import BUILTIN, builtin
from governance.policymaking import texts
from pipelines.spec.errors import SpecErrors
from tests.governance.policymaking.conftest import text


@pytest.mark.parametrize("name", BUILTIN)
def test_a_policy_written_and_read_back_is_the_same(name):
    assert texts.policy_of(texts.text_of(builtin(name))).digest == builtin(name).digest


def errors(changed: str) -> list[tuple[str, str]]:
    with pytest.raises(SpecErrors) as caught:
        texts.policy_of(changed)
    lines = changed.split("\n")
    return [(error.parameter, lines[error.line - 1].strip()) for error in caught.value.errors]


@pytest.mark.parametrize(
    ("old", "new", "field", "line"),
    [
        ("validity_days: 180", "validity_days: soon", "validity_days", "validity_days: soon"),
        ("validity_days: 180", "validity_days: 181", "validity_days", "validity_days: 181"),
        ("tier: high", "tier: extreme", "tier", "tier: extreme"),
        ("renewals: 1", "renewals: 2", "waivers.renewals", "renewals: 2"),
        ("threshold: 0.6\n", "threshold: much\n", "evidence[1].rules[0].threshold", "threshold: much"),
        ("kind: holdout_metrics", "kind: holdout_metrix", "evidence[1].kind", "- kind: holdout_metrix"),
        ("title: High risk", "titel: High risk", "titel", "titel: High risk"),
        ("role: validator", "role: admin", "approvals[0].role", "- role: admin"),
    ],
)
def test_an_error_names_its_line_and_field(old, new, field, line):
    assert (field, line) in errors(text("high", old, new))


_NINE = ((before, name, ",".join([f"*{before}"] * 9)) for before, name in zip("abcdefg", "bcdefgh", strict=True))
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{name}: &{name} [{nine}]\n" for _, name, nine in _NINE)


@pytest.mark.parametrize(
    "hostile",
    [
        BOMB,
        "why: !!python/object/apply:os.system ['id']\n",
        "[" * 5000,
        "title: a\ntitle: b\n",
        "<<: {title: a}\n",
        "x: " + "y" * texts.MAX_TEXT,
        "threshold: .nan\n",
        "a: \x07\n",
        b"\xff\xfe",
        "",
        "- 1\n",
        "--- {}\n--- {}\n",
    ],
    ids=["bomb", "object", "deep", "twice", "merge", "large", "nan", "bell", "bytes", "empty", "list", "two"],
)
def test_hostile_text_is_refused_with_a_place(hostile):
    with pytest.raises(SpecErrors) as caught:
        texts.policy_of(hostile)
    assert all(error.line for error in caught.value.errors)


def test_changes_name_rules_and_kinds_and_not_positions():
    before, after = builtin("high").content(), builtin("high").content()
    after["evidence"].reverse()
    assert texts.changes(before, after) == []
    rule = next(row for row in after["evidence"] if row["kind"] == "holdout_metrics")["rules"][0]
    rule["threshold"] = 0.7
    assert texts.changes(before, after) == [
        texts.Change("evidence[holdout_metrics].rules[better-than-chance].threshold", "0.6", "0.7")
    ]
