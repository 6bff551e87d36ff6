"""Rules on measurements and ages of evidence, and that older published policies stay what they were. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from governance import rules
from governance.policy import BUILTIN, MetricRule, Policy, Requirement, beyond_limits, builtin
from pipelines.steps import registry
from security.measurement import Verdict
from tests.support.models import measured

PASS, FAIL, OPEN = "pass", "fail", "inconclusive"
NOW = datetime(2026, 11, 1, tzinfo=UTC)
# Digests of the policies of format 1 as an earlier release published them: approvals bind these for good.
PUBLISHED = {
    "high": "04448d8296a3cfeebcadeee4d1d14bcbd07d3d7bee6a96252a782b17b7290b5e",
    "medium": "16a72acb7e2ae4bbad34fda40dc91f86c0702883149e9bdd0dd7c102e08d4668",
    "low": "9430c85976d1011ccd1a6e1011720e967820306da6edc730a624c232b97b656f",
}


def rule(**more: Any) -> MetricRule:
    given = {"id": "floor", "metric": "roc_auc", "comparator": "at-least", "threshold": 0.8, "why": "!"}
    return MetricRule.model_validate({**given, **more})


def requirement(*rules_: MetricRule, **more: Any) -> Requirement:
    given = {"kind": "holdout_metrics", "must": "pass", "rules": rules_, "question": "?", "why": "!"}
    return Requirement.model_validate({**given, **more})


def seen(*measurements: dict[str, Any], verdict: str = PASS, days: float = 1, uses: str = "") -> rules.Seen:
    return rules.Seen(verdict, NOW - timedelta(days=days), measurements, uses)


def said(asked: Requirement, *results: rules.Seen) -> rules.Assessed:
    return rules.assess(asked, results, NOW)


AUC = measured(0.85, name="roc_auc")  # interval [0.84, 0.86]


@pytest.mark.parametrize(
    ("changes", "measurement", "verdict"),
    [
        ({}, AUC, PASS),
        ({"threshold": 0.85}, AUC, PASS),
        ({"threshold": 0.851}, AUC, FAIL),
        ({"threshold": 0.845, "on": "low"}, AUC, FAIL),  # the estimate is above, the bound is not
        ({"threshold": 0.84, "on": "low"}, AUC, PASS),
        ({"comparator": "at-most", "threshold": 0.855}, AUC, PASS),
        ({"comparator": "at-most", "threshold": 0.855, "on": "high"}, AUC, FAIL),
        ({"on": "low"}, {**AUC, "interval": None}, OPEN),
        ({}, {**AUC, "value": None, "interval": None}, OPEN),
        ({}, {**AUC, "n": 0}, OPEN),
        ({}, {**AUC, "value": "0.9"}, PASS),
        ({}, {**AUC, "value": "much"}, OPEN),  # a row that is no measurement is none
        ({}, {**AUC, "name": "accuracy"}, OPEN),
        ({"slice": {"sex": "f"}}, AUC, OPEN),
        ({"slice": {"sex": "f"}}, {**AUC, "slice": {"sex": "f"}}, PASS),
    ],
)
def test_what_a_rule_says_to_a_measurement(changes, measurement, verdict):
    found = said(requirement(rule(**changes)), seen(measurement))
    assert (found.verdict, found.outcomes[0].verdict) == (Verdict(verdict), Verdict(verdict))
    assert found.broken == (() if verdict == PASS else ("holdout_metrics/floor",))


def test_a_missing_measurement_is_inconclusive_and_says_so():
    found = said(requirement(rule()), seen())
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason == "1 pass; floor: roc_auc was not measured"
    assert found.outcomes[0].measurement is None


def test_one_result_without_the_measurement_is_not_hidden_by_another_that_has_it():
    found = said(requirement(rule()), seen(AUC), seen())
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "was not measured" in found.outcomes[0].reason


def test_a_rule_for_one_check_speaks_of_its_results_and_not_of_another_checks():
    asked = requirement(rule(checks=["evaluate.classification"]))
    regression = seen(measured(0.4, name="r2"), uses="evaluate.regression@1")
    assert said(asked, regression).outcomes == ()
    assert said(asked, regression).verdict is Verdict.PASS
    weak = seen(measured(0.5, name="roc_auc"), uses="evaluate.classification@2")
    assert said(asked, regression, weak).verdict is Verdict.FAIL
    assert said(asked, seen(uses="evaluate.classification@1")).verdict is Verdict.INCONCLUSIVE


def test_the_worst_group_decides_and_is_named():
    groups = [measured(value, name="roc_auc", slice={"sex": sex}) for sex, value in (("f", 0.7), ("m", 0.9))]
    found = said(requirement(rule()), seen(*groups))
    (outcome,) = found.outcomes
    assert (found.verdict, outcome.measurement.slice, outcome.of) == (Verdict.FAIL, {"sex": "f"}, 2)
    assert outcome.reason == "roc_auc (sex f) 0.7, at least 0.8 is asked"
    assert outcome.asked == "at least 0.8"


def test_a_warning_is_shown_and_shuts_no_gate():
    found = said(requirement(rule(severity="warn", threshold=0.9)), seen(AUC))
    assert (found.verdict, found.broken) == (Verdict.PASS, ())
    assert found.outcomes[0].warns
    assert not found.outcomes[0].blocks


def test_a_rule_that_holds_does_not_save_a_check_that_failed():
    found = said(requirement(rule()), seen(AUC, verdict=FAIL))
    assert (found.verdict, found.broken) == (Verdict.FAIL, ("holdout_metrics",))


def test_without_evidence_the_requirement_alone_speaks():
    assert said(requirement(rule())).broken == ("holdout_metrics",)
    optional = said(requirement(rule(), must="pass-if-present"))
    assert (optional.verdict, optional.outcomes) == (Verdict.PASS, ())


def test_of_any_results_the_one_that_meets_everything_counts():
    asked = requirement(rule(), subjects="any")
    bad, good = seen(measured(0.5, name="roc_auc")), seen(AUC)
    assert said(asked, bad, good).verdict is Verdict.PASS
    assert said(asked, bad, seen(AUC, verdict=FAIL)).verdict is Verdict.FAIL  # no one result meets both


@pytest.mark.parametrize(
    ("must", "verdict", "days", "expected"),
    [
        ("pass", PASS, 29.9, PASS),
        ("pass", PASS, 30.1, OPEN),
        ("pass", FAIL, 30.1, FAIL),  # bad news does not age
        ("exist", OPEN, 29.9, PASS),
        ("exist", OPEN, 30.1, OPEN),
        ("pass-if-present", PASS, 30.1, OPEN),
    ],
)
def test_a_result_that_is_too_old_is_no_pass(must, verdict, days, expected):
    found = said(requirement(must=must, max_age_days=30), seen(verdict=verdict, days=days))
    assert found.verdict == Verdict(expected)
    assert ("older than 30 days" in found.reason) == (days > 30)


def test_a_fresh_result_counts_beside_an_old_one_where_any_is_enough():
    asked = requirement(max_age_days=30, subjects="any")
    assert said(asked, seen(days=40), seen(days=1)).verdict is Verdict.PASS
    assert said(requirement(max_age_days=30), seen(days=40), seen(days=1)).verdict is Verdict.INCONCLUSIVE


@given(
    st.floats(0, 1, allow_nan=False),
    st.floats(0, 1, allow_nan=False),
    st.sampled_from(["at-least", "at-most"]),
)
def test_a_rule_agrees_with_comparing_the_numbers(value, threshold, comparator):
    asked = rule(threshold=threshold, comparator=comparator)
    outcome = rules.judge_rule("k", asked, [seen(measured(value, name="roc_auc"))])
    inside = value >= threshold if comparator == "at-least" else value <= threshold
    assert outcome.verdict is (Verdict.PASS if inside else Verdict.FAIL)


# ------------------------------------------------------------------------------------------------------- policies


def as_format_1(name: str) -> dict[str, Any]:
    """What the earlier release published: the same policy without all that format 2 added."""
    whole = builtin(name).content()
    kept = {key: whole[key] for key in ("tier", "title", "why", "validity_days", "approvals")}
    plain = ("kind", "must", "subjects", "question", "why")
    return {**kept, "evidence": [{key: row[key] for key in plain} for row in whole["evidence"]]}


@pytest.mark.parametrize("tier", sorted(PUBLISHED))
def test_a_policy_of_format_1_keeps_its_digest_for_good(tier):
    old = Policy.model_validate(as_format_1(tier))
    assert old.digest == PUBLISHED[tier]
    assert old.content() == as_format_1(tier)
    assert (old.key, old.waivers, old.measured_kinds) == (tier, None, frozenset())


@pytest.mark.parametrize("threshold", [float("nan"), float("inf")])
def test_a_threshold_that_is_no_number_is_refused(threshold):
    with pytest.raises(ValidationError):
        rule(threshold=threshold)


def test_two_rules_of_one_name_are_refused():
    content = builtin("high").content()
    held = next(row for row in content["evidence"] if row["kind"] == "holdout_metrics")
    held["rules"].append(held["rules"][0])
    with pytest.raises(ValidationError, match="rule id twice"):
        Policy.model_validate(content)


def test_a_policy_that_allows_more_than_its_tier_is_found_out():
    high = builtin("high")
    lax = {"validity_days": 181, "waivers": {"max_days": 31, "renewals": 2}}
    found = dict(beyond_limits(Policy.model_validate({**high.content(), **lax})))
    assert sorted(found) == ["validity_days", "waivers.max_days", "waivers.renewals"]
    assert "180 at most" in found["validity_days"]


@pytest.mark.parametrize("name", BUILTIN)
def test_the_shipped_rules_speak_of_steps_that_there_are_and_of_kinds_that_these_make(name):
    families = {step.id.partition("@")[0]: step for step in registry().values()}
    for asked in builtin(name).evidence:
        for one in asked.rules:
            assert one.checks
            assert all(asked.kind in families[check].evidence for check in one.checks)


def test_what_a_waiver_can_name_are_requirements_and_blocking_rules():
    parts = builtin("high").parts()
    assert "holdout_metrics" in parts
    assert "holdout_metrics/better-than-chance" in parts
    assert "holdout_metrics/calibrated" not in parts  # it warns, so there is nothing to waive
