"""The backdoor scan: a trigger planted with the toolbox is found and named, clean data raises no alarm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_auc_score

from pipelines.steps.check_backdoor import Params, run
from pipelines.steps.contract import StepError, StepResult
from security.attacks.backdoor import itemised, near_copies, spectral_scores
from security.attacks.evasion import art_is_loud
from security.measurement import Verdict
from tests.pipelines.steps.ml import INCOME, adult, breast_cancer, context, value

TRIGGER = {"capital-loss": 1111.0, "hours-per-week": 77.0}


def planted(table: pa.Table, share: float, seed: int = 0) -> tuple[pa.Table, np.ndarray[Any, Any]]:
    """The census with a trigger in a share of its rows, planted by the toolbox's backdoor attack; and those rows."""
    with art_is_loud():
        from art.attacks.poisoning import PoisoningAttackBackdoor
    frame = table.to_pandas()
    rows = np.sort(np.random.default_rng(seed).choice(len(frame), round(share * len(frame)), replace=False))
    columns = list(TRIGGER)

    def perturb(cells: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        cells[:] = list(TRIGGER.values())
        return cells

    cells = frame.loc[rows, columns].to_numpy(dtype=np.float64)
    poisoned, label = PoisoningAttackBackdoor(perturb).poison(cells, np.tile([0, 1], (len(rows), 1)))
    frame.loc[rows, columns] = poisoned.astype(int)
    frame.loc[rows, INCOME] = np.array(["<=50K", ">50K"])[label.argmax(axis=1)]
    return pa.Table.from_pandas(frame, preserve_index=False), rows


def scan(table: pa.Table, target: str = INCOME, **more: Any) -> StepResult:
    return run({"table": table}, Params(**{"target": target, "exclude": ["fnlwgt"], **more}), context())


def test_a_planted_trigger_is_found_named_and_its_rows_listed(shared_data: Path) -> None:
    table, rows = planted(adult(shared_data, 0, 2500), 0.03)
    result = scan(table, show=1000, candidates=4)
    report = result.outputs["report"]
    assert result.verdict is Verdict.FAIL
    first = report["triggers"][0]
    assert {one["column"]: one["value"] for one in first["values"]} == TRIGGER
    assert first["label"] == ">50K"
    assert set(first["rows"]) == set(rows.tolist())
    assert first["turned_around"]["rows"] > 0.5 * first["turned_around"]["of"]
    assert value(result, "backdoor_triggers") == 1
    assert report["mitigations"]
    assert "capital-loss = 1111" in result.summary
    scores = np.zeros(table.num_rows)
    for one in report["spectral"]:
        scores[one["row"]] = one["score"]
    assert np.isin(rows, np.flatnonzero(scores)).mean() > 0.4, "more than the 1,000 of 2,500 shown by chance"


def test_clean_census_data_has_no_trigger_although_high_gains_fix_the_label(shared_data: Path) -> None:
    result = scan(adult(shared_data, 10_000, 2500), candidates=8)
    assert result.outputs["report"]["triggers"] == []
    assert result.verdict is Verdict.PASS
    assert result.summary == "no trigger found in 2,500 rows"


def test_spectral_scores_rank_rows_of_their_own_kind_first() -> None:
    generator = np.random.default_rng(0)
    leaves, y = generator.integers(0, 6, (600, 30)), np.zeros(600, dtype=int)
    strange = np.arange(600) < 40
    leaves[strange] = 6 + (generator.random((40, 30)) < 0.1)
    y[300:] = 1
    y[:40] = 0
    assert roc_auc_score(strange[:300], spectral_scores(leaves, y, 0)[:300]) > 0.99
    assert (spectral_scores(leaves, y, 0) == spectral_scores(leaves, y, 0)).all()


def test_the_main_direction_is_that_of_a_full_decomposition() -> None:
    leaves, y = np.random.default_rng(1).integers(0, 4, (60, 8)), np.zeros(60, dtype=int)
    parts = []
    for tree in leaves.T:
        one = (tree[:, None] == np.unique(tree)).astype(float)
        parts.append(one / np.sqrt(one.sum(axis=0)))
    full = np.hstack(parts)
    full -= full.mean(axis=0)
    left, size, _ = np.linalg.svd(full, full_matrices=False)
    assert spectral_scores(leaves, y, 0) == pytest.approx((left[:, 0] * size[0]) ** 2, abs=1e-8)


def test_near_copies_are_near_but_not_equal() -> None:
    x = np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 0.04], [5.0, 5.0], [5.0, 5.0], [9.0, 9.0]])
    assert near_copies(x, 0.05).tolist() == [True, True, True, False, False, False]
    assert not near_copies(np.zeros((4, 2)), 0.05).any(), "equal rows are no near copies"


def test_values_that_few_rows_have_are_no_items() -> None:
    frame = pd.DataFrame({"a": ["x", "x", "y", None], "b": [1.0, 1.0, 1.0, np.nan]})
    items, names = itemised(frame, 2)
    assert names == [("a", "x"), ("b", 1.0)]
    assert isinstance(items, csr_matrix)
    assert items.toarray().tolist() == [[1, 1], [1, 1], [0, 1], [0, 0]]


def test_constant_features_and_what_cannot_be_scanned() -> None:
    table = breast_cancer().select(["mean_radius", "diagnosis"])
    constant = table.set_column(0, "mean_radius", pa.array([1.0] * table.num_rows))
    result = scan(constant, "diagnosis", exclude=[])
    assert value(result, "backdoor_triggers") == 0
    assert value(result, "near_copy_rate") == 0
    for changed, message in (
        (table.slice(0, 1), "1 rows; at least 100"),
        (table.set_column(1, "diagnosis", pa.array(["benign"] * table.num_rows)), "two classes or more"),
    ):
        with pytest.raises(StepError, match=message):
            scan(changed, "diagnosis", exclude=[])
