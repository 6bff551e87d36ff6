"""Drift: SciPy's own tests, an index that is zero without and large with drift, and p-values that say what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pytest
from scipy import stats

from pipelines.steps.contract import StepError, StepResult
from pipelines.steps.monitor_drift import Params, adjust, run, stability_index
from security.measurement import Verdict
from tests.pipelines.steps.ml import adult, context, value


def compare(reference: pa.Table, current: pa.Table, **more: Any) -> StepResult:
    return run({"reference": reference, "current": current}, Params(draws=200, **more), context())


def numbers(**columns: Any) -> pa.Table:
    return pa.table(columns)


def test_two_halves_of_the_census_pass(shared_data: Path) -> None:
    result = compare(adult(shared_data, 0, 10_000), adult(shared_data, 10_000, 10_000))
    assert result.verdict is Verdict.PASS
    assert max(m.value or 0 for m in result.measurements if m.name == "psi") < 0.02
    assert {m.slice["column"] for m in result.measurements} == set(adult(shared_data, 0, 1).column_names)


def test_the_electricity_market_drifts(shared_data: Path) -> None:
    table = pc.read_csv(shared_data / "elec.csv")
    result = compare(table.slice(0, 10_000), table.slice(35_000))
    assert result.verdict is Verdict.FAIL
    assert any((m.value or 0) > 0.2 for m in result.measurements if m.name == "psi")


def test_effects_and_p_values_are_scipys(shared_data: Path) -> None:
    a, b = adult(shared_data, 0, 3000), adult(shared_data, 20_000, 2000)
    result = compare(a, b, columns=["age", "hours-per-week", "workclass"])
    raw = []
    for name in ("age", "hours-per-week"):
        test = stats.ks_2samp(a[name].to_numpy(), b[name].to_numpy(), method="asymp")
        assert value(result, "ks_statistic", column=name) == pytest.approx(test.statistic, abs=1e-12)
        raw.append(test.pvalue)
    table = np.array(
        [
            [
                t["workclass"].to_pylist().count(c)
                for c in set(a["workclass"].to_pylist()) | set(b["workclass"].to_pylist())
            ]
            for t in (a, b)
        ]
    )
    assert value(result, "cramers_v", column="workclass") == pytest.approx(
        stats.contingency.association(table, method="cramer"), abs=1e-12
    )
    raw.append(stats.chi2_contingency(table, correction=False).pvalue)
    found = [value(result, "p_value_adjusted", column=n) for n in ("age", "hours-per-week", "workclass")]
    assert found == pytest.approx(stats.false_discovery_control(raw).tolist(), abs=1e-12)


def test_adjusting_keeps_places_and_skips_what_is_missing() -> None:
    assert adjust([0.01, None, 0.04]) == [pytest.approx(0.02), None, pytest.approx(0.04)]
    assert adjust([None]) == [None]


def test_the_index_by_hand_and_its_mean_without_drift() -> None:
    p, q = np.array([60.5, 40.5]) / 101, np.array([30.5, 70.5]) / 101
    expected = float(((q - p) * np.log(q / p)).sum())
    assert stability_index(np.array([60, 40]), np.array([30, 70])) == pytest.approx(expected)
    generator = np.random.default_rng(0)
    draws = [generator.multinomial(500, [0.1] * 10, size=4000) for _ in range(2)]
    assert stability_index(*draws).mean() == pytest.approx(9 * (1 / 500 + 1 / 500), rel=0.05)


def test_a_shift_of_one_deviation_fails_and_the_picture_has_both_sides() -> None:
    generator = np.random.default_rng(0)
    a, b = numbers(x=generator.normal(size=2000)), numbers(x=generator.normal(1, 1, size=1000))
    result = compare(a, b)
    assert result.verdict is Verdict.FAIL
    (column,) = result.outputs["report"]["columns"]
    assert sum(row["reference"] for row in column["bins"]) == 2000
    assert sum(row["current"] for row in column["bins"]) == 1000
    assert column["bins"][0]["above"] is None
    assert column["bins"][9]["up_to"] is None
    interval = next(m.interval for m in result.measurements if m.name == "psi")
    assert interval is not None
    assert 0.2 < interval.low < interval.high


def test_values_that_went_missing_are_drift() -> None:
    a = numbers(x=[float(i) for i in range(500)])
    b = numbers(x=[float(i) if i % 2 else None for i in range(500)])
    result = compare(a, b)
    assert result.verdict is Verdict.FAIL
    assert value(result, "missing_share_change", column="x") == pytest.approx(0.5)
    assert value(result, "ks_statistic", column="x") < 0.01, "the values that are there did not move"


def test_a_category_never_seen_before_is_drift() -> None:
    result = compare(numbers(c=["a", "b"] * 200), numbers(c=["a", "b", "new", "new"] * 100))
    assert result.verdict is Verdict.FAIL


def test_a_p_value_has_no_direction_and_is_never_judged_by_default() -> None:
    result = compare(numbers(c=["a", "b"] * 200, x=range(400)), numbers(c=["a", "b"] * 200, x=range(400)))
    for m in result.measurements:
        if m.name == "p_value_adjusted":
            assert (m.direction, m.unit) == ("none", "probability")
            assert "not a distance" in m.note


def test_too_few_rows_are_inconclusive() -> None:
    assert compare(numbers(x=range(50)), numbers(x=range(500))).verdict is Verdict.INCONCLUSIVE


def test_personal_columns_and_text_that_hardly_repeats_are_left_out_and_unseen() -> None:
    table = numbers(x=range(200), note=[f"secret {i}" for i in range(200)], town=["Springfield"] * 200)
    field = table.schema.field("town").with_metadata({"personal": "true"})
    table = table.cast(table.schema.set(2, field))
    result = compare(table, table)
    assert [c["column"] for c in result.outputs["report"]["columns"]] == ["x"]
    assert "secret" not in str(result)
    assert "Springfield" not in str(result)
    with pytest.raises(StepError, match="flagged as personal"):
        compare(table, table, columns=["town"])
    with pytest.raises(StepError, match="text must repeat"):
        compare(table, table, columns=["note"])


def test_what_cannot_be_compared_is_named() -> None:
    for a, b, more, message in (
        (numbers(x=[1]), numbers(y=[1]), {}, "nothing to compare"),
        (numbers(x=[1]), numbers(x=["1"]), {}, "changed their kind between the tables: x"),
        (numbers(x=[1]), numbers(x=[1]), {"columns": ["z"]}, "column 'z' is not in both"),
        (numbers(x=[1]), numbers(x=pa.array([], pa.int64())), {}, "0 rows"),
    ):
        with pytest.raises(StepError, match=message):
            compare(a, b, **more)


def test_columns_without_any_value_or_of_one_value_are_survived() -> None:
    a = numbers(x=pa.array([None] * 200, pa.float64()), c=["a"] * 200)
    result = compare(a, a)
    assert value(result, "psi", column="x") == pytest.approx(0)
    assert value(result, "cramers_v", column="c") == 0
    assert result.verdict is Verdict.PASS
