"""The evasion step with every attack: only rows that may exist, what could not run is named, budgets never pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipelines.pictures.reports import pictures
from pipelines.steps import attack_evasion_2
from pipelines.steps._modelfile import dump_model, load_model
from pipelines.steps._victim import Ground
from pipelines.steps.attack_evasion_2 import Params, run
from pipelines.steps.contract import StepError, StepResult
from security.measurement import Verdict
from tests.pipelines.steps.ml import INCOME, adult, breast_cancer, context, train, value

SMALL: dict[str, Any] = {"samples": 8, "max_iter": 4, "max_eval": 60, "starts": 100, "noise_draws": 30}


@pytest.fixture(scope="module")
def cancer() -> bytes:
    data: bytes = train(breast_cancer().slice(0, 400), "diagnosis").outputs["model"]
    return data


@pytest.fixture(scope="module")
def census(shared_data: Path) -> bytes:
    """A single tree on 1,500 people."""
    data: bytes = train(adult(shared_data, rows=1500), INCOME, "decision_tree", exclude=["fnlwgt"]).outputs["model"]
    return data


def attack(model: bytes, table: pa.Table, target: str = "diagnosis", seed: int = 1, **more: Any) -> StepResult:
    return run({"model": model, "table": table}, Params(target=target, **{**SMALL, **more}), context(seed))


def found_rows(monkeypatch: pytest.MonkeyPatch) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Pairs (row before, row found) that the step confirms from here on."""
    seen: list[tuple[pd.DataFrame, pd.DataFrame]] = []
    real = Ground.raw

    def raw(self: Ground, points: Any, owner: Any) -> pd.DataFrame:
        rows = real(self, points, owner)
        seen.append((self.frame.iloc[owner].reset_index(drop=True), rows))
        return rows

    monkeypatch.setattr(attack_evasion_2.Ground, "raw", raw)
    return seen


def test_every_row_that_counts_could_exist(shared_data: Path, census: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, table = found_rows(monkeypatch), adult(shared_data, 2000, 400)
    attack(census, table, INCOME, immutable=["age", "sex"], samples=15)
    assert seen
    all_rows = table.to_pandas()
    changed_text = 0
    for before, after in seen:
        assert before[["age", "sex"]].equals(after[["age", "sex"]])
        for name in ("education-num", "capital-gain", "capital-loss", "hours-per-week"):
            assert (after[name] == after[name].round()).all()
            assert after[name].between(all_rows[name].min(), all_rows[name].max()).all()
        for name in ("workclass", "marital-status", "occupation", "relationship", "race", "native-country"):
            assert set(after[name].dropna()) <= set(all_rows[name].dropna())
            assert (after[name].isna() == before[name].isna()).all(), "a missing value stays missing"
            changed_text += int((after[name] != before[name]).sum() - before[name].isna().sum())
    assert changed_text, "categories take part"


def test_the_distance_that_is_reported_is_that_of_the_row_that_was_found(
    cancer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, table = found_rows(monkeypatch), breast_cancer().slice(400)
    report = attack(cancer, table, attacks=["deep_fool"], radii=[50]).outputs["report"]
    scale = load_model(cancer).named_steps["prepare"].named_transformers_["numbers"].named_steps["scale"].scale_
    (before, after), names = seen[0], list(load_model(cancer).feature_names_in_)
    away = np.sqrt((((after[names] - before[names]).to_numpy() / scale) ** 2).sum(axis=1))
    assert [row["distance"] for row in report["rows"]] == pytest.approx(away.tolist(), rel=1e-6)


def test_a_dear_feature_is_left_alone(cancer: bytes) -> None:
    table = breast_cancer().slice(400)
    used = attack(cancer, table, attacks=["deep_fool"]).outputs["report"]["features_changed"]
    favourite = next(iter(used))
    dear = attack(cancer, table, attacks=["hop_skip_jump"], costs={favourite: 1000.0}).outputs["report"]
    assert dear["features_changed"].get(favourite, 0) < used[favourite]


def test_flags_of_which_one_is_set_change_together(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    kind, size = generator.integers(0, 3, 600), generator.normal(size=600)
    columns: dict[str, Any] = {f"is_{name}": (kind == i).astype(int) for i, name in enumerate("abc")}
    label = ((kind == 0) ^ (size > 2)).astype(int)
    table = pa.table({**columns, "size": size, "label": label})
    model = train(table, "label", "decision_tree").outputs["model"]
    seen = found_rows(monkeypatch)
    flags = ["is_a", "is_b", "is_c"]
    report = attack(model, table, "label", one_of=[flags], immutable=["size"], radii=[1.0]).outputs["report"]
    assert report["features_that_may_change"] == ["is_a/is_b/is_c"]
    rows = pd.concat([after for _, after in seen])
    assert len(rows)
    assert (rows[flags].sum(axis=1) == 1).all()
    assert np.isin(rows[flags], (0, 1)).all()
    broken = table.set_column(0, "is_a", pa.array([1] * 600))
    with pytest.raises(StepError, match="exactly one is 1"):
        attack(model, broken, "label", one_of=[flags])


@pytest.mark.parametrize(
    ("estimator", "runs"),
    [
        ("logistic_regression", {"fast_gradient", "projected_gradient", "deep_fool", "random_search", "hop_skip_jump"}),
        ("decision_tree", {"decision_tree", "random_search", "hop_skip_jump"}),
        ("naive_bayes", {"random_search", "hop_skip_jump"}),
    ],
)
def test_what_fits_runs_and_the_rest_is_listed_with_its_reason(estimator: str, runs: set[str]) -> None:
    model = train(breast_cancer().slice(0, 300), "diagnosis", estimator).outputs["model"]
    report = attack(model, breast_cancer().slice(400), samples=3, max_iter=1).outputs["report"]
    assert {one["attack"] for one in report["attacks"]} == runs
    assert len(report["not_run"]) == 6 - len(runs)
    assert all(len(one["reason"]) > 20 for one in report["not_run"])


def test_rates_add_up_and_grow_with_the_radius(cancer: bytes) -> None:
    result = attack(cancer, breast_cancer().slice(400), radii=[0.5, 1, 4, 50], samples=12)
    report = result.outputs["report"]
    rates = [value(result, "attack_success_rate", radius=r) for r in ("0.5", "1", "4", "50")]
    assert rates == sorted(rates)
    assert rates[-1] == 1.0
    for radius, rate in zip(("0.5", "1", "4", "50"), rates, strict=True):
        alone = [
            m.value for m in result.measurements
            if m.name == "success_rate_by_attack" and m.slice["radius"] == radius
        ]  # fmt: skip
        assert max(alone) <= rate <= sum(alone)
        left = len(report["rows"]) * (1 - rate) / report["sampled"]
        assert value(result, "accuracy_under_attack", radius=radius) == pytest.approx(left)
    shares = [point["share"] for point in report["success_by_distance"]]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    for points in report["success_by_queries"].values():
        assert [p["queries"] for p in points] == sorted(p["queries"] for p in points)


def test_a_budget_that_ran_out_never_passes_but_a_failure_stays_one(cancer: bytes) -> None:
    table = breast_cancer().slice(400)
    generous = [{"metric": "attack_success_rate", "max": 1.0}]
    strict = [{"metric": "attack_success_rate", "slice": {"radius": "50"}, "max": 0.1}]
    assert attack(cancer, table, thresholds=generous, attacks=["deep_fool"]).verdict is Verdict.PASS
    for budget in ({"max_queries": 150, "max_iter": 100}, {"seconds": 1e-9}):
        result = attack(cancer, table, thresholds=generous, attacks=["hop_skip_jump"], **budget)
        assert result.verdict is Verdict.INCONCLUSIVE
        assert "budget ran out" in result.summary
    result = attack(cancer, table, thresholds=strict, radii=[50], max_queries=150, max_iter=100)
    assert result.verdict is Verdict.FAIL


def test_no_attack_that_fits_is_inconclusive_and_says_so(cancer: bytes) -> None:
    rules = [{"metric": "attacks_not_run", "max": 9}]
    result = attack(cancer, breast_cancer().slice(400), attacks=["decision_tree"], thresholds=rules)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.summary.startswith("no attack could run")


def test_a_report_states_threat_budget_strength_and_mitigation_only_for_a_failure(cancer: bytes) -> None:
    table = breast_cancer().slice(400)
    reports = [
        attack(cancer, table, thresholds=[{"metric": "attack_success_rate", "max": limit}], radii=[5]).outputs["report"]
        for limit in (1.0, 0.0)
    ]
    assert [bool(report["mitigations"]) for report in reports] == [False, True]
    assert reports[0]["threat"]["ids"] == ["NISTAML.022", "NISTAML.025"]
    assert reports[0]["budget"]["queries_per_row_and_attack"] == 5000
    assert "lower bound" in reports[0]["strength"][0]


def test_no_cell_reaches_the_report(shared_data: Path, census: bytes) -> None:
    report = str(attack(census, adult(shared_data, 2000, 300), INCOME).outputs["report"])
    assert not any(word in report for word in ("Private", "Husband", "United-States", "<=50K"))


def test_success_against_queries_is_drawn(cancer: bytes) -> None:
    report = attack(cancer, breast_cancer().slice(400), radii=[50]).outputs["report"]
    titles = [one.title for one in pictures("attack.evasion@2", report)]
    assert titles[0] == "Predictions flipped"
    assert "hop_skip_jump: success against queries" in titles


def test_a_model_that_answers_nonsense_is_refused(cancer: bytes) -> None:
    table = breast_cancer().slice(400)
    tree = train(table, "diagnosis", "decision_tree").outputs["model"]
    for good, break_it, message in (
        (cancer, lambda line: setattr(line, "coef_", line.coef_ * np.nan), "not finite"),
        (tree, lambda one: setattr(one, "classes_", np.array(["benign", "malignant", "other"])), "names 3 classes"),
        (cancer, lambda line: setattr(line, "coef_", line.coef_[:, :3]), "could not be asked"),
    ):
        model = load_model(good)
        break_it(model.named_steps["estimator"])
        with pytest.raises(StepError, match=message):
            attack(dump_model(model), table)


def test_what_cannot_be_attacked_is_named(cancer: bytes) -> None:
    table = breast_cancer().slice(400)
    numbers = [n for n in table.column_names if n != "diagnosis"]
    constant = table.select(["diagnosis"])
    for name in numbers:
        constant = constant.append_column(name, pa.array([1.0] * table.num_rows))
    for changed, more, message in (
        (table, {"immutable": numbers}, "no feature may be changed"),
        (table, {"immutable": ["shoe_size"]}, "no column 'shoe_size'"),
        (table, {"costs": {"shoe_size": 2.0}}, "costs names shoe_size"),
        (table.slice(0, 1), {}, "1 rows; at least 2"),
    ):
        with pytest.raises(StepError, match=message):
            attack(cancer, changed, **more)
    still = attack(cancer, constant, thresholds=[{"metric": "attack_success_rate", "max": 0.5}])
    assert still.outputs["report"]["success_by_distance"] == [], "constant features cannot move"
    one = table.filter(pa.compute.equal(table["diagnosis"], "benign"))
    assert attack(cancer, one, attacks=["random_search"]).outputs["report"]["sampled"] == 8, "one class in the table"
