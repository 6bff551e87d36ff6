"""Decision thresholds: scikit-learn's curves, the cheapest cut found by trying all, a planted wrong cut found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics

from pipelines.pictures.reports import pictures
from pipelines.steps._bootstrap import count_weights
from pipelines.steps._groups import positive_scores
from pipelines.steps._modelfile import load_model
from pipelines.steps.contract import StepError, StepResult
from pipelines.steps.evaluate_decision import Params, run
from security.measurement import Measurement, Verdict
from tests.pipelines.steps.ml import breast_cancer, context, train, value, wine

TARGET = "diagnosis"


def planted(rows: int = 3000, scale: float = 1.0) -> tuple[bytes, pa.Table]:
    """Labels drawn with the probability Φ-like of x, and a model that has learned just that."""
    generator = np.random.default_rng(6)
    x = generator.normal(size=2 * rows)
    label = np.where(generator.random(2 * rows) < 1 / (1 + np.exp(-2 * scale * x)), "yes", "no")
    table = pa.table({"x": x, TARGET: label})
    return train(table.slice(0, rows), TARGET).outputs["model"], table.slice(rows)


def decide(model: bytes, table: pa.Table, **more: Any) -> StepResult:
    params = {"target": TARGET, "positive": "yes", "bootstrap": 200, **more}
    return run({"model": model, "table": table}, Params(**params), context())


def one(result: StepResult, name: str) -> Measurement:
    return next(m for m in result.measurements if m.name == name)


def test_the_curves_are_scikit_learns() -> None:
    table = breast_cancer()
    model = train(table.slice(0, 200), TARGET, features=["mean_radius"]).outputs["model"]
    result = decide(model, table.slice(200), positive="benign")
    _, truth, score = positive_scores(load_model(model), table.slice(200), TARGET, "benign")
    assert value(result, "average_precision") == pytest.approx(metrics.average_precision_score(truth, score))
    for point in result.outputs["report"]["curve"]:
        called = score >= point["threshold"] if point["threshold"] < 1 else np.zeros(len(score), bool)
        matrix = metrics.confusion_matrix(truth, called, labels=[False, True])
        (no, wrong), (missed, right) = matrix
        assert point["fpr"] == pytest.approx(wrong / (no + wrong))
        assert point["recall"] == pytest.approx(right / (missed + right))
        assert point["precision"] == (pytest.approx(right / (right + wrong)) if right + wrong else None)


def test_the_best_threshold_is_the_cheapest_of_all_and_what_theory_says() -> None:
    model, table = planted()
    result = decide(model, table, cost_false_positive=1, cost_false_negative=4)
    _, truth, score = positive_scores(load_model(model), table, TARGET, "yes")
    costs = [((score >= cut) & ~truth).sum() + 4 * ((score < cut) & truth).sum() for cut in np.r_[score, 0, 2]]
    best = next(p["cost"] for p in result.outputs["report"]["curve"]
                if p["threshold"] == result.outputs["report"]["best_threshold"])  # fmt: skip
    assert min(costs) / len(truth) <= best <= min(costs) / len(truth) * 1.02  # 200 cuts of 3,000
    interval = one(result, "best_threshold").interval
    assert interval is not None
    assert interval.low < 1 / (1 + 4) < interval.high  # Elkan 2001: cost_fp / (cost_fp + cost_fn)


def test_a_planted_wrong_threshold_fails_and_the_right_one_passes() -> None:
    model, table = planted()
    rule = {"metric": "avoidable_cost", "max": 0.05}
    for cut, verdict in ((0.5, Verdict.FAIL), (0.2, Verdict.PASS)):
        more = {"cost_false_negative": 4, "decision_threshold": cut, "thresholds": [rule]}
        assert decide(model, table, **more).verdict is verdict


def test_counting_gives_the_interval_of_resampling_rows() -> None:
    model, table = planted(1500)
    found = one(decide(model, table, cost_false_negative=3, bootstrap=1000), "cost").interval
    _, truth, score = positive_scores(load_model(model), table, TARGET, "yes")
    loss = ((score >= 0.5) & ~truth) + 3.0 * ((score < 0.5) & truth)
    draws = np.concatenate([w @ loss / len(loss) for w in count_weights(len(loss), 1000, 9)])
    assert found is not None
    room = 4 * draws.std() / 9  # a quantile of 1,000 draws moves by about a ninth of their deviation
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])), abs=room)


def test_a_model_that_says_nothing_saves_nothing() -> None:
    generator = np.random.default_rng(0)
    table = pa.table({"x": generator.normal(size=2000), TARGET: generator.choice(["no", "yes"], 2000, p=[0.7, 0.3])})
    model = train(table.slice(0, 1000), TARGET, "dummy").outputs["model"]
    result = decide(model, table.slice(1000), thresholds=[{"metric": "saved_by_the_model", "min": 0.01}])
    assert value(result, "saved_by_the_model") == 0
    assert result.verdict is Verdict.FAIL


def test_the_pictures_are_roc_precision_recall_and_cost() -> None:
    found = pictures("evaluate.decision@1", decide(*planted()).outputs["report"])
    assert [picture.title for picture in found] == ["ROC curve", "Precision and recall", "Cost of each threshold"]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "free errors": ({"cost_false_positive": 0, "cost_false_negative": 0}, "both errors cost nothing"),
    "unknown label": ({"positive": "maybe"}, "no class of the model"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_its_own_answer(case: str) -> None:
    changes, message = BAD[case]
    with pytest.raises(StepError, match=message):
        decide(*planted(100), **changes)


def test_one_label_one_row_and_three_classes_are_refused() -> None:
    model, table = planted(200)
    with pytest.raises(StepError, match="one label only"):
        decide(model, table.filter(pa.compute.equal(table[TARGET], "yes")))
    with pytest.raises(StepError, match="1 rows"):
        decide(model, table.slice(0, 1))
    three = train(wine(), "cultivar", "decision_tree").outputs["model"]
    with pytest.raises(StepError, match="name the positive label"):
        run({"model": three, "table": wine()}, Params(target="cultivar"), context())
