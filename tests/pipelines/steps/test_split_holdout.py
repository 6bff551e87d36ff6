"""split.holdout: shares, groups, seeds, and the splits that cannot be made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipelines.steps.contract import StepContext, StepError, StepResult
from pipelines.steps.split_holdout import STEP, Params


def split(table: pa.Table, *, seed: int = 1, **params: object) -> StepResult:
    return STEP.run({"table": table}, Params(**params), StepContext(seed=seed, scratch=Path()))


def rows(count: int = 1000, share: float = 0.1) -> pa.Table:
    generator = np.random.default_rng(5)
    return pa.table(
        {
            "id": [f"id{i}" for i in range(count)],
            "label": (generator.random(count) < share).astype(int),
            "house": generator.integers(0, count // 5, count),
        }
    )


def test_every_row_is_on_one_side_in_its_order() -> None:
    table = rows()
    result = split(table, fraction=0.2)
    train, test = (result.outputs[side].column("id").to_pylist() for side in ("train", "test"))
    assert (len(train), len(test)) == (800, 200)
    everyone = table.column("id").to_pylist()
    assert train == [row for row in everyone if row in set(train)]
    assert sorted([*train, *test]) == sorted(everyone)


def test_seed_decides() -> None:
    first, again, other = (split(rows(), seed=seed).outputs["test"] for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_strata_keep_their_shares() -> None:
    table = rows()
    result = split(table, fraction=0.25, stratify="label")
    total = sum(table.column("label").to_pylist())
    assert abs(sum(result.outputs["test"].column("label").to_pylist()) - total / 4) < 1
    gap = next(item for item in result.measurements if item.name == "class_share_gap_max")
    assert gap.value is not None
    assert gap.value < 0.003
    shares = [item for item in result.measurements if item.name == "class_share"]
    assert sorted(item.slice["label"] for item in shares) == ["0", "0", "1", "1"]


def test_rare_class_is_on_both_sides() -> None:
    result = split(pa.table({"label": ["common"] * 98 + ["rare"] * 2}), fraction=0.05, stratify="label")
    assert "rare" in result.outputs["test"].column("label").to_pylist()
    assert "rare" in result.outputs["train"].column("label").to_pylist()


@pytest.mark.parametrize("stratify", [None, "label"])
def test_no_group_is_on_both_sides(stratify: str | None) -> None:
    result = split(rows(), fraction=0.3, group="house", stratify=stratify)
    houses = {side: set(result.outputs[side].column("house").to_pylist()) for side in ("train", "test")}
    assert not houses["train"] & houses["test"]
    assert abs(result.outputs["test"].num_rows - 300) < 15


def test_with_a_key_the_order_of_the_rows_does_not_matter() -> None:
    table = rows()
    shuffled = table.take(pa.array(np.random.default_rng(9).permutation(table.num_rows)))
    sides = [
        set(split(each, key="id", stratify="label").outputs["test"].column("id").to_pylist())
        for each in (table, shuffled)
    ]
    assert sides[0] == sides[1]


@pytest.mark.parametrize(
    ("table", "params", "message"),
    [
        ({"a": [1, 2, 3]}, {"stratify": "b"}, "no column 'b'; it has a"),
        ({"a": [1, 1, 1]}, {"stratify": "a"}, r"1 distinct value\(s\)"),
        ({"a": list(range(200))}, {"stratify": "a"}, "200 distinct value"),
        ({"a": [1, 1, 1, 2]}, {"stratify": "a"}, "one row only"),
        ({"a": [1, 1, None, 2, 2]}, {"stratify": "a"}, "no value in 1 rows"),
        ({"a": [1, 1, 1, 1]}, {"group": "a"}, "one group only"),
        ({"a": [1] * 90 + [2] * 2}, {"group": "a", "fraction": 0.5}, "too few or too large to come near"),
        ({"a": [1, 2]}, {"fraction": 0.1}, "leaves no row for test"),
        ({"a": [1, 2]}, {"fraction": 0.9}, "leaves no row for train"),
        ({"a": ["x", "x", "y"]}, {"key": "a"}, "key must be unique"),
        ({"a": pa.array([], pa.int64())}, {}, "no rows"),
    ],
)
def test_impossible_splits_are_explained(table: dict[str, object], params: dict[str, object], message: str) -> None:
    with pytest.raises(StepError, match=message):
        split(pa.table(table), **params)
