"""Stress: what each harm does is what was done by hand; planted weaknesses are found, a sturdy model passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.pictures.reports import pictures
from pipelines.steps._answers import Asked
from pipelines.steps._modelfile import load_model
from pipelines.steps.contract import StepError, StepResult
from pipelines.steps.evaluate_stress import Params, run
from security.measurement import Measurement, Verdict
from tests.pipelines.steps.ml import context, diabetes, regress, train, value


def planted(rows: int = 1500) -> pa.Table:
    """A label that rises with ``income`` and falls with ``debt``; a town that says nothing; whole-number ``age``."""
    generator = np.random.default_rng(2)
    income, debt = generator.normal(size=(2, rows))
    label = np.where(generator.random(rows) < 1 / (1 + np.exp(-3 * income + 2 * debt)), "yes", "no")
    town = generator.choice(["a", "b", "c"], rows)
    return pa.table(
        {"income": income, "debt": debt, "age": generator.integers(18, 80, rows), "town": town, "label": label}
    )


def stress(model: bytes, table: pa.Table, **more: Any) -> StepResult:
    params = {"target": "label", "positive": "yes", "bootstrap": 100, **more}
    return run({"model": model, "table": table}, Params(**params), context())


def fitted(estimator: str = "logistic_regression", **more: Any) -> tuple[bytes, pa.Table]:
    return train(planted().slice(0, 700), "label", estimator, **more).outputs["model"], planted().slice(700)


def one(result: StepResult, name: str, **where: str) -> Measurement:
    (found,) = [m for m in result.measurements if m.name == name and m.slice == where]
    return found


def test_a_unit_error_does_what_it_does_by_hand() -> None:
    model, table = fitted()
    result = stress(model, table, unit_factors=(1000.0,))
    loaded, frame = load_model(model), table.drop_columns(["label"]).to_pandas()
    truth = np.array(table["label"].to_pylist())
    before = loaded.predict(frame)
    frame["debt"] *= 1000
    after = loaded.predict(frame)
    where = {"stress": "unit ×1000", "column": "debt"}
    assert value(result, "error_rise", **where) == pytest.approx((after != truth).mean() - (before != truth).mean())
    assert value(result, "changed_labels", **where) == pytest.approx((after != before).mean())
    assert value(result, "unanswered", **where) == 0


def test_what_matters_is_hurt_and_what_does_not_is_not() -> None:
    model, table = fitted()
    result = stress(model, table)
    assert value(result, "error_rise", stress="unit ×1000", column="income") > 0.1
    assert abs(value(result, "error_rise", stress="unseen category", column="town")) < 0.05
    small, large = (one(result, "error_rise", stress=f"noise {size}").value for size in ("0.1", "0.5"))
    assert small is not None
    assert large is not None
    assert small < large


def test_a_rule_that_a_sturdy_model_keeps_fails_a_brittle_one() -> None:
    rule = {"metric": "changed_labels", "slice": {"stress": "noise 0.1"}, "max": 0.1, "on": "high"}
    brittle = {"max_depth": None, "min_samples_leaf": 1}
    sturdy, table = fitted()
    assert stress(sturdy, table, thresholds=[rule]).verdict is Verdict.PASS
    generator = np.random.default_rng(0)
    noisy = planted().slice(0, 700)
    shuffled = pa.array(generator.choice(["no", "yes"], 700))
    learned = train(noisy.set_column(4, "label", shuffled), "label", "decision_tree", options=brittle)
    assert stress(learned.outputs["model"], table, thresholds=[rule]).verdict is Verdict.FAIL


def test_a_broken_expectation_is_found_and_a_kept_one_passes() -> None:
    model, table = fitted()
    right = [{"column": "income", "direction": "increasing"}, {"column": "debt", "direction": "decreasing"}]
    rule = {"metric": "expectation_broken", "max": 0.01, "on": "high"}
    kept = stress(model, table, expectations=right, thresholds=[rule])
    assert kept.verdict is Verdict.PASS
    wrong = [{"column": "income", "direction": "decreasing"}]
    broken = stress(model, table, expectations=wrong, thresholds=[rule])
    assert broken.verdict is Verdict.FAIL
    assert value(broken, "expectation_broken", column="income", direction="decreasing") > 0.9
    assert "1 expectations are broken" in broken.summary


def test_an_expectation_speaks_of_the_label_that_is_named() -> None:
    model, table = fitted()
    up = [{"column": "income", "direction": "increasing"}]
    shares = [
        value(stress(model, table, positive=p, expectations=up), "expectation_broken", **up[0]) for p in ("yes", "no")
    ]
    assert shares[0] == 0
    assert shares[1] > 0.9


def test_a_constant_column_leaves_an_expectation_inconclusive() -> None:
    model, table = fitted()
    same = table.set_column(0, "income", pa.array([1.0] * len(table)))
    rule = {"metric": "expectation_broken", "max": 0.5}
    result = stress(model, same, expectations=[{"column": "income", "direction": "increasing"}], thresholds=[rule])
    assert result.verdict is Verdict.INCONCLUSIVE


class Silent:
    """Answers nothing sensible where ``income`` is large, and refuses rows that lack it."""

    def predict_proba(self, frame: Any) -> Any:
        if frame["income"].isna().any():
            raise ValueError("Input contains NaN")
        share = np.where(frame["income"] > 10, np.nan, 0.4)
        return np.column_stack([share, 1 - share])


def test_a_model_that_does_not_answer_is_wrong_there_and_is_no_crash() -> None:
    frame = planted().drop_columns(["label"]).to_pandas().head(4)
    subject = Asked(Silent(), frame, np.array([1, 1, 0, 1]), ["no", "yes"])
    fine = subject.answers(frame)
    assert subject.error(fine).tolist() == [0, 0, 1, 0]
    large = subject.answers(frame.assign(income=[0.0, 99.0, 0.0, 0.0]))
    assert np.isnan(large).any(axis=1).tolist() == [False, True, False, False]
    assert subject.error(large).tolist() == [0, 1, 1, 0]
    assert np.isnan(subject.answers(frame.assign(income=np.nan))).all()


def test_whole_numbers_stay_whole_and_the_table_is_sampled_by_seed() -> None:
    model, table = fitted("decision_tree")
    first, again = (stress(model, table, max_rows=100) for _ in range(2))
    assert first.outputs["report"] == again.outputs["report"]
    assert first.outputs["report"]["rows"] == 100


def test_numbers_are_stressed_too() -> None:
    model = regress(diabetes().slice(0, 300), "progression").outputs["model"]
    params = Params(target="progression", bootstrap=100, expectations=[{"column": "bmi", "direction": "increasing"}])
    result = run({"model": model, "table": diabetes().slice(300)}, params, context())
    assert value(result, "expectation_broken", column="bmi", direction="increasing") == 0
    assert value(result, "error_rise", stress="unit ×1000", column="bmi") > 1000
    assert not any(m.name == "changed_labels" for m in result.measurements)


def test_the_pictures_are_the_harm_and_the_expectations() -> None:
    expectations = [{"column": "income", "direction": "increasing"}]
    found = pictures("evaluate.stress@1", stress(*fitted(), expectations=expectations).outputs["report"])
    assert [picture.title for picture in found] == ["Error added by each stress", "Expectations broken"]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no number": ({"expectations": [{"column": "town", "direction": "increasing"}]}, "'town', which is no numeric"),
    "a share above one": ({"missing": (1.5,)}, "1.5 is no share"),
    "no noise": ({"noise": (0.0,)}, "no positive number of standard deviations"),
    "unknown label": ({"target": "town"}, "labels the model does not know"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_its_own_answer(case: str) -> None:
    changes, message = BAD[case]
    with pytest.raises(StepError, match=message):
        stress(*fitted(), **changes)
