"""Measurements beside their rules: the verdict of each alone, rules in words, and which plot tells why."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from pipelines.pictures import limits
from security.measurement import Measurement, Threshold, judge


def measured(name: str, value: float | None, *, n: int = 100, **group: str) -> dict[str, object]:
    interval = None if value is None else {"low": value - 0.05, "high": value + 0.05}
    return {"name": name, "value": value, "n": n, "slice": group, "interval": interval}


SLICES = [
    measured("tpr", 0.9, team="red"),
    measured("tpr", 0.6, team="blue"),
    measured("tpr", None, n=3, team="green"),
    measured("tpr_gap", 0.3, team="*"),
    measured("tpr_gap", 0.04, shift="*"),
    measured("accuracy", 0.8),
]
RULES = [{"metric": "tpr_gap", "max": 0.1}, {"metric": "accuracy", "min": 0.7, "on": "low"}]


def test_each_measurement_gets_the_verdict_of_the_rules_that_speak_of_it():
    rows = limits.judged(SLICES, RULES)
    assert [(row.measurement.name, row.verdict) for row in rows] == [
        ("tpr", ""),
        ("tpr", ""),
        ("tpr", ""),
        ("tpr_gap", "fail"),
        ("tpr_gap", "pass"),
        ("accuracy", "pass"),
    ]


def test_single_verdicts_combine_to_what_the_step_itself_said():
    rows = limits.judged(SLICES, RULES)
    whole = judge([Measurement.model_validate(one) for one in SLICES], [Threshold.model_validate(one) for one in RULES])
    assert whole == "fail"
    assert {row.verdict for row in rows if row.rules} == {"fail", "pass"}


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"min": 0.8}, "at least 0.8"),
        ({"max": 0.2, "on": "high"}, "at most 0.2, upper bound"),
        ({"min": 0.1, "max": 0.2}, "at least 0.1 and at most 0.2"),
        ({"max": 0.2, "slice": {"radius": "0.5"}}, "at most 0.2 (radius = 0.5)"),
    ],
)
def test_rules_in_words(rule, words):
    assert limits.rule_text(Threshold(metric="m", **rule)) == words


def test_a_rule_for_one_slice_says_nothing_of_the_others():
    rules = [{"metric": "tpr", "min": 0.7, "slice": {"team": "blue"}}]
    assert [row.verdict for row in limits.judged(SLICES[:3], rules)] == ["", "fail", ""]


def test_what_is_no_measurement_or_rule_is_left_out():
    rows = limits.judged([{"nonsense": 1}, *SLICES], [{"metric": "tpr_gap"}, "text", RULES[0]])
    assert len(rows) == len(SLICES)
    assert [row.verdict for row in rows if row.rules] == ["fail", "pass"]
    assert limits.judged(SLICES, None)[3].verdict == ""


def test_gaps_come_first_with_the_line_of_their_rule_and_groups_from_the_worst():
    first, groups = limits.slice_plots(limits.judged(SLICES, RULES), "tpr")
    assert first.title == "Gap in tpr between groups"
    assert first.caption == "Rule: at most 0.1."
    assert [row[0] for row in first.rows] == ["team", "shift"]
    assert 'class="threshold"' in first.svg
    assert [row[0] for row in groups.rows] == ["blue", "red", "green"]
    assert groups.rows[2][1] == "not measured"
    for plot in (first, groups):
        ElementTree.fromstring(plot.svg)  # noqa: S314 - what we drew ourselves


def test_the_plot_that_tells_why_is_that_of_the_broken_rule():
    rules = [*RULES, {"metric": "tpr", "min": 0.5}]
    plot = limits.worst_plot(limits.judged(SLICES, rules))
    assert plot is not None
    assert plot.title in {"tpr gap", "tpr"}
    assert limits.worst_plot(limits.judged(SLICES[5:], RULES)) is None


def test_rates_are_those_of_groups():
    assert limits.rates_in(limits.judged(SLICES, RULES)) == ["tpr"]
