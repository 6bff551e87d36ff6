"""Found slices: equal to trying all of them, to the PyPI package, a planted fault found, and nothing found in noise."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sliceline.slicefinder import Slicefinder

from pipelines.pictures.reports import pictures
from pipelines.steps._sliceline import SliceFinder, members, merged
from pipelines.steps.contract import StepError, StepResult
from pipelines.steps.evaluate_found_slices import Params, chance, run
from security.measurement import Measurement, Verdict
from tests.pipelines.steps.ml import context, train

Array = np.ndarray[Any, Any]


def by_trying_all(codes: Array, errors: Array, *, k: int, depth: int, min_size: int, alpha: float) -> list[float]:
    """The K highest positive scores by the paper's formula, every slice measured on its own."""
    scores = []
    for length in range(1, depth + 1):
        for columns in itertools.combinations(range(codes.shape[1]), length):
            for values in itertools.product(*(range(codes[:, c].max() + 1) for c in columns)):
                mask = np.all(codes[:, columns] == np.array(values), axis=1)
                if mask.sum() >= min_size and errors[mask].sum() > 0:
                    error = errors[mask].mean() / errors.mean() - 1
                    scores.append(alpha * error - (1 - alpha) * (len(errors) / mask.sum() - 1))
    return sorted((s for s in scores if s > 1e-9), reverse=True)[:k]


@settings(max_examples=60, deadline=None)
@given(
    codes=arrays.arrays(np.int64, st.tuples(st.integers(8, 60), st.integers(1, 4)), elements=st.integers(0, 3)),
    seed=st.integers(0, 2**16),
    binary=st.booleans(),
    k=st.integers(1, 8),
    depth=st.integers(1, 4),
    min_size=st.integers(1, 8),
    alpha=st.sampled_from([0.5, 0.9, 0.95, 1.0]),
)
def test_the_search_misses_nothing(
    codes: Array, seed: int, binary: bool, k: int, depth: int, min_size: int, alpha: float
) -> None:
    generator = np.random.default_rng(seed)
    errors = generator.random(len(codes)) ** 3 * (1 + (codes[:, 0] == 0))
    errors = (errors > 0.5).astype(float) if binary else errors
    found = SliceFinder(codes, errors, k=k, depth=depth, min_size=min_size, alpha=alpha).search()
    expected = by_trying_all(codes, errors, k=k, depth=min(depth, codes.shape[1]), min_size=min_size, alpha=alpha)
    assert [one.score for one in found.slices] == pytest.approx(expected, abs=1e-9)
    for one in found.slices:
        mask = members(codes, one)
        assert (int(mask.sum()), errors[mask].sum()) == (one.size, pytest.approx(one.error))


@pytest.fixture(scope="module")
def census(shared_data: Path) -> tuple[Array, Array, Array]:
    """Eight columns of 8,000 rows as text and as codes, and the errors of a rule of thumb."""
    frame = pd.read_csv(shared_data / "adult.csv", nrows=8000)
    names = ["workclass", "education", "marital-status", "occupation", "relationship", "race", "sex", "native-country"]
    called = frame["marital-status"].eq("Married-civ-spouse") & (frame["education-num"] > 12)
    errors = (called != (frame["income-per-year"] == ">50K")).to_numpy(dtype=float)
    codes = np.column_stack([pd.factorize(frame[name], sort=True)[0] for name in names])
    return frame[names].to_numpy(dtype=str), codes, errors


def test_the_top_slices_of_the_census_are_those_of_the_pypi_package(census: tuple[Array, Array, Array]) -> None:
    _, codes, errors = census
    ours = SliceFinder(codes, errors, k=10, depth=2, min_size=100, alpha=0.95).search().slices
    theirs = Slicefinder(alpha=0.95, k=10, max_l=2, min_sup=100, verbose=False).fit(codes, errors)
    slices = [tuple((c, int(v)) for c, v in enumerate(row) if v is not None) for row in theirs.top_slices_]
    scores = [row["slice_score"] for row in theirs.top_slices_statistics_]
    assert [one.score for one in ours] == pytest.approx(scores[:10], abs=1e-9)
    last = ours[-1].score + 1e-9  # slices of equal score may be cut off in any order
    assert {tuple(zip(s.columns, s.values, strict=True)) for s in ours if s.score > last} == {
        one for one, score in zip(slices, scores, strict=True) if score > last
    }


def test_pruning_measures_a_small_part_and_the_possible_ones_are_all(census: tuple[Array, Array, Array]) -> None:
    _, codes, errors = census
    found = SliceFinder(codes, errors, k=10, depth=3, min_size=100, alpha=0.95).search()
    large = 0
    for length in (1, 2, 3):
        for columns in itertools.combinations(range(8), length):
            sizes = np.unique(codes[:, columns], axis=0, return_counts=True)[1]
            large += int((sizes >= 100).sum())
    assert found.measured < large / 2
    assert found.possible >= large


def planted(rate: float, rows: int = 4000) -> tuple[bytes, pa.Table]:
    """A perfect rule on ``x``; the labels of rows with colour red and size small are turned around at ``rate``."""
    generator = np.random.default_rng(8)
    x = generator.normal(size=2 * rows)
    columns = {name: generator.choice(["red", "green", "blue"], 2 * rows) for name in ("colour", "shade")}
    size = generator.integers(0, 2, 2 * rows)
    noise = generator.normal(size=(2 * rows, 3))
    base = pa.table({"x": x, "label": np.where(x > 0, "yes", "no")} | columns | {"size": size} | dict(
        zip(("n1", "n2", "n3"), noise.T, strict=True)))  # fmt: skip
    model = train(base.slice(0, rows), "label", "decision_tree", features=["x"]).outputs["model"]
    held = base.slice(rows)
    hit = (columns["colour"] == "red") & (size == 0) & (generator.random(2 * rows) < rate)
    label = np.where(hit, np.where(x > 0, "no", "yes"), np.where(x > 0, "yes", "no"))[rows:]
    everywhere = generator.random(rows) < 0.05
    label = np.where(everywhere, np.where(label == "yes", "no", "yes"), label)
    return model, held.set_column(1, "label", pa.array(label))


LOOK = ("colour", "shade", "size", "n1", "n2", "n3")


def find(model: bytes, table: pa.Table, **more: Any) -> StepResult:
    params = {"target": "label", "columns": LOOK, **more}
    return run({"model": model, "table": table}, Params(**params), context())


def worst(result: StepResult) -> Measurement:
    return next(m for m in result.measurements if m.name == "worst_slice_gap")


RULE = {"metric": "worst_slice_gap", "max": 0.15}


@pytest.mark.parametrize("loss", ["error", "log_loss"])
def test_a_planted_slice_is_found_by_its_conditions(loss: str) -> None:
    result = find(*planted(0.4), loss=loss, thresholds=[RULE])
    first = result.outputs["report"]["slices"][0]
    assert first["slice"] == {"colour": "red", "size": "0"}
    assert first["finding"]
    assert result.verdict is Verdict.FAIL
    assert "colour = red" in result.summary


def test_the_interval_of_the_planted_slice_holds_the_truth() -> None:
    result = find(*planted(0.4))
    first = result.outputs["report"]["slices"][0]
    # 0.05 everywhere; in the slice 0.4 × 0.95 + 0.6 × 0.05
    assert first["interval"][0] < 0.36 < first["interval"][1]
    assert first["interval"][0] > 0.2


def test_without_a_fault_nothing_is_found_and_what_could_be_missed_is_said() -> None:
    result = find(*planted(0.0), thresholds=[RULE])
    assert worst(result).value == 0
    assert next(m.value for m in result.measurements if m.name == "found_slices") == 0
    assert result.verdict is Verdict.PASS
    interval = worst(result).interval
    assert interval is not None
    assert 0.05 < interval.high < 0.15
    assert not any(one["finding"] for one in result.outputs["report"]["slices"])


def test_nothing_found_where_too_little_could_be_found_is_no_pass() -> None:
    model, table = planted(0.0)
    result = find(model, table.slice(0, 300), min_size=20, thresholds=[RULE])
    assert worst(result).value is None
    assert "larger slices are needed" in worst(result).note
    assert result.verdict is Verdict.INCONCLUSIVE


def test_false_finds_in_noise_stay_under_the_rate_asked_for() -> None:
    generator, runs, false = np.random.default_rng(1), 100, 0
    for _ in range(runs):
        codes = generator.integers(0, 4, size=(600, 5))
        errors = (generator.random(600) < 0.2).astype(float)
        search = SliceFinder(codes, errors, k=5, depth=2, min_size=20, alpha=0.95).search()
        chances = sorted(chance(errors, members(codes, one)) for one in search.slices)
        false += any(p * search.possible / rank <= 0.05 for rank, p in enumerate(chances, start=1))
    assert false / runs <= 0.05


def test_the_smallest_gap_that_shows_is_about_what_is_found_four_times_in_five() -> None:
    model, table = planted(0.0)
    labels = np.array(table["label"].to_pylist())
    generator, found = np.random.default_rng(2), 0
    none = table.append_column("mark", pa.array(np.arange(len(table)) < 200))
    told = find(model, none, columns=(*LOOK, "mark"), min_size=200).outputs["report"]["detectable_gap"]
    for _ in range(20):
        marked = generator.permutation(len(labels)) < 200
        flip = marked & (generator.random(len(labels)) < told / 0.9)
        changed = np.where(flip, np.where(labels == "yes", "no", "yes"), labels)
        held = table.set_column(1, "label", pa.array(changed)).append_column("mark", pa.array(marked))
        result = find(model, held, columns=(*LOOK, "mark"), depth=3, min_size=200)
        found += any(m.slice == {"mark": "true"} for m in result.measurements)
    assert 11 <= found <= 20  # 16 expected, within three standard deviations


def test_slices_of_mostly_the_same_rows_are_shown_as_one() -> None:
    masks = [np.arange(100) < 50, np.arange(100) < 40, np.arange(100) > 80, np.arange(100) < 52]
    assert list(merged(masks, 0.5)) == [(0, [1, 3]), (2, [])]


def test_numbers_are_cut_into_ranges_that_are_named_and_missing_is_a_value() -> None:
    model, table = planted(0.0)
    n1 = np.array(table["n1"].to_pylist())
    label = np.array(table["label"].to_pylist())
    bad = n1 > np.quantile(n1, 0.8)
    flipped = np.where(bad & (np.arange(len(n1)) % 2 == 0), np.where(label == "yes", "no", "yes"), label)
    where = table.column_names.index("n1")
    gone = table.set_column(1, "label", pa.array(flipped)).set_column(where, "n1", pa.array(n1, mask=bad))
    assert find(model, gone).outputs["report"]["slices"][0]["slice"] == {"n1": "(missing)"}
    ranged = find(model, table.set_column(1, "label", pa.array(flipped))).outputs["report"]["slices"][0]["slice"]
    assert ranged["n1"].startswith("above 0.8")


def test_the_picture_shows_every_slice_and_escapes_its_values() -> None:
    model, table = planted(0.4)
    where = table.column_names.index("colour")
    odd = ["<script>x</script>" if c == "red" else c for c in table["colour"].to_pylist()]
    result = find(model, table.set_column(where, "colour", pa.array(odd)), thresholds=[RULE])
    (picture,) = pictures("evaluate.found_slices@1", result.outputs["report"], {"thresholds": [RULE]})
    assert len(picture.rows) == len(result.outputs["report"]["slices"])
    assert "at most 0.15" in picture.svg
    assert "<script>" not in picture.svg


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown column": ({"columns": ("nothing",)}, "no column 'nothing'"),
    "too few rows for two slices": ({"min_size": 5000}, "at least 10000 are needed"),
    "a label that is not there": ({"target": "nothing"}, "no column 'nothing'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_its_own_answer(case: str) -> None:
    changes, message = BAD[case]
    with pytest.raises(StepError, match=message):
        find(*planted(0.0), **changes)


def test_a_personal_column_is_refused_and_a_constant_one_is_harmless() -> None:
    model, table = planted(0.0)
    flagged = table.cast(table.schema.set(2, table.schema.field(2).with_metadata({"personal": "true"})))
    with pytest.raises(StepError, match="flagged as personal"):
        find(model, flagged)
    same = table.append_column("same", pa.array(["x"] * len(table)))
    empty = same.append_column("empty", pa.nulls(len(table), pa.float64()))
    assert find(model, empty, columns=("same", "empty")).outputs["report"]["slices"] == []
