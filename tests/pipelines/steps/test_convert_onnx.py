"""Conversion to ONNX: what agrees is given, what does not agree or has no ONNX form is told and not given."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from pipelines.steps import convert_onnx
from pipelines.steps._frames import model_frame
from pipelines.steps._modelfile import load_model
from pipelines.steps.contract import StepResult
from tests.pipelines.steps.ml import adult, breast_cancer, context, train, value


def converted(model: bytes, table: object, **params: object) -> StepResult:
    return convert_onnx.run({"model": model, "table": table}, convert_onnx.Params.model_validate(params), context())


@pytest.mark.parametrize("estimator", ["logistic_regression", "decision_tree", "linear_svm", "naive_bayes"])
def test_what_converts_gives_the_same_answers_as_an_independent_runtime_finds(estimator: str):
    table = breast_cancer()
    model = train(table, "diagnosis", estimator).outputs["model"]
    result = converted(model, table)
    assert result.verdict == "pass"
    assert (value(result, "label_agreement"), value(result, "largest_difference") < 1e-4) == (1.0, True)
    rows = model_frame(load_model(model), table)
    session = onnxruntime.InferenceSession(result.outputs["onnx"], providers=["CPUExecutionProvider"])
    fed = {
        name: rows[own].to_numpy(np.float32).reshape(-1, 1) for name, own in result.outputs["report"]["inputs"].items()
    }
    labels = session.run(None, fed)[0]
    assert labels.tolist() == load_model(model).predict(rows).tolist()


def test_a_model_without_an_onnx_form_is_inconclusive_and_gives_no_file():
    result = converted(train(breast_cancer(), "diagnosis", "dummy").outputs["model"], breast_cancer())
    assert (result.verdict, "onnx" in result.outputs) == ("inconclusive", False)
    assert "DummyClassifier" in result.outputs["report"]["why"]


def test_answers_that_differ_by_single_precision_fail_and_give_no_file(shared_data):
    """A forest on census data: no label changes, but rows beside a threshold fall to its other side."""
    table = adult(shared_data, 0, 3000)
    model = train(table, "income-per-year", "random_forest", options={"n_estimators": 10}, min_category_rows=20)
    result = converted(model.outputs["model"], table)
    assert (result.verdict, "onnx" in result.outputs) == ("fail", False)
    assert value(result, "largest_difference") > 0.05


def test_names_that_onnx_does_not_take_are_kept_beside_the_file(shared_data):
    table = adult(shared_data, 0, 1000)
    result = converted(train(table, "income-per-year").outputs["model"], table)
    assert result.verdict == "pass"
    assert result.outputs["report"]["inputs"]["education_num"] == "education-num"
