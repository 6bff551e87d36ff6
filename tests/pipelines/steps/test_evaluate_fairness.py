"""Fairness: fairlearn's figures, intervals as by resampling rows, planted differences, small groups unjudged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fairlearn.metrics as theirs
import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import precision_score

from pipelines.steps._bootstrap import count_weights
from pipelines.steps._fairness import count
from pipelines.steps._groups import positive_scores
from pipelines.steps._metrics import quantile_bins
from pipelines.steps._modelfile import load_model
from pipelines.steps.contract import StepError, StepResult
from pipelines.steps.evaluate_fairness import Params, run
from security.measurement import Measurement, Verdict
from tests.pipelines.steps.ml import INCOME, adult, context, train, value

Array = np.ndarray[Any, Any]
FRAMED = {
    "selection_rate": theirs.selection_rate,
    "tpr": theirs.true_positive_rate,
    "fpr": theirs.false_positive_rate,
    "ppv": lambda y, p: precision_score(y, p, zero_division=np.nan),
}


@pytest.fixture(scope="module")
def census(shared_data: Path) -> tuple[bytes, pa.Table]:
    """A model trained on 5,000 rows and 15,000 others."""
    model = train(adult(shared_data, rows=5000), INCOME, "gradient_boosting", options={"max_iter": 50})
    return model.outputs["model"], adult(shared_data, 5000, 15000)


def fairness(model: bytes, table: pa.Table, **more: Any) -> StepResult:
    params = {"target": INCOME, "positive": ">50K", "bootstrap": 100, **more}
    return run({"model": model, "table": table}, Params(**params), context())


def one(result: StepResult, name: str, **where: str) -> Measurement:
    (found,) = [m for m in result.measurements if m.name == name and m.slice == where]
    return found


def answers(model: bytes, table: pa.Table) -> tuple[Array, Array]:
    _, truth, score = positive_scores(load_model(model), table, INCOME, ">50K")
    return truth, score


@pytest.mark.parametrize("groups", [("sex",), ("sex", "race"), ("sex", "race", "workclass")])
def test_rates_differences_and_ratios_are_fairlearns(census: tuple[bytes, pa.Table], groups: tuple[str, ...]) -> None:
    model, table = census
    result = fairness(model, table, groups=groups, depth=3, min_size=1)
    truth, score = answers(model, table)
    sensitive = table.select(list(groups)).to_pandas().astype(object).where(lambda f: f.notna(), "(missing)")
    frame = theirs.MetricFrame(
        metrics=FRAMED, y_true=truth, y_pred=score >= 0.5, sensitive_features=sensitive.astype(str)
    )
    everywhere = dict.fromkeys(groups, "*")
    for key, row in frame.by_group.dropna().iterrows():
        names = key if isinstance(key, tuple) else (key,)
        for name, expected in row.items():
            found = one(result, name, **dict(zip(groups, names, strict=True)))
            if found.n:  # fairlearn takes a rate without rows for 0
                assert found.value == pytest.approx(expected, abs=1e-12)
    if len(groups) == 3:  # so its differences are none where some group has no such rows
        return
    for name, expected in frame.difference(method="between_groups").items():
        assert value(result, f"{name}_gap", **everywhere) == pytest.approx(expected, abs=1e-12)
    for name, expected in frame.ratio(method="between_groups").items():
        assert value(result, f"{name}_ratio", **everywhere) == pytest.approx(expected, abs=1e-12)
    odds: dict[str, Callable[..., float]] = {
        "equalized_odds_gap": theirs.equalized_odds_difference,
        "equalized_odds_ratio": theirs.equalized_odds_ratio,
    }
    for name, metric in odds.items():
        expected = metric(truth, score >= 0.5, sensitive_features=sensitive.astype(str))
        assert value(result, name, **everywhere) == pytest.approx(expected, abs=1e-12)


def test_calibration_of_a_group_is_what_its_rows_say(census: tuple[bytes, pa.Table]) -> None:
    model, table = census
    result = fairness(model, table, groups=("sex",))
    truth, score = answers(model, table)
    bins = quantile_bins(score)
    for sex in ("Female", "Male"):
        inside = np.array(table["sex"].to_pylist()) == sex
        assert value(result, "calibration_bias", sex=sex) == pytest.approx((score - truth)[inside].mean(), abs=1e-12)
        parts = [abs((score - truth)[inside & (bins == b)].sum()) for b in np.unique(bins)]
        assert value(result, "calibration_error", sex=sex) == pytest.approx(sum(parts) / inside.sum(), abs=1e-12)


def test_counting_gives_the_intervals_of_resampling_rows(census: tuple[bytes, pa.Table]) -> None:
    model, table = census[0], census[1].slice(0, 3000)
    draws = 1000
    result = fairness(model, table, groups=("sex",), bootstrap=draws)
    truth, score = answers(model, table)
    sex = np.array(table["sex"].to_pylist())
    parts = []
    for weights in count_weights(len(table), draws, seed=5):
        rates = [
            (weights @ (truth & (score >= 0.5) & (sex == s))) / (weights @ (truth & (sex == s)))
            for s in ("Female", "Male")
        ]
        parts.append(np.column_stack([*rates, np.abs(rates[0] - rates[1])]))
    by_rows = np.concatenate(parts)
    found = [one(result, "tpr", sex="Female"), one(result, "tpr", sex="Male"), one(result, "tpr_gap", sex="*")]
    for measurement, values in zip(found, by_rows.T, strict=True):
        assert measurement.interval is not None
        # a quantile of 1,000 draws moves by about a ninth of their standard deviation (x 4)
        room = 4 * values.std() / 9
        low, high = np.quantile(values, [0.025, 0.975])
        assert measurement.interval.low == pytest.approx(low, abs=room)
        assert measurement.interval.high == pytest.approx(high, abs=room)


def test_the_census_model_breaks_four_fifths_between_the_sexes(census: tuple[bytes, pa.Table]) -> None:
    rule = {"metric": "selection_rate_ratio", "min": 0.8, "on": "high"}
    result = fairness(*census, groups=("sex",), thresholds=[rule])
    assert value(result, "selection_rate_ratio", sex="*") < 0.4
    assert result.verdict is Verdict.FAIL
    assert result.outputs["report"]["four_fifths"][0]["verdict"] == "fail"
    assert "breaks four fifths" in result.summary


def planted(shift: float, rows: int = 4000) -> tuple[bytes, pa.Table]:
    """A model that reads ``x`` alone, judged on rows where the positives of group b have ``shift`` less of it."""
    generator = np.random.default_rng(3)
    truth = generator.random(2 * rows) < 0.5
    group = np.where(generator.random(2 * rows) < 0.5, "a", "b")
    x = truth * 2.0 + generator.normal(size=2 * rows)
    table = pa.table({"x": x, INCOME: np.where(truth, ">50K", "<=50K"), "branch": group})
    model = train(table.slice(0, rows), INCOME, features=["x"]).outputs["model"]
    held = table.slice(rows)
    moved = x[rows:] - shift * (truth[rows:] & (group[rows:] == "b"))
    return model, held.set_column(0, "x", pa.array(moved))


def test_a_planted_difference_is_found_and_equal_groups_pass() -> None:
    rule = {"metric": "equalized_odds_gap", "max": 0.1, "on": "high"}
    fair = fairness(*planted(0.0), groups=("branch",), thresholds=[rule], bootstrap=500)
    unfair = fairness(*planted(1.0), groups=("branch",), thresholds=[rule], bootstrap=500)
    assert fair.verdict is Verdict.PASS
    assert unfair.verdict is Verdict.FAIL
    gap = one(unfair, "tpr_gap", branch="*")
    assert gap.interval is not None
    # positives of b at a distance of 1 instead of 2 from the negatives, cut in the middle: Φ(1) − Φ(0)
    assert gap.interval.low < 0.3413 < gap.interval.high


def test_what_chance_alone_does_is_said_and_is_about_right() -> None:
    gap = one(fairness(*planted(0.0), groups=("branch",)), "selection_rate_gap", branch="*")
    told = float(gap.note.partition("by chance alone up to ")[2].partition(";")[0])
    # two groups of about 2,000 rows at a rate of a half: 1.96 standard errors of their difference
    assert told == pytest.approx(1.96 * np.sqrt(0.25 / 2000 * 2), rel=0.1)


def test_a_rule_cannot_pass_while_a_group_is_too_small_to_be_judged(census: tuple[bytes, pa.Table]) -> None:
    model, table = census
    rule = {"metric": "tpr_gap", "max": 1.0}
    small = fairness(model, table, groups=("race",), min_size=60, thresholds=[rule])
    gap = one(small, "tpr_gap", race="*")
    assert gap.value is not None
    assert "too small to compare" in gap.note
    assert small.verdict is Verdict.INCONCLUSIVE
    assert fairness(model, table, groups=("sex",), min_size=60, thresholds=[rule]).verdict is Verdict.PASS
    broken = fairness(model, table, groups=("race",), min_size=60, thresholds=[{"metric": "tpr_gap", "max": 0.0}])
    assert broken.verdict is Verdict.FAIL


def test_without_two_large_groups_there_is_no_gap(census: tuple[bytes, pa.Table]) -> None:
    result = fairness(*census, groups=("sex",), min_size=10**6, thresholds=[{"metric": "tpr_gap", "max": 1.0}])
    assert all(m.value is None for m in result.measurements)
    assert result.verdict is Verdict.INCONCLUSIVE


def test_a_model_that_selects_nobody_is_not_fair_by_that() -> None:
    model, table = planted(0.0)
    rules = [{"metric": "selection_rate_ratio", "min": 0.8}]
    result = fairness(model, table, groups=("branch",), decision_threshold=0.999999, thresholds=rules)
    assert one(result, "selection_rate_ratio", branch="*").value is None
    assert result.verdict is Verdict.INCONCLUSIVE
    gap = one(result, "selection_rate_gap", branch="*")
    assert gap.interval is not None
    assert gap.interval.high > 0, "no difference was seen, which does not make it certain"


def test_many_group_columns_count_cells_not_their_product() -> None:
    generator = np.random.default_rng(0)
    columns = {f"c{i}": generator.integers(0, 30, 500).astype(str) for i in range(8)}  # 30**8 combinations
    truth, score = generator.random(500) < 0.5, generator.random(500)
    cells = count(columns, truth, score >= 0.5, score)
    assert int(cells.counts.sum()) == 500
    assert len(cells.counts) <= 500


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"groups": ("tribe",)}, "no column 'tribe'"),
    "too many values": ({"groups": ("age",)}, "different values; up to 30 make groups"),
    "unknown label": ({"groups": ("sex",), "positive": "rich"}, "no class of the model"),
    "no label": ({"groups": ("sex",), "target": "nothing"}, "no column 'nothing'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_its_own_answer(case: str, census: tuple[bytes, pa.Table]) -> None:
    changes, message = BAD[case]
    with pytest.raises(StepError, match=message):
        fairness(census[0], census[1].slice(0, 200), **changes)


def test_labels_of_one_class_leave_what_needs_the_other_unmeasured(census: tuple[bytes, pa.Table]) -> None:
    model, table = census
    rich = table.filter(pa.compute.equal(table[INCOME], ">50K"))
    result = fairness(model, rich, groups=("sex",))
    assert one(result, "fpr", sex="Male").value is None
    assert one(result, "tpr", sex="Male").value is not None
    assert one(result, "equalized_odds_gap", sex="*").value is None
