"""Pictures of reports as the steps write them: what is drawn is what was measured, and odd reports draw nothing."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from pipelines.pictures import reports
from pipelines.pictures.reports import pictures
from pipelines.steps.contract import StepContext
from pipelines.steps.monitor_drift import STEP as DRIFT
from security.canonical import canonical_json

SLICES = {
    "rates": {"fpr": "negatives taken for positive", "tpr": "positives that are found"},
    "min_size": 30,
    "attributes": [{"columns": ["sex"], "groups": 2}, {"columns": ["sex", "race"], "groups": 1}],
    "measurements": [
        {"name": "tpr", "value": 0.4, "n": 40, "slice": {"sex": "F"}, "interval": {"low": 0.3, "high": 0.5}},
        {"name": "tpr", "value": 0.7, "n": 90, "slice": {"sex": "M"}, "interval": {"low": 0.6, "high": 0.8}},
        {"name": "tpr", "value": None, "n": 3, "slice": {"race": "B", "sex": "F"}},
        {"name": "tpr_gap", "value": 0.3, "n": 130, "slice": {"sex": "*"}},
    ],
}


def test_slices_come_with_their_gap_first_and_the_threshold_drawn_and_judged():
    found = pictures("evaluate.slices@1", SLICES, {"thresholds": [{"metric": "tpr_gap", "max": 0.1}]})
    assert [picture.title for picture in found] == ["Gap in tpr between groups", "tpr by sex × race", "tpr by sex"]
    assert "at most 0.1" in found[0].svg
    assert "verdict-fail" in found[0].svg
    assert found[1].rows == (("F, B", "not measured", "", "3"),)  # in the order of the columns, however they are stored
    assert found[2].rows == (("F", "0.400", "[0.300, 0.500]", "40"), ("M", "0.700", "[0.600, 0.800]", "90"))


def test_fairness_draws_four_fifths_unless_another_rule_is_set():
    ratio = {"name": "selection_rate_ratio", "value": 0.7, "n": 130, "slice": {"sex": "*"}}
    report = {**SLICES, "measurements": [*SLICES["measurements"], ratio]}
    first = pictures("evaluate.fairness@1", report)[0]
    assert "at least 0.8" in first.svg
    assert "verdict-fail" in first.svg
    rule = {"metric": "selection_rate_ratio", "min": 0.6}
    other = pictures("evaluate.fairness@1", report, {"thresholds": [rule]})[0]
    assert "at least 0.6" in other.svg
    assert "verdict-pass" in other.svg


def test_drift_draws_the_columns_that_moved_most_first(tmp_path):
    reference = pa.table({"still": list(range(400)), "moved": list(range(400))})
    current = pa.table({"still": list(range(400)), "moved": list(range(300, 700))})
    result = DRIFT.run({"reference": reference, "current": current}, DRIFT.params(), StepContext(1, tmp_path))
    report = json.loads(canonical_json(result.outputs["report"]))
    found = pictures(DRIFT.id, report)
    assert [picture.title for picture in found] == ["moved", "still"]
    assert sum(int(row[1].replace(",", "")) for row in found[0].rows) == 400
    assert "≤" in found[0].svg


@pytest.mark.parametrize("uses", [*(f"{name}@1" for name in reports._PICTURES), "other.step@1"])
@pytest.mark.parametrize("report", [None, {}, {"roc": [1], "reliability": "x", "measurements": 3, "columns": [None]}])
def test_a_report_of_another_shape_gives_no_picture(uses: str, report: dict | None):
    assert pictures(uses, report) == []


def test_markup_in_a_group_is_text():
    odd = json.loads(json.dumps(SLICES).replace('"F"', '"<script>x</script>"'))
    assert all("<script>" not in picture.svg for picture in pictures("evaluate.slices@1", odd))
