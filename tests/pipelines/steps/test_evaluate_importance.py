"""Permutation importance: near scikit-learn's, what matters first, noise at zero, and a stability that means it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.inspection import permutation_importance

from pipelines.pictures.reports import pictures
from pipelines.steps._modelfile import load_model
from pipelines.steps.contract import StepError, StepResult
from pipelines.steps.evaluate_importance import Params, run
from security.measurement import Measurement, Verdict
from tests.pipelines.steps.ml import context, diabetes, regress, train, value


def planted(rows: int = 2000) -> pa.Table:
    """``strong`` decides most, ``weak`` a little, ``noise`` nothing; ``word`` decides nothing either."""
    generator = np.random.default_rng(5)
    strong, weak, noise = generator.normal(size=(3, rows))
    label = np.where(generator.random(rows) < 1 / (1 + np.exp(-3 * strong - weak)), "yes", "no")
    word = generator.choice(["a", "b"], rows)
    return pa.table({"noise": noise, "weak": weak, "strong": strong, "word": word, "label": label})


def importance(model: bytes, table: pa.Table, target: str = "label", **more: Any) -> StepResult:
    return run({"model": model, "table": table}, Params(target=target, bootstrap=200, **more), context())


def one(result: StepResult, name: str, **where: str) -> Measurement:
    (found,) = [m for m in result.measurements if m.name == name and m.slice == where]
    return found


@pytest.fixture(scope="module")
def fitted() -> tuple[bytes, pa.Table]:
    return train(planted().slice(0, 1000), "label").outputs["model"], planted().slice(1000)


def test_importances_are_scikit_learns_but_for_the_draws(fitted: tuple[bytes, pa.Table]) -> None:
    model, table = fitted
    result = importance(model, table, repeats=20)
    frame, truth = table.drop_columns(["label"]).to_pandas(), table["label"].to_pylist()
    theirs = permutation_importance(
        load_model(model), frame, truth, scoring="neg_log_loss", n_repeats=20, random_state=0
    )
    for place, name in enumerate(frame.columns):
        room = 4 * theirs.importances_std[place] * (2 / 20) ** 0.5 + 1e-9
        assert value(result, "importance", column=name) == pytest.approx(theirs.importances_mean[place], abs=room)


def test_what_decides_comes_first_and_noise_is_not_told_from_nothing(fitted: tuple[bytes, pa.Table]) -> None:
    result = importance(*fitted)
    columns = [m.slice["column"] for m in result.measurements if m.name == "importance"]
    assert columns[:2] == ["strong", "weak"]
    for name in ("strong", "weak"):
        interval = one(result, "importance", column=name).interval
        assert interval is not None
        assert interval.low > 0
    for name in ("noise", "word"):
        interval = one(result, "importance", column=name).interval
        assert interval is not None
        assert interval.low < 0.005
        assert interval.high < 0.02


def test_a_ranking_is_stable_where_columns_differ_and_not_where_they_are_alike() -> None:
    generator = np.random.default_rng(7)
    x = generator.normal(size=(1600, 6))
    rule = {"metric": "importance_stability", "min": 0.8}
    verdicts = []
    for slopes in ([4.0, 2.8, 2.0, 1.4, 0.9, 0.5], [1.0] * 6):
        label = np.where(generator.random(1600) < 1 / (1 + np.exp(-x @ np.array(slopes))), "yes", "no")
        table = pa.table({f"c{i}": x[:, i] for i in range(6)} | {"label": label})
        model = train(table.slice(0, 800), "label").outputs["model"]
        verdicts.append(importance(model, table.slice(800), thresholds=[rule]).verdict)
    assert verdicts == [Verdict.PASS, Verdict.FAIL]


def test_a_model_that_uses_nothing_has_no_ranking() -> None:
    model = train(planted().slice(0, 1000), "label", "dummy").outputs["model"]
    rule = {"metric": "importance_stability", "min": 0.1}
    result = importance(model, planted().slice(1000), thresholds=[rule])
    assert all(m.value == 0 for m in result.measurements if m.name == "importance")
    assert result.verdict is Verdict.INCONCLUSIVE


def test_numbers_have_importances_in_their_own_unit() -> None:
    model = regress(diabetes().slice(0, 300), "progression").outputs["model"]
    result = importance(model, diabetes().slice(300), "progression")
    assert result.measurements[0].slice["column"] in ("bmi", "s5", "s1")
    assert result.measurements[0].unit == "target"
    (picture,) = pictures("evaluate.importance@1", result.outputs["report"])
    assert picture.rows[-1][0] == result.measurements[0].slice["column"]


def test_bad_input_gets_its_own_answer(fitted: tuple[bytes, pa.Table]) -> None:
    model, table = fitted
    with pytest.raises(StepError, match="no column 'nothing'"):
        importance(model, table, "nothing")
    with pytest.raises(StepError, match="1 rows"):
        importance(model, table.slice(0, 1))
    with pytest.raises(StepError, match="columns that the table lacks: word"):
        importance(model, table.drop_columns(["word"]))


def test_constant_and_empty_columns_matter_nothing(fitted: tuple[bytes, pa.Table]) -> None:
    model, table = fitted
    held = table.set_column(0, "noise", pa.array([1.0] * len(table))).set_column(
        1, "weak", pa.nulls(len(table), pa.float64())
    )
    result = importance(model, held)
    assert value(result, "importance", column="noise") == 0
    assert value(result, "importance", column="weak") == 0
