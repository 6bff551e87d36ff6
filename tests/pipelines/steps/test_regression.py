"""Regression: every estimator of the table repeats itself, scikit-learn's own figures, planted noise measured."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipelines.steps import evaluate_classification, register_model
from pipelines.steps._modelfile import load_model
from pipelines.steps._regressors import REGRESSORS
from pipelines.steps.contract import StepError, StepResult
from pipelines.steps.evaluate_regression import Params, run
from pipelines.steps.train_regression import EstimatorName
from security.measurement import Verdict
from tests.pipelines.steps.ml import adult, context, diabetes, regress, train, value, wine

TARGET = "progression"
SMALL: dict[str, dict[str, Any]] = {
    "random_forest": {"n_estimators": 5},
    "extra_trees": {"n_estimators": 5},
    "gradient_boosting": {"max_iter": 5},
}


def evaluate(model: bytes, table: pa.Table, target: str = TARGET, **more: Any) -> StepResult:
    return run({"model": model, "table": table}, Params(target=target, bootstrap=200, **more), context())


def test_the_names_in_the_parameters_are_the_table() -> None:
    assert set(typing.get_args(EstimatorName)) == set(REGRESSORS)


@pytest.mark.parametrize("estimator", sorted(REGRESSORS))
def test_every_regressor_trains_and_repeats_itself(estimator: str, shared_data: Path) -> None:
    table = adult(shared_data, rows=600)
    first, again = (regress(table, "hours-per-week", estimator, options=SMALL.get(estimator, {})) for _ in range(2))
    assert first.outputs["model"] == again.outputs["model"]
    assert first.outputs["report"] == again.outputs["report"]
    frame = table.drop_columns(["hours-per-week"]).to_pandas()
    truth = table["hours-per-week"].to_numpy()
    off = np.abs(load_model(first.outputs["model"]).predict(frame) - truth).mean()
    assert off == pytest.approx(first.outputs["report"]["train_mean_absolute_error"])


def test_the_model_is_the_one_scikit_learn_would_fit() -> None:
    table = diabetes()
    frame, truth = table.drop_columns([TARGET]).to_pandas(), table[TARGET].to_numpy()
    by_hand = make_pipeline(StandardScaler(), Ridge(alpha=1.0)).fit(frame, truth)
    model = load_model(regress(table, TARGET).outputs["model"])
    assert model.predict(frame) == pytest.approx(by_hand.predict(frame), abs=1e-8)


def test_the_figures_are_scikit_learns() -> None:
    model, table = regress(diabetes().slice(0, 300), TARGET).outputs["model"], diabetes().slice(300)
    result = evaluate(model, table)
    truth, said = table[TARGET].to_numpy(), load_model(model).predict(table.drop_columns([TARGET]).to_pandas())
    expected = {
        "mean_absolute_error": metrics.mean_absolute_error(truth, said),
        "root_mean_squared_error": metrics.root_mean_squared_error(truth, said),
        "r2": metrics.r2_score(truth, said),
        "bias": (said - truth).mean(),
    }
    for name, number in expected.items():
        assert value(result, name) == pytest.approx(number, abs=1e-10), name
    for m in result.measurements:
        assert m.interval is not None
        assert m.interval.low < m.value < m.interval.high


def test_figures_of_a_target_far_from_zero_do_not_cancel_out() -> None:
    near, far = diabetes(), diabetes()
    far = far.set_column(far.column_names.index(TARGET), TARGET, pa.array(far[TARGET].to_numpy() + 1e9))
    results = [evaluate(regress(t.slice(0, 300), TARGET).outputs["model"], t.slice(300)) for t in (near, far)]
    assert value(results[1], "r2") == pytest.approx(value(results[0], "r2"), abs=1e-4)


def planted(shift: float) -> tuple[bytes, pa.Table]:
    """A line with noise of standard deviation 1; the held-out numbers are ``shift`` lower than the model learned."""
    generator = np.random.default_rng(4)
    x = generator.normal(size=4000)
    y = 3 * x + generator.normal(size=4000)
    model = regress(pa.table({"x": x[:2000], "y": y[:2000]}), "y").outputs["model"]
    return model, pa.table({"x": x[2000:], "y": y[2000:] - shift})


def test_a_planted_bias_is_found_and_noise_alone_passes() -> None:
    rules = [{"metric": "bias", "min": -0.2, "max": 0.2}, {"metric": "root_mean_squared_error", "max": 1.1}]
    clean, moved = (evaluate(*planted(shift), target="y", thresholds=rules) for shift in (0.0, 0.5))
    assert clean.verdict is Verdict.PASS
    assert moved.verdict is Verdict.FAIL
    bias = next(m for m in moved.measurements if m.name == "bias")
    assert bias.interval is not None
    assert bias.interval.low < 0.5 < bias.interval.high
    error = next(m for m in clean.measurements if m.name == "root_mean_squared_error")
    assert error.interval is not None
    assert error.interval.low < 1.0 < error.interval.high


def test_one_observed_number_leaves_r2_undefined() -> None:
    model, table = planted(0.0)
    same = pa.table({"x": table["x"], "y": [1.0] * len(table)})
    result = evaluate(model, same, target="y", thresholds=[{"metric": "r2", "min": 0.0}])
    assert result.verdict is Verdict.INCONCLUSIVE


def small(**columns: Any) -> pa.Table:
    return pa.table({"x": [1.0, 2.0, 3.0, 4.0], "town": ["a", "b", "a", "b"], "y": [1.0, 2.0, 4.0, 3.0], **columns})


BAD = {
    "text target": (small(y=list("abcd")), {}, "a quantity is a number"),
    "boolean target": (small(y=[True, False, True, False]), {}, "a quantity is a number"),
    "missing target": (small(y=[1.0, None, 2.0, 3.0]), {}, "1 rows have no finite number"),
    "infinite target": (small(y=[1.0, float("inf"), 2.0, 3.0]), {}, "1 rows have no finite number"),
    "one value": (small(y=[1.0] * 4), {}, "one value only"),
    "one row": (small().slice(0, 1), {}, "1 rows"),
    "infinite feature": (small(x=[1.0, float("inf"), 2.0, 3.0]), {}, "infinite values in x"),
    "empty feature": (small(x=pa.nulls(4, pa.float64())), {}, "no value at all in x"),
    "unknown option": (small(), {"options": {"C": 1}}, "Allowed: alpha"),
    "more neighbours than rows": (small(), {"estimator": "nearest_neighbours"}, "15 neighbours are asked for"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_its_own_answer(case: str) -> None:
    table, changes, message = BAD[case]
    with pytest.raises(StepError, match=message):
        regress(table, **{"target": "y", **changes})


def test_constant_features_are_harmless() -> None:
    assert regress(small(x=[1.0] * 4), "y").outputs["report"]["numeric"] == ["x"]


def test_a_classifier_and_a_regressor_are_not_mistaken_for_each_other() -> None:
    classifier = train(wine(), "cultivar", "decision_tree").outputs["model"]
    with pytest.raises(StepError, match="the model is a classifier"):
        evaluate(classifier, wine(), target="alcohol")
    regressor = regress(diabetes(), TARGET).outputs["model"]
    with pytest.raises(StepError, match="predicts a number, not a class"):
        evaluate_classification.run(
            {"model": regressor, "table": wine()}, evaluate_classification.Params(target="cultivar"), context()
        )


def test_a_regressor_can_be_registered() -> None:
    trained = regress(diabetes(), TARGET).outputs
    inputs = {"model": trained["model"], "training": trained["report"]}
    result = register_model.run(inputs, register_model.Params(model="progression"), context())
    assert result.outputs["report"]["classes"] == []
    assert result.outputs["report"]["training"]["train_mean_absolute_error"] > 0
