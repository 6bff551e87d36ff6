"""Calibration: the formula by hand, exact probabilities pass, planted overconfidence is found and measured."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from pipelines.pictures.reports import pictures
from pipelines.steps import evaluate_calibration
from pipelines.steps._groups import positive_scores
from pipelines.steps._modelfile import load_model
from pipelines.steps.contract import StepError, StepResult
from pipelines.steps.evaluate_calibration import Params, run
from security.measurement import Measurement, Verdict
from tests.pipelines.steps.ml import breast_cancer, context, train, value, wine

RULE = {"metric": "calibration_error", "max": 0.04}


def calibration(model: bytes, table: pa.Table, **more: Any) -> StepResult:
    params = {"target": "label", "positive": "yes", "bootstrap": 200, **more}
    return run({"model": model, "table": table}, Params(**params), context())


def planted(sharper: float, rows: int = 4000) -> tuple[bytes, pa.Table]:
    """A model of log-odds 2x on held-out labels whose log-odds are 2x / sharper."""
    generator = np.random.default_rng(11)
    x = generator.normal(size=2 * rows)
    odds = np.where(np.arange(2 * rows) < rows, 2 * x, 2 * x / sharper)
    label = np.where(generator.random(2 * rows) < 1 / (1 + np.exp(-odds)), "yes", "no")
    table = pa.table({"x": x, "label": label})
    return train(table.slice(0, rows), "label", options={"C": 1e6}).outputs["model"], table.slice(rows)


def one(result: StepResult, name: str) -> Measurement:
    return next(m for m in result.measurements if m.name == name)


@pytest.mark.parametrize("binning", ["quantile", "uniform"])
def test_the_error_is_the_formula_over_the_stated_bins(binning: str) -> None:
    model, table = planted(2.0)
    result = calibration(model, table, binning=binning, bins=8)
    _, truth, score = positive_scores(load_model(model), table, "label", "yes")
    edges = np.quantile(score, np.linspace(0, 1, 9)) if binning == "quantile" else np.linspace(0, 1, 9)
    edges[-1] += 1e-9
    parts = []
    for low, high in pairwise(edges):
        inside = (score >= low) & (score < high)
        parts.append((inside.mean(), abs(truth[inside].mean() - score[inside].mean()) if inside.any() else 0.0))
    assert value(result, "calibration_error") == pytest.approx(sum(w * gap for w, gap in parts), abs=1e-9)
    assert value(result, "largest_bin_error") == pytest.approx(max(gap for _, gap in parts), abs=1e-9)
    assert f"8 {binning} bins" in one(result, "calibration_error").note


def test_slope_and_intercept_are_scikit_learns() -> None:
    model, table = planted(2.0)
    _, truth, score = positive_scores(load_model(model), table, "label", "yes")
    odds = np.log(score / (1 - score))[:, None]
    fitted = LogisticRegression(C=1e9, tol=1e-10, max_iter=1000).fit(odds, truth)
    result = calibration(model, table)
    assert value(result, "calibration_slope") == pytest.approx(fitted.coef_[0, 0], abs=1e-4)
    assert value(result, "calibration_intercept") == pytest.approx(fitted.intercept_[0], abs=1e-4)


def test_planted_overconfidence_is_found_and_true_probabilities_pass() -> None:
    rule = {"metric": "calibration_slope", "min": 0.8, "max": 1.25}
    clean, sure = (calibration(*planted(sharper), thresholds=[RULE, rule]) for sharper in (1.0, 2.0))
    assert clean.verdict is Verdict.PASS
    assert sure.verdict is Verdict.FAIL
    for result, truth in ((clean, 1.0), (sure, 0.5)):
        interval = one(result, "calibration_slope").interval
        assert interval is not None
        assert interval.low < truth < interval.high
    assert value(clean, "calibration_error") < clean.outputs["report"]["by_chance"]
    assert value(sure, "calibration_error") > 3 * sure.outputs["report"]["by_chance"]


def test_of_three_classes_the_predicted_one_is_judged() -> None:
    model = train(wine().slice(0, 90), "cultivar", features=["alcohol"]).outputs["model"]
    held = wine().slice(90)
    params = Params(target="cultivar", bootstrap=100, bins=4)
    result = evaluate_calibration.run({"model": model, "table": held}, params, context())
    frame, truth = held.drop_columns(["cultivar"]).to_pandas(), held["cultivar"].to_pylist()
    loaded = load_model(model)
    top, right = loaded.predict_proba(frame).max(axis=1), loaded.predict(frame) == truth
    assert result.outputs["report"]["judged"] == "the predicted class"
    assert value(result, "calibration_bias") == pytest.approx((top - right).mean(), abs=1e-12)


def test_separated_labels_and_one_label_leave_the_line_undefined() -> None:
    table = breast_cancer()
    model = train(table, "diagnosis", "decision_tree", options={"max_depth": None, "min_samples_leaf": 1})
    params = Params(target="diagnosis", bootstrap=100, thresholds=[{"metric": "calibration_slope", "min": 0.5}])
    result = run({"model": model.outputs["model"], "table": table}, params, context())
    assert one(result, "calibration_slope").value is None
    assert result.verdict is Verdict.INCONCLUSIVE
    benign = table.filter(pa.compute.equal(table["diagnosis"], "benign"))
    alone = run({"model": model.outputs["model"], "table": benign}, params, context())
    assert one(alone, "calibration_slope").value is None


def test_the_picture_is_the_reliability_curve() -> None:
    (picture,) = pictures("evaluate.calibration@1", calibration(*planted(1.0)).outputs["report"])
    assert picture.title == "Reliability"
    assert len(picture.rows) == 10


def test_bad_input_gets_its_own_answer() -> None:
    model, table = planted(1.0, rows=100)
    with pytest.raises(StepError, match="labels the model does not know"):
        calibration(model, table.set_column(1, "label", pa.array(["perhaps"] * 100)))
    with pytest.raises(StepError, match="1 rows"):
        calibration(model, table.slice(0, 1))
    with pytest.raises(StepError, match="another kind than in training"):
        calibration(model, table.set_column(0, "x", pa.array(["text"] * 100)))
