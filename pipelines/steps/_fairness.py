"""Rates of many groups at once, and their bootstrap, by counting.

Every rate of every group is a quotient of sums over *cells*: rows that are alike in group, truth, prediction and bin
of the score. To draw rows with replacement is to draw how many fall into each cell, which is one multinomial draw
(Efron, Tibshirani 1993, section 8.2): a resample costs as many numbers as there are cells, not as there are rows, and
no metric is called for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import sparse

from pipelines.steps._metrics import quantile_bins, ratio

Array = np.ndarray[Any, Any]
_NUMBERS = 2_000_000


@dataclass(frozen=True)
class Rate:
    """Share of rows with ``over`` among rows with ``under`` (names in ``_FACTS``), and how to read it."""

    over: str
    under: str
    direction: Literal["higher_is_better", "lower_is_better", "none"]
    help: str


RATES = {
    "selection_rate": Rate("selected", "rows", "none", "rows predicted positive"),
    "tpr": Rate("true_positives", "positives", "higher_is_better", "positives that are found (true-positive rate)"),
    "fpr": Rate("false_positives", "negatives", "lower_is_better", "negatives taken for positive"),
    "ppv": Rate("true_positives", "selected", "higher_is_better", "predicted positives that are (precision)"),
}
CALIBRATION = {
    "calibration_bias": "mean predicted probability minus the share observed",
    "calibration_error": "expected calibration error over tenths of the score, the same for all groups",
}
_FACTS = ("rows", "selected", "positives", "negatives", "true_positives", "false_positives", "excess")


@dataclass(frozen=True)
class Cells:
    """Rows counted: ``keys`` (cells, columns) positions in ``values``, ``counts`` (cells,), ``bins`` (cells,).

    ``facts`` (cells, len(_FACTS)): what one row of the cell adds to each sum; ``excess`` is its mean score minus truth.
    """

    columns: tuple[str, ...]
    values: tuple[Array, ...]
    keys: Array
    bins: Array
    counts: Array
    facts: Array

    def resamples(self, draws: int, seed: int) -> Iterator[Array]:
        """Counts of the cells in ``draws`` bootstrap samples: blocks (some draws, cells) of float64."""
        generator = np.random.default_rng(seed)
        total = int(self.counts.sum())
        block = max(1, _NUMBERS // len(self.counts))
        for start in range(0, draws, block):
            size = min(block, draws - start)
            yield generator.multinomial(total, self.counts / total, size=size).astype(np.float64)

    def grouped(self, names: Sequence[str]) -> Groups:
        """The groups by the columns ``names``, in order of their values."""
        places = [self.columns.index(name) for name in names]
        found, member = np.unique(self.keys[:, places], axis=0, return_inverse=True)
        labels = [tuple(str(self.values[p][i]) for p, i in zip(places, key, strict=True)) for key in found]
        return Groups(tuple(names), labels, self, member.reshape(-1))


@dataclass(frozen=True)
class Groups:
    """Cells put together: ``member`` (cells,) is each cell's position in ``labels``."""

    columns: tuple[str, ...]
    labels: list[tuple[str, ...]]
    cells: Cells
    member: Array

    def sizes(self) -> dict[str, Array]:
        """How many rows each figure of each group rests on: name → (groups,)."""
        sums = self._sums(self.cells.counts[None].astype(np.float64))
        sizes = {name: sums[rate.under][0] for name, rate in RATES.items()}
        return sizes | dict.fromkeys(CALIBRATION, sums["rows"][0])

    def rates(self, counts: Array) -> dict[str, Array]:
        """Counts (draws, cells) → name → (draws, groups); NaN where a rate has no rows."""
        sums = self._sums(counts)
        found = {name: ratio(sums[rate.over], sums[rate.under]) for name, rate in RATES.items()}
        found["calibration_bias"] = ratio(sums["excess"], sums["rows"])
        found["calibration_error"] = ratio(self._bin_gaps(counts), sums["rows"])
        return found

    def _sums(self, counts: Array) -> dict[str, Array]:
        into = self._into(self.member, len(self.labels))
        return {name: (counts * self.cells.facts[:, i]) @ into for i, name in enumerate(_FACTS)}

    def _bin_gaps(self, counts: Array) -> Array:
        """Sum over the bins of |excess|, (draws, groups): the numerator of the expected calibration error."""
        width = int(self.cells.bins.max()) + 1
        places, member = np.unique(self.member * width + self.cells.bins, return_inverse=True)
        excess = (counts * self.cells.facts[:, _FACTS.index("excess")]) @ self._into(member, len(places))
        return np.asarray(np.abs(excess) @ self._into(places // width, len(self.labels)))

    @staticmethod
    def _into(member: Array, groups: int) -> Any:
        """The (cells, groups) matrix that adds cells up."""
        ones = np.ones(len(member))
        return sparse.csr_matrix((ones, (np.arange(len(member)), member)), shape=(len(member), groups))


def count(columns: Mapping[str, Array], truth: Array, selected: Array, score: Array) -> Cells:
    """Rows as cells. ``columns``: text (rows,) each; ``truth``, ``selected``: boolean (rows,); ``score`` in 0..1."""
    values, keys = [], []
    for column in columns.values():
        found, codes = np.unique(column.astype(str), return_inverse=True)
        values.append(found)
        keys.append(codes)
    bins = quantile_bins(score)
    every = np.column_stack([*keys, truth.astype(np.intp), selected.astype(np.intp), bins])
    place, first, counts = _alike(every)
    kind = every[first]
    yes, called = kind[:, -3].astype(bool), kind[:, -2].astype(bool)
    excess = np.bincount(place, weights=score, minlength=len(first)) / counts - yes
    facts = [np.ones(len(first)), called, yes, ~yes, called & yes, called & ~yes, excess]
    return Cells(
        tuple(columns), tuple(values), kind[:, :-3], kind[:, -1], counts, np.column_stack(facts).astype(np.float64)
    )


def _alike(codes: Array) -> tuple[Array, Array, Array]:
    """Which of the different rows of ``codes`` each row is, the first of each, and how many there are."""
    one = np.zeros(len(codes), dtype=np.intp)
    for column in codes.T:  # made dense after each column, so that no product of many columns overflows
        _, one = np.unique(one * (int(column.max()) + 1) + column, return_inverse=True)
    _, first, place, counts = np.unique(one, return_index=True, return_inverse=True, return_counts=True)
    return place, first, counts
