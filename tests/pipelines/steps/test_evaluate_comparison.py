"""Comparison: gains as computed by hand, McNemar's own p, a worthless model found, classes and numbers kept apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest
from sklearn import metrics

from pipelines.steps._modelfile import load_model
from pipelines.steps.contract import StepError, StepResult
from pipelines.steps.evaluate_comparison import Params, run
from security.measurement import Measurement, Verdict
from tests.pipelines.steps.ml import INCOME, adult, context, diabetes, regress, train, wine


@pytest.fixture(scope="module")
def tables(shared_data: Path) -> tuple[pa.Table, pa.Table]:
    keep = ["age", "education-num", "hours-per-week", "capital-gain", "sex", INCOME]
    return adult(shared_data, rows=2000).select(keep), adult(shared_data, 2000, 4000).select(keep)


def compare(target: str = INCOME, rules: list[dict[str, Any]] | None = None, **inputs: Any) -> StepResult:
    more = {"thresholds": rules or [], "simple": inputs.pop("simple", "logistic_regression")}
    return run(inputs, Params(target=target, bootstrap=300, **more), context())


def gain(result: StepResult, name: str, against: str) -> Measurement:
    (found,) = [m for m in result.measurements if m.name == f"{name}_gain" and m.slice == {"against": against}]
    return found


def test_gains_are_the_differences_of_scikit_learns_figures(tables: tuple[pa.Table, pa.Table]) -> None:
    training, table = tables
    model, champion = (train(training, INCOME, name).outputs["model"] for name in ("decision_tree", "naive_bayes"))
    result = compare(model=model, table=table, training=training, champion=champion)
    frame, truth = table.drop_columns([INCOME]).to_pandas(), np.array(table[INCOME].to_pylist())
    ours, theirs = load_model(model), load_model(champion)
    p, q = ours.predict_proba(frame), theirs.predict_proba(frame)
    right, other = ours.predict(frame) == truth, theirs.predict(frame) == truth
    expected = {
        "accuracy": right.mean() - other.mean(),
        "log_loss": metrics.log_loss(truth, q) - metrics.log_loss(truth, p),
        "brier": metrics.brier_score_loss(truth == ">50K", q[:, 1])
        - metrics.brier_score_loss(truth == ">50K", p[:, 1]),
    }
    for name, number in expected.items():
        assert gain(result, name, "champion").value == pytest.approx(number, abs=1e-12)
    better, worse = int((right & ~other).sum()), int((other & ~right).sum())
    assert f"p = {binomtest(better, better + worse).pvalue:.2g}" in gain(result, "accuracy", "champion").note
    majority = gain(result, "accuracy", "guessing").value
    assert majority == pytest.approx(right.mean() - (truth == "<=50K").mean(), abs=1e-12)


def test_pairs_make_the_interval_narrower_than_two_alone(tables: tuple[pa.Table, pa.Table]) -> None:
    training, table = tables
    model = train(training, INCOME, "logistic_regression").outputs["model"]
    champion = train(training.slice(0, 1500), INCOME, "logistic_regression").outputs["model"]
    interval = gain(compare(model=model, table=table, champion=champion), "accuracy", "champion").interval
    assert interval is not None
    alone = 2 * 1.96 * np.sqrt(2 * 0.8 * 0.2 / len(table))
    assert interval.high - interval.low < alone / 2


def test_a_model_that_learned_nothing_fails_and_one_that_did_passes(tables: tuple[pa.Table, pa.Table]) -> None:
    training, table = tables
    rules = [{"metric": "log_loss_gain", "slice": {"against": "guessing"}, "min": 0.0, "on": "low"}]
    shuffled = training[INCOME].take(pa.array(np.random.default_rng(0).permutation(len(training))))
    noise = training.set_column(training.column_names.index(INCOME), INCOME, shuffled)
    small = {"max_depth": 3, "min_samples_leaf": 50}  # a deeper one is too sure of itself for its log loss
    learned, fooled = (train(t, INCOME, "decision_tree", options=small).outputs["model"] for t in (training, noise))
    assert compare(model=learned, table=table, training=training, rules=rules).verdict is Verdict.PASS
    assert compare(model=fooled, table=table, training=training, rules=rules).verdict is Verdict.FAIL


def test_the_same_model_gains_nothing_over_itself(tables: tuple[pa.Table, pa.Table]) -> None:
    model = train(tables[0], INCOME, "decision_tree").outputs["model"]
    result = compare(model=model, table=tables[1], champion=model)
    for m in result.measurements:
        assert m.interval is not None
        assert (m.value, m.interval.low, m.interval.high) == (0, 0, 0)
    assert gain(result, "accuracy", "champion").note == "both are right on the same rows"


def test_numbers_and_three_classes_are_compared_too() -> None:
    trained, table = diabetes().slice(0, 300), diabetes().slice(300)
    model = regress(trained, "progression", "gradient_boosting").outputs["model"]
    result = compare("progression", model=model, table=table, training=trained, champion=model)
    assert {m.slice["against"] for m in result.measurements} == {"guessing", "ridge", "champion"}
    mean = trained["progression"].to_numpy().mean()
    off = np.abs(table["progression"].to_numpy() - mean).mean()
    assert result.outputs["report"]["compared"][0]["losses"]["absolute_error"] == pytest.approx(off)
    three = train(wine().slice(0, 100), "cultivar", "decision_tree").outputs["model"]
    found = compare("cultivar", model=three, table=wine().slice(100), training=wine().slice(0, 100))
    assert (gain(found, "accuracy", "guessing").value or 0) > 0.2


def test_what_cannot_be_compared_is_refused(tables: tuple[pa.Table, pa.Table]) -> None:
    training, table = tables
    model = train(training, INCOME, "decision_tree").outputs["model"]
    number = regress(training, "age").outputs["model"]
    three = train(wine(), "cultivar", "decision_tree").outputs["model"]
    bad: list[tuple[dict[str, Any], str]] = [
        ({}, "nothing to compare with"),
        ({"champion": number}, "different questions"),
        ({"champion": three}, "other labels than the model"),
        ({"training": training.drop_columns(["sex"])}, "lack columns that the model needs: sex"),
        ({"training": training.filter(pa.compute.equal(training[INCOME], ">50K"))}, "other labels than the model"),
        ({"training": training, "simple": "ridge"}, "ridge predicts no label"),
    ]
    for more, message in bad:
        with pytest.raises(StepError, match=message):
            compare(model=model, table=table, **more)
