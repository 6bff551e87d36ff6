"""Groups: fairlearn's own rates, the known gap in the census data, and small groups that prove nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fairlearn.metrics import (
    MetricFrame,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from sklearn.metrics import accuracy_score, precision_score

from pipelines.steps._modelfile import load_model
from pipelines.steps.contract import StepError, StepResult
from pipelines.steps.evaluate_slices import Params, run
from security.measurement import Verdict
from tests.pipelines.steps.ml import INCOME, adult, context, train, value


@pytest.fixture(scope="module")
def census(shared_data: Path) -> tuple[bytes, pa.Table]:
    """A model trained on 5,000 rows and 15,000 others."""
    model = train(adult(shared_data, rows=5000), INCOME, "gradient_boosting", options={"max_iter": 50})
    return model.outputs["model"], adult(shared_data, 5000, 15000)


def slices(model: bytes, table: pa.Table, **more: Any) -> StepResult:
    return run({"model": model, "table": table}, Params(target=INCOME, positive=">50K", **more), context())


@pytest.mark.parametrize("groups", [("sex",), ("sex", "race")])
def test_rates_and_gaps_are_fairlearns(census: tuple[bytes, pa.Table], groups: tuple[str, ...]) -> None:
    model, table = census
    result = slices(model, table, groups=groups, min_size=1)
    truth = np.array([v == ">50K" for v in table.column(INCOME).to_pylist()])
    called = load_model(model).predict(table.drop_columns([INCOME]).to_pandas()) == ">50K"
    frame = MetricFrame(
        metrics={
            "selection_rate": selection_rate,
            "tpr": true_positive_rate,
            "fpr": false_positive_rate,
            "ppv": precision_score,
            "accuracy": accuracy_score,
        },
        y_true=truth,
        y_pred=called,
        sensitive_features=table.select(list(groups)).to_pandas(),
    )
    for key, row in frame.by_group.iterrows():
        names = key if isinstance(key, tuple) else (key,)
        for name, expected in row.items():
            assert value(result, name, **dict(zip(groups, names, strict=True))) == pytest.approx(expected, abs=1e-12)
    gaps = frame.difference(method="between_groups")
    for name, expected in gaps.items():
        assert value(result, f"{name}_gap", **dict.fromkeys(groups, "*")) == pytest.approx(expected, abs=1e-12)


def test_the_census_model_misses_women_and_black_men_more_often(census: tuple[bytes, pa.Table]) -> None:
    result = slices(*census, groups=("sex", "race"), thresholds=[{"metric": "tpr_gap", "max": 0.1}])
    (gap,) = [m for m in result.measurements if m.name == "tpr_gap" and len(m.slice) == 2]
    assert gap.value is not None
    assert gap.interval is not None
    assert gap.value > 0.12
    assert gap.interval.low > 0, "more than chance, even corrected for the number of pairs"
    assert value(result, "tpr", sex="Female") < value(result, "tpr", sex="Male")
    assert result.verdict is Verdict.FAIL


def test_a_group_that_is_too_small_is_inconclusive_and_in_no_gap(census: tuple[bytes, pa.Table]) -> None:
    result = slices(*census, groups=("race",), min_size=60, thresholds=[{"metric": "tpr", "min": 0.0}])
    small = [m for m in result.measurements if m.name == "tpr" and m.n < 60]
    assert small
    assert all(m.value is None and m.interval is None and "needed" in m.note for m in small)
    (gap,) = [m for m in result.measurements if m.name == "tpr_gap"]
    assert all(name in gap.note.partition("too small")[2] for m in small for name in m.slice.values())
    assert result.verdict is Verdict.INCONCLUSIVE


def test_without_two_large_groups_there_is_no_gap(census: tuple[bytes, pa.Table]) -> None:
    result = slices(*census, groups=("sex",), min_size=10**6, thresholds=[{"metric": "tpr_gap", "max": 1.0}])
    assert all(m.value is None for m in result.measurements)
    assert result.verdict is Verdict.INCONCLUSIVE


def test_groups_need_not_be_features_and_missing_is_a_group(census: tuple[bytes, pa.Table]) -> None:
    model, table = census
    extra = pa.array([None if i % 3 == 0 else i % 2 for i in range(len(table))])
    result = slices(model, table.append_column("branch", extra), groups=("branch",))
    assert {m.slice["branch"] for m in result.measurements} == {"0", "1", "(missing)", "*"}


def test_pairs_can_be_left_out(census: tuple[bytes, pa.Table]) -> None:
    result = slices(*census, groups=("sex", "race"), pairs=False)
    assert all(len(m.slice) == 1 for m in result.measurements)


def test_what_cannot_be_grouped_is_named(census: tuple[bytes, pa.Table]) -> None:
    model, table = census
    with pytest.raises(StepError, match="no column 'tribe'"):
        slices(model, table, groups=("tribe",))
    with pytest.raises(StepError, match="different values; up to 30 make groups"):
        slices(model, table, groups=("age",))
    personal = table.schema.field("sex").with_metadata({"personal": "true"})
    flagged = table.cast(table.schema.set(table.column_names.index("sex"), personal))
    with pytest.raises(StepError, match="flagged as personal"):
        slices(model, flagged, groups=("sex",))
