"""The poisoning scan: planted flips fail, the same table without them passes, and no value is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from pipelines.steps.check_poisoning import Params, run
from pipelines.steps.contract import StepError, StepResult
from security.measurement import Verdict
from tests.pipelines.steps.ml import INCOME, adult, breast_cancer, context, flip_labels, value


def scan(table: pa.Table, target: str, reference: pa.Table | None = None, **more: Any) -> StepResult:
    inputs = {"table": table} if reference is None else {"table": table, "reference": reference}
    return run(inputs, Params(target=target, draws=100, **more), context())


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2])
def test_planted_flips_in_the_wisconsin_data_are_ranked_first(rate: float) -> None:
    table, flipped = flip_labels(breast_cancer(), "diagnosis", rate)
    result = scan(table, "diagnosis", show=569)
    score = np.zeros(len(flipped))
    for row in result.outputs["report"]["suspicious_labels"]:
        score[row["row"]] = row["suspicion"]
    assert roc_auc_score(flipped, score) > 0.96
    assert value(result, "label_noise_estimate") == pytest.approx(rate, abs=0.04)


@pytest.mark.parametrize(("rate", "verdict"), [(0.0, Verdict.PASS), (0.08, Verdict.FAIL)])
def test_flips_in_a_new_batch_are_told_from_the_noise_of_the_census(
    shared_data: Path, rate: float, verdict: Verdict
) -> None:
    trusted, batch = adult(shared_data, 0, 2500), adult(shared_data, 5000, 2500)
    rules = [{"metric": "unexpected_label_rate", "max": 0.01, "on": "low"}]
    result = scan(flip_labels(batch, INCOME, rate)[0], INCOME, trusted, thresholds=rules)
    assert result.verdict is verdict


def test_duplicates_that_disagree_are_reported_by_row_number() -> None:
    table = breast_cancer()
    copy = table.slice(0, 2)
    other = ["malignant" if v == "benign" else "benign" for v in copy["diagnosis"].to_pylist()]
    both = pa.concat_tables([table, copy.set_column(30, "diagnosis", pa.array(other))])
    report = scan(both, "diagnosis").outputs["report"]
    assert report["conflicting_duplicates"] == [0, 1, 569, 570]


def test_the_same_seed_gives_the_same_report_and_the_input_is_not_changed() -> None:
    table = breast_cancer()
    before = table.to_pylist()
    assert scan(table, "diagnosis").outputs == scan(table, "diagnosis").outputs
    assert table.to_pylist() == before


def test_a_large_table_is_sampled_and_rows_keep_their_numbers() -> None:
    report = scan(breast_cancer(), "diagnosis", max_rows=200, show=200).outputs["report"]
    assert (report["rows"], report["examined"]) == (569, 200)
    assert max(row["row"] for row in report["suspicious_labels"]) > 200


def test_no_value_reaches_the_report(shared_data: Path) -> None:
    report = str(scan(adult(shared_data, 0, 500), INCOME).outputs["report"])
    assert not any(word in report for word in ("Private", "Husband", "United-States", "<=50K"))


def test_a_missing_rule_or_reference_never_passes() -> None:
    rules = [{"metric": "unexpected_label_rate", "max": 0.5}]
    assert scan(breast_cancer(), "diagnosis").verdict is Verdict.INCONCLUSIVE
    assert scan(breast_cancer(), "diagnosis", thresholds=rules).verdict is Verdict.INCONCLUSIVE


def test_what_cannot_be_scanned_is_named() -> None:
    table = breast_cancer()
    one = pa.array(["benign"] * 569)
    for changed, reference, message in (
        (table.slice(0, 10), None, "10 rows; at least 50"),
        (table.set_column(30, "diagnosis", one), None, "needs two classes or more"),
        (table.drop_columns(["diagnosis"]), None, "no column 'diagnosis'"),
        (table, table.drop_columns(["mean_radius"]), "the reference lacks columns of the other table: mean_radius"),
        (
            table,
            table.set_column(0, "mean_radius", pa.array(["x"] * 569)),
            "numbers in one table and text in the other",
        ),
        (
            table.set_column(30, "diagnosis", pa.array(["odd", "even"] * 284 + ["odd"])),
            table,
            "does not know: even, odd",
        ),
    ):
        with pytest.raises(StepError, match=message):
            scan(changed, "diagnosis", reference)
