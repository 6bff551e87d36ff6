"""Models from outside, opened: what is good is described, what lies, fails or could do harm is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from pipelines.steps import import_model, register_external
from pipelines.steps.contract import StepError, StepResult
from tests.pipelines.steps.ml import breast_cancer, context, train
from tests.support import foreign_models as made

TRAINING = "a" * 64
REGRESSION = {"task": "regression", "classes": []}


def opened(data: bytes, folder: Path, **changes: Any) -> StepResult:
    file = folder / "in-file"
    file.write_bytes(data)
    given = {"columns": made.COLUMNS, "classes": made.CLASSES, "training_sha256": TRAINING, **changes}
    given["sha256"] = given.get("sha256", hashlib.sha256(data).hexdigest())
    return import_model.run({"file": file}, import_model.Params.model_validate(given), context())


def refused(data: bytes, folder: Path, **changes: Any) -> str:
    with pytest.raises(StepError) as caught:
        opened(data, folder, **changes)
    return caught.value.message


@pytest.mark.parametrize("data", [made.logistic(), made.onnx_good()], ids=["skops", "onnx"])
def test_a_good_model_keeps_its_bytes_and_is_described(data: bytes, tmp_path: Path):
    result = opened(data, tmp_path)
    assert result.outputs["model"] == data
    report = result.outputs["report"]
    assert report["sha256"] == hashlib.sha256(data).hexdigest()
    assert report["classes"] == ["no", "yes"]
    assert [column["name"] for column in report["columns"]] == ["age", "hours"]
    assert report["training"] == {"sha256": TRAINING, "in_vault": False}
    assert sum(report["probe"]["answered"].values()) == report["probe"]["rows"] == 64
    assert result.verdict == "pass"


def test_a_regression_of_either_format_is_asked_for_numbers(tmp_path: Path):
    mean = helper.make_node("ReduceMean", ["x"], ["y"], axes=[1], keepdims=1)
    for data in (made.linear(), made.onnx_file([mean], outputs=made.NUMBER)):
        found = opened(data, tmp_path, **REGRESSION).outputs["report"]["probe"]
        assert found["smallest"] < found["largest"]


def test_a_model_of_this_house_comes_in_with_its_column_names(tmp_path: Path):
    trained = train(breast_cancer(), "diagnosis", "random_forest", options={"n_estimators": 3}).outputs
    columns = [{"name": name} for name in trained["report"]["features"]]
    classes = list(trained["report"]["classes"])
    assert opened(trained["model"], tmp_path, columns=columns, classes=classes).verdict == "pass"
    assert "in this order" in refused(trained["model"], tmp_path, columns=columns[::-1], classes=classes)


def test_a_pickle_named_as_the_model_is_refused_unopened(tmp_path: Path):
    trace = tmp_path / "opened"
    assert "a pickle, whatever its name says" in refused(made.pickled(str(trace)), tmp_path)
    assert not trace.exists()


def test_unknown_types_are_listed_and_refused(tmp_path: Path):
    message = refused(made.with_unknown_type(), tmp_path)
    assert "not on the allow-list: posixpath.join" in message


@pytest.mark.parametrize("location", ["/etc/passwd", "../../secret", "weights.bin"])
def test_an_onnx_file_that_names_another_file_is_refused(location: str, tmp_path: Path):
    (tmp_path / "weights.bin").write_bytes(bytes(8))
    message = refused(made.external_data(location), tmp_path, **REGRESSION)
    assert "in another file, which is not followed" in message


def test_external_data_hidden_in_a_branch_is_found(tmp_path: Path):
    inner = made.checked(made.external_data("/etc/passwd")).graph
    hidden = helper.make_node("If", ["condition"], ["y"], then_branch=inner, else_branch=inner)
    condition = helper.make_tensor("condition", made.TensorProto.BOOL, [], [True])
    data = made.onnx_file([hidden], outputs=made.NUMBER, initializers=[condition])
    assert "in another file" in refused(data, tmp_path, **REGRESSION)


def test_operators_of_a_foreign_domain_are_refused(tmp_path: Path):
    node = helper.make_node("Anything", ["x"], ["y"], domain="com.example.custom")
    data = made.onnx_file([node], outputs=made.NUMBER, domains=["", "com.example.custom"])
    assert "com.example.custom" in refused(data, tmp_path, **REGRESSION)


def test_an_operator_that_the_standard_does_not_have_is_refused(tmp_path: Path):
    data = made.onnx_file([helper.make_node("ReadFile", ["x"], ["y"])], outputs=made.NUMBER)
    assert "'ReadFile', which is no standard operator" in refused(data, tmp_path, **REGRESSION)


def test_functions_of_its_own_are_refused(tmp_path: Path):
    body = [helper.make_node("Identity", ["a"], ["b"])]
    own = helper.make_function("", "Own", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    data = made.onnx_file([helper.make_node("Identity", ["x"], ["y"])], outputs=made.NUMBER, functions=[own])
    assert "functions or training instructions" in refused(data, tmp_path, **REGRESSION)


def test_a_damaged_onnx_file_is_refused(tmp_path: Path):
    assert "ONNX file is" in refused(made.onnx_good()[:-40], tmp_path)


@pytest.mark.parametrize("data", [made.logistic(), made.onnx_good()], ids=["skops", "onnx"])
@pytest.mark.parametrize("classes", [["yes", "no"], ["no", "maybe"], ["no", "yes", "maybe"]])
def test_a_model_with_other_classes_than_declared_is_refused(data: bytes, classes: list[str], tmp_path: Path):
    assert "declared are" in refused(data, tmp_path, classes=classes)


def test_a_model_that_lies_about_its_classes_is_refused(tmp_path: Path):
    """It says two and answers with three: scikit-learn itself does not notice."""
    lying = made.broken_logistic(coef_=np.zeros((3, 2)), intercept_=np.zeros(3))
    assert "probabilities of 3 classes; 2 were declared" in refused(lying, tmp_path)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_model_that_answers_nan_is_refused(bad: float, tmp_path: Path):
    data = made.broken_logistic(coef_=np.array([[0.0, bad]]))
    assert "NaN or infinity" in refused(data, tmp_path)
    logged = helper.make_node("Log", ["negative"], ["logged"])
    mean = helper.make_node("ReduceMean", ["logged"], ["y"], axes=[1], keepdims=1)
    squared = [helper.make_node("Mul", ["x", "x"], ["s"]), helper.make_node("Neg", ["s"], ["negative"])]
    data = made.onnx_file([*squared, logged, mean], outputs=made.NUMBER)
    assert "NaN or infinity" in refused(data, tmp_path, **REGRESSION)


def test_a_model_that_answers_by_chance_is_refused(tmp_path: Path):
    drawn = helper.make_node("RandomUniformLike", ["x"], ["r"])
    mean = helper.make_node("ReduceMean", ["r"], ["y"], axes=[1], keepdims=1)
    data = made.onnx_file([drawn, mean], outputs=made.NUMBER)
    assert "differently when it was asked the same again" in refused(data, tmp_path, **REGRESSION)


def test_a_model_that_fails_on_its_own_schema_is_refused_with_what_it_said(tmp_path: Path):
    message = refused(made.logistic(), tmp_path, columns=[*made.COLUMNS, {"name": "more"}])
    assert "declare the columns that it was trained with" in message
    message = refused(made.onnx_good(), tmp_path, columns=[*made.COLUMNS, {"name": "more"}])
    assert "takes 2 columns, 3 are declared" in message


def test_the_digest_named_must_be_the_files(tmp_path: Path):
    assert "not the one named" in refused(made.logistic(), tmp_path, sha256="b" * 64)


def test_the_origin_passes_only_where_the_training_data_is_here(tmp_path: Path):
    data = made.logistic()
    scan = opened(data, tmp_path).outputs["report"]
    params = register_external.Params(model="risk", supplier="Bank", lineage="Logistic regression on 2024 loans.")
    claimed = register_external.run({"model": data, "scan": scan}, params, context())
    held = {**scan, "training": {**scan["training"], "in_vault": True}}
    proven = register_external.run({"model": data, "scan": held}, params, context())
    assert (claimed.verdict, proven.verdict) == ("inconclusive", "pass")
    assert "its supplier's word" in claimed.summary
    assert claimed.register is not None
    assert claimed.outputs["report"]["supplier"] == "Bank"
