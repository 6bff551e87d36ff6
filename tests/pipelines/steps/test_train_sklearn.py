"""Training: every estimator of the table, the same bytes each time, and bad input answered."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipelines.steps._estimators import ESTIMATORS
from pipelines.steps._modelfile import load_model
from pipelines.steps.contract import StepError
from pipelines.steps.train_sklearn import EstimatorName, Params
from tests.pipelines.steps.ml import INCOME, adult, breast_cancer, train, wine

SMALL: dict[str, dict[str, Any]] = {
    "random_forest": {"n_estimators": 5},
    "extra_trees": {"n_estimators": 5},
    "gradient_boosting": {"max_iter": 5},
}


def people(**columns: Any) -> pa.Table:
    """A small table with numbers, text, nulls and a label."""
    base: dict[str, Any] = {
        "age": [20, 30, None, 50, 60, 25, 35, 45],
        "town": ["a", "b", "a", None, "b", "a", "c", "b"],
        "member": [True, False, True, None, False, True, False, True],
        "label": ["no", "yes", "no", "yes", "yes", "no", "yes", "no"],
    }
    return pa.table({**base, **columns})


def test_the_names_in_the_parameters_are_the_table() -> None:
    assert set(typing.get_args(EstimatorName)) == set(ESTIMATORS)


@pytest.mark.parametrize("estimator", sorted(ESTIMATORS))
def test_every_estimator_trains_and_repeats_itself(estimator: str, shared_data: Path) -> None:
    table = adult(shared_data, rows=800)
    first = train(table, INCOME, estimator, options=SMALL.get(estimator, {}))
    again = train(table, INCOME, estimator, options=SMALL.get(estimator, {}))
    assert first.outputs["model"] == again.outputs["model"]
    assert first.outputs["report"] == again.outputs["report"]
    model = load_model(first.outputs["model"])
    assert list(model.classes_) == ["<=50K", ">50K"]
    frame = table.drop_columns([INCOME]).to_pandas()
    truth = np.array(table.column(INCOME).to_pylist())
    assert np.mean(model.predict(frame) == truth) == pytest.approx(first.outputs["report"]["train_accuracy"])


@pytest.mark.parametrize("estimator", sorted(ESTIMATORS))
def test_every_estimator_takes_three_classes_and_repeats_itself(estimator: str) -> None:
    first, again = (train(wine(), "cultivar", estimator, options=SMALL.get(estimator, {})) for _ in range(2))
    assert first.outputs["model"] == again.outputs["model"]
    assert list(load_model(first.outputs["model"]).classes_) == ["class_0", "class_1", "class_2"]


def test_the_model_is_the_one_scikit_learn_would_fit() -> None:
    table = breast_cancer()
    frame, truth = table.drop_columns(["diagnosis"]).to_pandas(), table.column("diagnosis").to_pylist()
    by_hand = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(frame, truth)
    model = load_model(train(table, "diagnosis").outputs["model"])
    assert model.predict_proba(frame) == pytest.approx(by_hand.predict_proba(frame), abs=1e-9)


def test_missing_values_and_unseen_categories_are_the_models_own_business() -> None:
    result = train(people(), "label")
    model = load_model(result.outputs["model"])
    assert result.outputs["report"]["numeric"] == ["age", "member"]
    assert result.outputs["report"]["categorical"] == ["town"]
    frame = people().drop_columns(["label"]).to_pandas().astype({"age": float, "member": float})
    frame["town"] = "never seen"
    assert np.isfinite(model.predict_proba(frame)).all()


def test_three_classes() -> None:
    report = train(wine(), "cultivar").outputs["report"]
    assert report["classes"] == {"class_0": 59, "class_1": 71, "class_2": 48}


def test_numeric_and_boolean_labels_become_text() -> None:
    for labels, expected in (
        ([0, 1] * 4, ["0", "1"]),
        ([True, False] * 4, ["false", "true"]),
        ([1.0, 2.0] * 4, ["1", "2"]),
    ):
        assert list(train(people(label=labels), "label").outputs["report"]["classes"]) == expected


def test_class_weights_move_the_boundary(shared_data: Path) -> None:
    table = adult(shared_data, rows=1000)
    frame = table.drop_columns([INCOME]).to_pandas()
    plain, balanced = (
        load_model(train(table, INCOME, class_weight=weight).outputs["model"]) for weight in (None, "balanced")
    )
    assert (balanced.predict(frame) == ">50K").sum() > 1.2 * (plain.predict(frame) == ">50K").sum()


BAD = {
    "target missing": (people(), {"target": "nothing"}, "no column 'nothing'; the table has age, town"),
    "one class": (people(label=["no"] * 8), {}, "one class only"),
    "null labels": (people(label=["no", None] * 4), {}, "4 rows have no label"),
    "continuous target": (pa.table({"a": range(99), "label": [i / 7 for i in range(99)]}), {}, "99 different values"),
    "feature missing": (people(), {"features": ["age", "wage"]}, "no column 'wage'"),
    "target as feature": (people(), {"features": ["age", "label"]}, "leak the answer"),
    "nothing left": (people(), {"exclude": ["age", "town", "member"]}, "no feature is left"),
    "no rows": (people().slice(0, 0), {}, "0 rows"),
    "all null": (people(age=pa.array([None] * 8, pa.float64())), {}, "no value at all in age"),
    "infinite": (people(age=[1.0, 2.0, float("inf"), 4.0, 5.0, 6.0, 7.0, 8.0]), {}, "infinite values in age"),
    "free text": (people(town=[f"note {i}" for i in range(8)]), {"max_categories": 5}, r"town \(8\)"),
    "dates": (people(age=pa.array([1] * 8, pa.timestamp("s"))), {}, "must be numbers, booleans or text: age"),
    "unknown option": (people(), {"options": {"n_jobs": 8}}, "Allowed: C, max_iter"),
    "option out of range": (people(), {"options": {"C": -1}}, "C: Input should be greater than 0"),
    "weights of nobody": (people(), {"class_weight": {"perhaps": 2}}, "unknown labels perhaps"),
    "weights for neighbours": (
        people(), {"estimator": "nearest_neighbours", "class_weight": "balanced", "options": {"n_neighbors": 3}},
        "takes no class weights",
    ),
    "too few for folds": (
        people(label=["yes"] + ["no"] * 7), {"estimator": "linear_svm"}, "fewer rows than linear_svm has",
    ),
    "more neighbours than rows": (people(), {"estimator": "nearest_neighbours"}, "15 neighbours are asked for"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_its_own_answer(case: str) -> None:
    table, changes, message = BAD[case]
    with pytest.raises(StepError, match=message):
        train(table, **{"target": "label", **changes})


def test_personal_columns_are_refused_and_named_but_not_shown() -> None:
    table = people(email=["someone@example.org"] * 8)
    field = table.schema.field("email").with_metadata({"personal": "true"})
    table = table.cast(table.schema.set(table.column_names.index("email"), field))
    with pytest.raises(StepError, match="personal data cannot be features: email") as caught:
        train(table, "label")
    assert "someone" not in str(caught.value) + str(caught.value.details)
    assert "email" not in train(table, "label", exclude=["email"]).outputs["report"]["features"]


def test_an_estimator_outside_of_the_table_is_refused() -> None:
    with pytest.raises(ValidationError, match="logistic_regression"):
        Params(target="label", estimator="sklearn.svm.SVC")
