"""The evasion step: valid changes only, counted once, with a control, and inconclusive when time runs out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.steps import attack_evasion
from pipelines.steps._frames import model_frame
from pipelines.steps._modelfile import load_model
from pipelines.steps.attack_evasion import Params, run
from pipelines.steps.contract import StepError, StepResult
from security.measurement import Verdict
from tests.pipelines.steps.ml import INCOME, adult, breast_cancer, context, train, value, wine

SMALL: dict[str, Any] = {"samples": 6, "max_iter": 4, "max_eval": 100, "starts": 100, "noise_draws": 50}


@pytest.fixture(scope="module")
def cancer() -> bytes:
    """A logistic regression on 400 rows of the Wisconsin data."""
    data: bytes = train(breast_cancer().slice(0, 400), "diagnosis").outputs["model"]
    return data


def attack(model: bytes, table: Any, target: str, seed: int = 1, **more: Any) -> StepResult:
    return run({"model": model, "table": table}, Params(target=target, **{**SMALL, **more}), context(seed))


def exact_distances(model: bytes, table: Any, rows: list[int]) -> list[float]:
    """The true distance of rows to the line of a logistic regression, in training standard deviations."""
    pipeline = load_model(model)
    points = pipeline.named_steps["prepare"].transform(model_frame(pipeline, table).iloc[rows])
    line = pipeline.named_steps["estimator"]
    return [float(d) for d in np.abs(line.decision_function(points)) / np.linalg.norm(line.coef_)]


def test_found_distances_are_never_below_the_exact_ones_and_near_them(cancer: bytes) -> None:
    table = breast_cancer().slice(400)
    rows = attack(cancer, table, "diagnosis", max_iter=10).outputs["report"]["rows"]
    truth = exact_distances(cancer, table, [r["row"] for r in rows])
    assert len(rows) >= 5
    for row, least in zip(rows, truth, strict=True):
        assert least - 1e-4 <= row["distance"] <= 2 * least + 0.1


def test_both_attacks_agree_on_a_line(cancer: bytes) -> None:
    table = breast_cancer().slice(400)
    rows = attack(cancer, table, "diagnosis", attack="projected_gradient", radii=[0.5, 1.0, 2.0]).outputs["report"][
        "rows"
    ]
    for row, least in zip(rows, exact_distances(cancer, table, [r["row"] for r in rows]), strict=True):
        if least < 0.9:
            assert row["distance"] is not None
        assert row["distance"] is None or row["distance"] >= least - 1e-4


def test_same_seed_same_attack_another_seed_other_rows(cancer: bytes) -> None:
    table = breast_cancer().slice(400)
    first, again, other = (attack(cancer, table, "diagnosis", seed=s).outputs["report"] for s in (1, 1, 2))
    assert first == again
    assert first["rows"] != other["rows"]


def test_only_allowed_columns_change_and_whole_numbers_stay_whole(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = train(adult(shared_data, rows=2000), INCOME).outputs["model"]
    table = adult(shared_data, 2000, 500)
    tried = []
    real = attack_evasion.pd.concat
    monkeypatch.setattr(attack_evasion.pd, "concat", lambda *a, **k: tried.append(real(*a, **k)) or tried[-1])
    report = attack(model, table, INCOME, immutable=["age"], samples=12).outputs["report"]
    assert "age" not in report["columns_that_may_change"]
    frame = model_frame(load_model(model), table)
    assert tried
    for changed in tried:
        original = frame[(frame["fnlwgt"] == changed["fnlwgt"].iloc[0])]
        for name in ("age", "sex", "race", "occupation"):
            assert changed[name].nunique() == 1
            assert original.empty or name != "age" or changed[name].iloc[0] in original[name].to_numpy()
        for name in report["columns_that_may_change"]:
            values = changed[name].to_numpy()
            assert (values == np.round(values)).all()
            assert values.min() >= frame[name].min()
            assert values.max() <= frame[name].max()


def test_success_grows_with_the_radius_and_adds_up(cancer: bytes) -> None:
    table = breast_cancer().slice(400)
    result = attack(cancer, table, "diagnosis", samples=15, radii=[0.5, 1, 4, 50])
    report = result.outputs["report"]
    exact = np.array(exact_distances(cancer, table, [r["row"] for r in report["rows"]]))
    rates = {r: value(result, "attack_success_rate", radius=r) for r in ("0.5", "1", "4", "50")}
    assert list(rates.values()) == sorted(rates.values())
    assert rates["50"] == 1.0
    for radius, rate in rates.items():
        assert rate <= (exact <= float(radius) + 1e-4).mean()
    for radius in rates:
        survived = report["attacked"] * (1 - value(result, "attack_success_rate", radius=radius))
        expected = survived / report["sampled"]
        assert value(result, "accuracy_under_attack", radius=radius) == pytest.approx(expected)
    assert value(result, "noise_success_rate", radius="0.5") <= value(result, "attack_success_rate", radius="1")
    assert "succeeded for" in result.summary
    assert "robust" not in str(result).lower()


def test_no_time_is_inconclusive_even_when_the_rules_would_pass(cancer: bytes) -> None:
    rules = [{"metric": "attack_success_rate", "max": 1.0}]
    table = breast_cancer().slice(400)
    assert attack(cancer, table, "diagnosis", thresholds=rules).verdict is Verdict.PASS
    late = attack(cancer, table, "diagnosis", thresholds=rules, seconds=1e-9)
    assert late.verdict is Verdict.INCONCLUSIVE
    assert "time ran out with" in late.summary


def test_three_classes_and_missing_numbers() -> None:
    table = wine()
    holes = table.set_column(0, "alcohol", [[v if i % 2 else None for i, v in enumerate(table["alcohol"].to_pylist())]])
    model = train(holes, "cultivar", "decision_tree").outputs["model"]
    assert attack(model, holes, "cultivar").outputs["report"]["attacked"] >= 5


def test_what_cannot_be_attacked_is_named(cancer: bytes) -> None:
    table = breast_cancer()
    everything = [n for n in table.column_names if n != "diagnosis"]
    forest = train(table, "diagnosis", "decision_tree").outputs["model"]
    for model, more, message in (
        (cancer, {"immutable": everything}, "nothing to attack"),
        (cancer, {"immutable": ["shoe_size"]}, "no column 'shoe_size'"),
        (forest, {"attack": "projected_gradient"}, "needs a logistic_regression"),
    ):
        with pytest.raises(StepError, match=message):
            attack(model, table, "diagnosis", **more)
