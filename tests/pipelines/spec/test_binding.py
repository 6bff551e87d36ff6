"""A run's parameters: checked, put in place with their types, validated by the steps."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.spec.binding import bind, from_text
from pipelines.spec.errors import SpecErrors
from pipelines.spec.model import ParameterSpec
from pipelines.spec.references import substitute
from pipelines.spec.validation import load_spec
from tests.pipelines.spec.example import REGISTRY, TEXT, SplitParams, TrainParams, changed

SPEC = load_spec(TEXT, REGISTRY)


def refusals(parameters: dict[str, Any], text: str = TEXT) -> list[tuple[str, str, str]]:
    with pytest.raises(SpecErrors) as caught:
        bind(load_spec(text, REGISTRY), parameters, REGISTRY)
    return [(error.step, error.parameter, error.message) for error in caught.value.errors]


def test_parameters_reach_the_steps_with_their_types() -> None:
    bound = bind(SPEC, {"target": "approved", "fraction": 0.5}, REGISTRY)
    assert bound.parameters == {"applications": "credit.csv", "fraction": 0.5, "target": "approved"}
    assert bound.steps["split"].params == SplitParams(fraction=0.5)
    assert bound.steps["train"].params == TrainParams(target="approved", options={"C": 1})
    assert bound.steps["clean"].arguments == {"sql": "select * from t where note <> '${x}' and target = 'approved'"}
    assert bound.steps["load"].arguments == {"path": "credit.csv", "delimiter": ",", "header": True}
    assert (bound.steps["train"].timeout, bound.steps["train"].memory) == (300, 2 * 2**30)


def test_all_wrong_run_parameters_are_named_at_once() -> None:
    assert refusals({"fraction": "0.5", "traget": "x"}) == [
        ("", "traget", "credit-applications has no run parameter 'traget'"),
        ("", "fraction", "run parameter 'fraction' should be a number, found text"),
        ("", "target", "run parameter 'target' is needed"),
    ]


@pytest.mark.parametrize("value", [True, None, [0.5], float("nan"), float("inf"), 1e300])
def test_a_value_that_is_no_number_is_refused(value: object) -> None:
    assert refusals({"target": "y", "fraction": value})[0][1] == "fraction"


def test_half_a_surrogate_pair_is_refused() -> None:
    assert refusals({"target": "\ud800"})[0][1] == "target"


def test_a_value_the_step_refuses_names_step_and_parameter() -> None:
    assert refusals({"target": "y", "fraction": 1.5}) == [
        ("split", "fraction", "fraction should be less than 1, found 1.5")
    ]


def test_choices_are_kept_to() -> None:
    text = changed("default: 0.2", "default: 0.2, choices: [0.2, 0.3]")
    assert bind(load_spec(text, REGISTRY), {"target": "y", "fraction": 0.3}, REGISTRY)
    assert refusals({"target": "y", "fraction": 0.25}, text)[0][2].endswith("one of 0.2, 0.3")


def test_a_step_that_is_gone_is_named() -> None:
    with pytest.raises(SpecErrors, match=r"register\.model@1"):
        bind(SPEC, {"target": "y"}, {key: step for key, step in REGISTRY.items() if key != "register.model@1"})


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("${n}", 3),
        ("${f}", 0.5),
        ("${b}", True),
        ("n=${n} f=${f} b=${b} s=${s}", "n=3 f=0.5 b=true s=a${n}b"),
        ("$${n}", "${n}"),
        ("$$${n}", "$${n}"),
        ("${other}", "${other}"),
        ("$n $", "$n $"),
        (["${n}", {"k": "${s}"}], [3, {"k": "a${n}b"}]),
        ({"${n}": 1}, {"${n}": 1}),
    ],
)
def test_substitution_keeps_types_escapes_and_never_runs_twice(text: object, result: object) -> None:
    assert substitute(text, {"n": 3, "f": 0.5, "b": True, "s": "a${n}b"}) == result


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [("string", " 1 ", " 1 "), ("integer", "7", 7), ("number", "0.5", 0.5), ("boolean", "True", True)],
)
def test_typed_text_becomes_a_value(kind: Any, text: str, value: object) -> None:
    assert from_text(ParameterSpec(type=kind), text) == value


@pytest.mark.parametrize(("kind", "text"), [("integer", "0.5"), ("number", "x"), ("boolean", "yes")])
def test_typed_text_of_another_type_is_refused(kind: Any, text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        from_text(ParameterSpec(type=kind), text)
