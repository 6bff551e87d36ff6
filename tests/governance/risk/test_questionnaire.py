"""What answers come to: thresholds, hard overrides, and what is no answer at all."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from governance.risk.questionnaire import Questionnaire, builtin, builtin_text, height, judge, read
from security.errors import InvalidError
from tests.support.risk import HIGH, LOW, MEDIUM

TINY = """
title: Tiny
why: To count by hand.
thresholds: {medium: 30, high: 60}
register_levels: {medium: 6, high: 15}
questions:
  - id: first
    text: First?
    why: Because.
    weight: 3
    choose: any
    answers:
      - {id: none, text: None of these, points: 0, alone: true}
      - {id: some, text: Some, points: 4}
      - {id: all, text: All, points: 10, at_least: high, because: all is much}
  - id: second
    text: Second?
    why: Because.
    weight: 1
    choose: one
    answers: [{id: small, text: Small, points: 0}, {id: large, text: Large, points: 7}]
"""


def changed(**more: object) -> str:
    return json.dumps(yaml.safe_load(TINY) | more)


@pytest.mark.parametrize(
    ("first", "second", "score", "tier"),
    [
        (["none"], ["small"], 0, "low"),
        (["none"], ["large"], 19, "low"),  # 7 of 37 points are 18.9 %: rounded up
        (["some"], ["small"], 33, "medium"),  # 12 of 37
        (["some"], ["large"], 52, "medium"),  # 19 of 37
        (["all"], ["small"], 82, "high"),  # 30 of 37
        (["some", "all"], ["large"], 100, "high"),
    ],
)
def test_a_score_is_the_share_of_the_worst_points(first, second, score, tier):
    found = judge(read(TINY), {"first": first, "second": second})
    assert (found.score, found.tier) == (score, tier)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("area", "credit"),
        ("area", "employment"),
        ("area", "essential-services"),
        ("area", "safety"),
        ("area", "health"),
        ("area", "biometrics"),
        ("area", "law-enforcement"),
        ("data", "biometric"),
        ("harm", "body"),
    ],
)
def test_a_hard_override_makes_a_system_high_whatever_the_score(question, answer):
    found = judge(builtin(), LOW | {question: [answer]})
    assert found.score < builtin().thresholds.high
    assert found.tier == "high"
    assert next((reason.kind, reason.question, reason.tier) for reason in found.reasons) == (
        "override",
        question,
        "high",
    )


def test_every_tier_can_come_out_of_the_shipped_questionnaire():
    assert [judge(builtin(), answers).tier for answers in (LOW, MEDIUM, HIGH)] == ["low", "medium", "high"]


@pytest.mark.parametrize(
    ("answers", "field"),
    [
        ({"first": ["none"]}, "second"),
        ({"first": [], "second": ["small"]}, "first"),
        ({"first": ["none"], "second": ["small", "large"]}, "second"),
        ({"first": ["none", "some"], "second": ["small"]}, "first"),
        ({"first": ["some", "some"], "second": ["small"]}, "first"),
        ({"first": ["harmless"], "second": ["small"]}, "first"),
        ({"first": ["none"], "second": ["small"], "third": ["x"]}, "third"),
    ],
)
def test_a_missing_or_impossible_answer_is_no_answer(answers, field):
    with pytest.raises(InvalidError) as refused:
        judge(read(TINY), answers)
    assert refused.value.field == field


def choices(question) -> st.SearchStrategy[list[str]]:
    alone = [[one.id] for one in question.answers if one.alone or question.choose == "one"]
    together = [one.id for one in question.answers if not one.alone]
    if question.choose == "one":
        return st.sampled_from(alone)
    return st.sampled_from(alone) | st.lists(st.sampled_from(together), min_size=1, unique=True)


@given(st.data())
def test_one_answer_more_never_makes_a_system_look_less_risky(data):
    shipped = builtin()
    answers = {question.id: data.draw(choices(question)) for question in shipped.questions}
    several = [question for question in shipped.questions if question.choose == "any"]
    question = data.draw(st.sampled_from(several))
    more = data.draw(st.sampled_from([one.id for one in question.answers if not one.alone]))
    alone = {one.id for one in question.answers if one.alone}
    worse = answers | {question.id: sorted((set(answers[question.id]) - alone) | {more})}
    before, after = judge(shipped, answers), judge(shipped, worse)
    assert after.score >= before.score
    assert height(after.tier) >= height(before.tier)


def question_with(**more: object) -> list[object]:
    return [yaml.safe_load(TINY)["questions"][0] | more]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("a: &x [1]\nb: *x", "anchor"),
        ("!!python/object/apply:os.system ['true']", "tag"),
        ("- 1", "valid dictionary"),
        (changed(thresholds={"medium": 60, "high": 30}), "medium must begin below high"),
        (changed(thresholds={"medium": 60, "high": 101}), "goes to 100"),
        (changed(register_levels={"medium": 5, "high": 26}), "goes to 25"),
        (changed(extra=1), "not permitted"),
        (changed(questions=[]), "at least 1"),
        (changed(questions=question_with(weight=0)), "greater than or equal to 1"),
        (changed(questions=question_with() * 2), "twice"),
        (changed(questions=question_with(choose="one", answers=[{"id": "a", "text": "A", "points": 1}] * 2)), "twice"),
        (changed(questions=yaml.safe_load(TINY)["questions"][1:]), "makes a system high by itself"),
        (changed(questions=question_with(answers=yaml.safe_load(TINY)["questions"][0]["answers"][1:])), "alone: true"),
        (TINY.replace(", because: all is much", ""), "at_least and because together"),
        (TINY.replace("points: 7", "points: 0"), "asks for nothing"),
    ],
)
def test_what_is_no_questionnaire_is_refused_with_the_reason(text, words):
    with pytest.raises(InvalidError) as refused:
        read(text)
    assert refused.value.field == "text"
    assert words in refused.value.message


def test_the_digest_names_the_content_and_not_how_it_is_written():
    shipped = builtin()
    as_json = shipped.model_dump_json()
    assert read(as_json).digest == shipped.digest == read(builtin_text()).digest
    harder = Questionnaire.model_validate(shipped.content() | {"thresholds": {"medium": 10, "high": 60}})
    assert harder.digest != shipped.digest
