"""Evaluation: scikit-learn's own numbers, honest intervals, and answers for what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics

from pipelines.steps._modelfile import load_model
from pipelines.steps.contract import StepError, StepResult
from pipelines.steps.evaluate_classification import Params, run
from security.measurement import Verdict
from tests.pipelines.steps.ml import INCOME, adult, breast_cancer, context, train, value, wine


def evaluate(model: bytes, table: pa.Table, target: str, **more: Any) -> StepResult:
    return run({"model": model, "table": table}, Params(target=target, bootstrap=100, **more), context())


def test_binary_metrics_are_scikit_learns(shared_data: Path) -> None:
    model = train(adult(shared_data, rows=2000), INCOME).outputs["model"]
    test = adult(shared_data, 2000, 3000)
    result = evaluate(model, test, INCOME, positive=">50K")
    truth = np.array([v == ">50K" for v in test.column(INCOME).to_pylist()])
    score = load_model(model).predict_proba(test.drop_columns([INCOME]).to_pandas())[:, 1]
    called = score >= 0.5
    expected = {
        "accuracy": metrics.accuracy_score(truth, called),
        "precision": metrics.precision_score(truth, called),
        "recall": metrics.recall_score(truth, called),
        "f1": metrics.f1_score(truth, called),
        "roc_auc": metrics.roc_auc_score(truth, score),
        "log_loss": metrics.log_loss(truth, score),
        "brier": metrics.brier_score_loss(truth, score),
    }
    for name, number in expected.items():
        assert value(result, name) == pytest.approx(number, abs=1e-12), name
    matrix = result.outputs["report"]["confusion_matrix"]
    assert matrix["counts"] == metrics.confusion_matrix(truth, called).tolist()
    for m in result.measurements:
        assert m.interval is not None
        assert m.interval.low <= m.value <= m.interval.high or m.name == "calibration_error"
    assert {m.name: m.n for m in result.measurements}["recall"] == truth.sum()


def test_the_negative_label_can_be_the_positive_one(shared_data: Path) -> None:
    model = train(adult(shared_data, rows=1000), INCOME).outputs["model"]
    test = adult(shared_data, 2000, 1000)
    plain, turned = (evaluate(model, test, INCOME, positive=p) for p in (">50K", "<=50K"))
    assert plain.outputs["report"]["confusion_matrix"] == turned.outputs["report"]["confusion_matrix"]
    assert value(plain, "roc_auc") == pytest.approx(value(turned, "roc_auc"), abs=1e-12)
    assert value(plain, "recall") != value(turned, "recall")


def test_multiclass_metrics_are_scikit_learns() -> None:
    model = train(wine().slice(0, 60), "cultivar", "random_forest", options={"n_estimators": 5, "max_depth": 2})
    test = wine().slice(60)
    result = evaluate(model.outputs["model"], test, "cultivar")
    truth = np.array(test.column("cultivar").to_pylist())
    estimator = load_model(model.outputs["model"])
    frame = test.drop_columns(["cultivar"]).to_pandas()
    scores, called = estimator.predict_proba(frame), estimator.predict(frame)
    assert value(result, "precision") == pytest.approx(metrics.precision_score(truth, called, average="macro"))
    assert value(result, "recall") == pytest.approx(metrics.recall_score(truth, called, average="macro"))
    assert value(result, "f1") == pytest.approx(metrics.f1_score(truth, called, average="macro"))
    assert value(result, "roc_auc") == pytest.approx(metrics.roc_auc_score(truth, scores, multi_class="ovr"), abs=1e-12)
    assert value(result, "log_loss") == pytest.approx(metrics.log_loss(truth, scores), abs=1e-12)
    assert value(result, "brier") == pytest.approx(metrics.brier_score_loss(truth, scores), abs=1e-12)
    assert np.sum(result.outputs["report"]["confusion_matrix"]["counts"]) == len(truth)


def test_one_class_of_three_against_the_rest() -> None:
    model = train(wine(), "cultivar").outputs["model"]
    report = evaluate(model, wine(), "cultivar", positive="class_1").outputs["report"]
    assert report["confusion_matrix"]["labels"] == ["not class_1", "class_1"]
    assert np.sum(report["confusion_matrix"]["counts"]) == 178


def test_a_perfect_score_still_has_a_width() -> None:
    model = train(wine(), "cultivar").outputs["model"]
    (accuracy,) = [m for m in evaluate(model, wine(), "cultivar").measurements if m.name == "accuracy"]
    assert accuracy.value == 1.0
    assert accuracy.interval is not None
    assert (accuracy.interval.method, accuracy.interval.low < 0.985) == ("Wilson", True)


def test_a_table_with_one_class_leaves_the_area_undefined() -> None:
    table = breast_cancer()
    model = train(table, "diagnosis").outputs["model"]
    ones = table.filter(pa.compute.equal(table["diagnosis"], "benign"))
    result = evaluate(model, ones, "diagnosis", positive="malignant", thresholds=[{"metric": "roc_auc", "min": 0.5}])
    (area,) = [m for m in result.measurements if m.name == "roc_auc"]
    assert area.value is None
    assert "not defined" in area.note
    assert result.verdict is Verdict.INCONCLUSIVE


def test_verdicts() -> None:
    table = breast_cancer()
    model = train(table.slice(0, 400), "diagnosis").outputs["model"]
    for rules, verdict in (
        ([], Verdict.INCONCLUSIVE),
        ([{"metric": "accuracy", "min": 0.9, "on": "low"}], Verdict.PASS),
        ([{"metric": "accuracy", "min": 0.9}, {"metric": "brier", "max": 0.001}], Verdict.FAIL),
        ([{"metric": "beauty", "min": 0.9}], Verdict.INCONCLUSIVE),
    ):
        assert evaluate(model, table.slice(400), "diagnosis", thresholds=rules).verdict is verdict


def test_same_seed_same_report_and_curves_end_in_the_corners() -> None:
    table = breast_cancer()
    model = train(table.slice(0, 400), "diagnosis").outputs["model"]
    first, again = (evaluate(model, table.slice(400), "diagnosis").outputs["report"] for _ in range(2))
    assert first == again
    assert (first["roc"][0], first["roc"][-1]) == ({"fpr": 0.0, "tpr": 0.0}, {"fpr": 1.0, "tpr": 1.0})
    assert sum(point["n"] for point in first["reliability"]) == 169


def test_what_does_not_fit_is_named() -> None:
    table = breast_cancer()
    model = train(table, "diagnosis").outputs["model"]
    for change, more, message in (
        (lambda t: t.drop_columns(["mean_radius"]), {}, "lacks: mean_radius"),
        (lambda t: t.drop_columns(["diagnosis"]), {}, "no column 'diagnosis'"),
        (lambda t: t, {"positive": "ill"}, "'ill' is no class of the model"),
        (lambda t: t.slice(0, 0), {}, "0 rows"),
        (
            lambda t: t.set_column(0, "mean_radius", pa.array(["x"] * 569)),
            {},
            "another kind than in training: mean_radius",
        ),
        (lambda t: t.set_column(30, "diagnosis", pa.array(["odd"] * 569)), {}, "labels the model does not know: odd"),
    ):
        with pytest.raises(StepError, match=message):
            evaluate(model, change(table), "diagnosis", **more)
    with pytest.raises(StepError, match="needs a positive label"):
        evaluate(train(wine(), "cultivar").outputs["model"], wine(), "cultivar", decision_threshold=0.3)
