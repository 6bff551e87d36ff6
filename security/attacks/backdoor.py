"""Signals of a backdoor: combinations of values that fix the label against what the other rows say, rows that a forest
sees as their own kind (spectral signatures), rows that are almost copies of each other.

Pure functions. ``items`` is a sparse 0/1 matrix (rows, items), one item per (column, value); ``y`` label positions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import LinearOperator, svds
from sklearn.neighbors import NearestNeighbors

Array = np.ndarray[Any, Any]
Item = tuple[str, Any]
Expect = Callable[[Array], Array]
"""Rows to leave out, boolean (rows,), to class probabilities of those rows by a model that never saw them."""


@dataclass(frozen=True)
class Trigger:
    """Rows with all of ``items`` carry ``label`` (a position), though a model without them expects it for ``expected``
    of them only: ``support`` rows, ``purity`` the share with the label."""

    items: tuple[Item, ...]
    label: int
    rows: Array
    purity: float
    expected: float

    @property
    def support(self) -> int:
        return len(self.rows)

    @property
    def surprise(self) -> float:
        return self.purity - self.expected


def itemised(frame: pd.DataFrame, least: int, most: int = 3000) -> tuple[csr_matrix, list[Item]]:
    """(items (rows, items), what each is): every value of a column that occurs in at least ``least`` rows; of more
    than ``most`` such values the most frequent ones."""
    counted: list[tuple[int, Item]] = []
    for name in frame.columns:
        counts = frame[name].value_counts()
        frequent = counts[counts >= least]
        counted += [(int(n), (str(name), value)) for value, n in zip(frequent.index.tolist(), frequent, strict=True)]
    names = [item for _, item in sorted(counted, key=lambda one: -one[0])[:most]]
    names.sort(key=lambda item: (list(frame.columns).index(item[0]), item[1]))
    columns = [(frame[name] == value).to_numpy() for name, value in names]
    dense = np.stack(columns, axis=1) if columns else np.zeros((len(frame), 0), dtype=bool)
    return csr_matrix(dense.astype(np.float32)), names


def candidates(
    items: csr_matrix, y: Array, plain: Array, *, least: int, most: int, purity: float, top: int
) -> list[tuple[int, int, int]]:
    """(item, item, label) of the most surprising single values (twice the same item) and pairs, at most ``top``.

    Among those in ``least`` … ``most`` rows of which ``purity`` carry one label, ranked by how far the label's count is
    above what ``plain`` (rows, classes) expects, in standard deviations: probabilities of a model so plain that it
    cannot learn a trigger. Combinations whose rows are nearly those of a better one are left out.
    """
    support = np.asarray((items.T @ items).todense())
    found = []
    for label in range(plain.shape[1]):
        weight = (y == label).astype(np.float32)
        hits = np.asarray((items.T @ items.multiply(weight[:, None]).tocsr()).todense())
        hoped = np.asarray((items.T @ items.multiply(plain[:, label][:, None]).tocsr()).todense())
        fits = (support >= least) & (support <= most) & (hits >= purity * support)
        alone = np.diag(fits).copy()
        fits &= ~(alone[:, None] | alone)  # a pair says nothing new where one of its values fixes the label alone
        np.fill_diagonal(fits, alone)
        first, second = np.nonzero(np.triu(fits))
        n, k, e = support[first, second], hits[first, second], np.clip(hoped[first, second], 1e-3, None)
        score = (k - e) / np.sqrt(e * np.clip(1 - e / n, 1e-3, 1))
        best = np.argsort(-score, kind="stable")[: 50 * top]
        found += [(float(score[i]), int(first[i]), int(second[i]), label) for i in best]
    return _distinct(items, sorted(found, key=lambda one: (-one[0], one[1:])), top)


def _distinct(items: csr_matrix, ranked: list[tuple[float, int, int, int]], top: int) -> list[tuple[int, int, int]]:
    kept: list[tuple[int, int, int]] = []
    taken: list[Array] = []
    for _, first, second, label in ranked:
        rows = members(items, first, second)
        if any(len(np.intersect1d(rows, old)) > 0.5 * min(len(rows), len(old)) for old in taken):
            continue
        kept.append((first, second, label))
        taken.append(rows)
        if len(kept) == top:
            break
    return kept


def members(items: csr_matrix, first: int, second: int) -> Array:
    """Positions of the rows with both items."""
    both = items[:, first].multiply(items[:, second])
    return np.asarray(np.sort(both.tocoo().row))


def examined(
    items: csr_matrix, names: list[Item], y: Array, candidate: tuple[int, int, int], expect: Expect
) -> Trigger:
    """A candidate beside what a model that never saw its rows expects of them, and all it has in common.

    A combination whose label its neighbours explain (a very high income, say) is expected; a planted one is not.
    The name is every value that 95 % of the rows share and that is three times as rare among the others.
    """
    first, second, label = candidate
    rows = members(items, first, second)
    out = np.zeros(len(y), dtype=bool)
    out[rows] = True
    inside = np.asarray(items[rows].mean(axis=0)).ravel()
    outside = np.asarray(items[~out].mean(axis=0)).ravel()
    common = np.flatnonzero((inside >= 0.95) & (inside >= 3 * outside))
    name = tuple(names[i] for i in sorted({first, second, *common.tolist()}))
    expected = float(expect(out)[:, label].mean())
    return Trigger(name, label, rows, float((y[rows] == label).mean()), expected)


def spectral_scores(leaves: Array, y: Array, seed: int) -> Array:
    """Squared projection of each row on the main direction of its class (Tran, Li and Madry 2018, algorithm 1).

    ``leaves`` (rows, trees): the leaf each tree of a forest puts the row in. The representation is one column per leaf,
    centred per class, rare leaves as weighty as common ones; higher is stranger, shape (rows,).
    """
    scores = np.zeros(len(y))
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        if len(rows) < 3:
            continue
        scores[rows] = _main_direction(_one_hot(leaves[rows]), seed) ** 2
    return scores


def _one_hot(leaves: Array) -> csr_matrix:
    columns, offset = [], 0
    for tree in leaves.T:
        _, position = np.unique(tree, return_inverse=True)
        columns.append(position + offset)
        offset += int(position.max()) + 1
    column = np.stack(columns, axis=1).ravel()
    row = np.repeat(np.arange(len(leaves)), leaves.shape[1])
    found = csr_matrix((np.ones(len(row)), (row, column)), shape=(len(leaves), offset))
    return csr_matrix(found.multiply(1 / np.sqrt(np.asarray(found.sum(axis=0)))))


def _main_direction(found: csr_matrix, seed: int) -> Array:
    """Projection of the centred rows (n,) on their first right singular vector."""
    mean = np.asarray(found.mean(axis=0)).ravel()
    ones = np.ones(found.shape[0])
    centred = LinearOperator(
        found.shape,
        matvec=lambda v: found @ v.ravel() - ones * (mean @ v.ravel()),
        rmatvec=lambda v: found.T @ v.ravel() - mean * v.sum(),
        dtype=np.float64,
    )
    start = np.random.default_rng(seed).normal(size=min(found.shape))
    left, size, _ = svds(centred, k=1, v0=start)
    return np.asarray(left[:, 0] * size[0])


def near_copies(x: Array, within: float) -> Array:
    """Rows that differ from another row, but by no more than ``within`` standard deviations: boolean (rows,)."""
    kinds, position = np.unique(x, axis=0, return_inverse=True)
    if len(kinds) < 2:
        return np.zeros(len(x), dtype=bool)
    away, _ = NearestNeighbors(n_neighbors=2).fit(kinds).kneighbors(kinds)
    return np.asarray((away[:, 1] <= within)[position.ravel()])
