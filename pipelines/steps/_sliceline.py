"""SliceLine: the K slices of a table on which a model errs most, exactly (Sagadeeva, Boehm, SIGMOD 2021).

A slice is a conjunction of ``column = value``. Its score weighs its mean error against its size (the paper's
equation 2); the search goes level by level, from one condition to ``depth``, and leaves out a slice, with everything
below it, when no slice within it can be large enough or score above the K-th best so far (section 3.2). All slices by
the same columns are disjoint, so one counting pass over the rows measures every one of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Columns = tuple[int, ...]
_NOTHING = 1e-9  # the score of all rows is 0, but for rounding


@dataclass(frozen=True)
class Slice:
    """``columns`` and the ``values`` they have (positions); its score, rows, and sum of errors."""

    columns: Columns
    values: tuple[int, ...]
    score: float
    size: int
    error: float


@dataclass(frozen=True)
class Search:
    """The best slices, how many were measured, and how many there can be that are large enough."""

    slices: list[Slice]
    measured: int
    possible: int


@dataclass(frozen=True)
class _Node:
    """Slices by one tuple of columns that may be narrowed: ``place`` (parents, values of the last column) → position
    or -1; ``values`` (slices, columns); ``size``, ``error`` and largest single error ``worst`` (slices,)."""

    place: Array
    values: Array
    size: Array
    error: Array
    worst: Array


@dataclass
class _Best:
    """The K best slices so far."""

    k: int
    slices: list[Slice] = field(default_factory=list)

    @property
    def least(self) -> float:
        """What a slice must score more than to get in."""
        return self.slices[-1].score if len(self.slices) >= self.k else _NOTHING

    def add(self, columns: Columns, values: Array, scores: Array, size: Array, error: Array) -> None:
        chosen = np.flatnonzero(scores > self.least)
        chosen = chosen[np.argsort(-scores[chosen], kind="stable")][: self.k]
        self.slices += [
            Slice(columns, tuple(values[i].tolist()), float(scores[i]), int(size[i]), float(error[i])) for i in chosen
        ]
        self.slices = sorted(self.slices, key=lambda s: (-s.score, s.columns, s.values))[: self.k]


class SliceFinder:
    """One search. ``codes`` (rows, columns) are positions of values from 0; ``errors`` (rows,) are ≥ 0.

    ``alpha`` in 0..1 weighs the error of a slice against its size; ``min_size`` is the smallest slice, in rows.
    """

    def __init__(self, codes: Array, errors: Array, *, k: int, depth: int, min_size: int, alpha: float) -> None:
        # rows by rising error: of equal places written in turn, the last (largest) stays
        order = np.argsort(errors, kind="stable")
        self.codes, self.errors = np.ascontiguousarray(codes[order].T), errors[order]
        self.rows, self.mean = len(errors), float(errors.mean()) if len(errors) else 0.0
        self.domains = [int(column.max()) + 1 if self.rows else 0 for column in self.codes]
        self.depth, self.min_size, self.alpha = min(depth, len(self.domains)), min_size, alpha
        self.best, self.nodes, self.measured = _Best(k), dict[Columns, _Node](), 0

    def search(self) -> Search:
        """The K slices of highest positive score, best first; ties in order of columns and values."""
        if self.mean <= 0 or self.rows < self.min_size:
            return Search([], 0, 0)
        root = np.zeros(self.rows, dtype=np.intp)
        for column in range(len(self.domains)):
            self._measure((), column, root, np.ones((1, self.domains[column]), dtype=bool))
        for level in range(2, self.depth + 1):
            for parent in [columns for columns in self.nodes if len(columns) == level - 1]:
                self._narrow(parent)
        return Search(self.best.slices, self.measured, self._possible())

    def score(self, size: Array, error: Array) -> Array:
        """The paper's score of slices of ``size`` rows with ``error`` in sum."""
        return np.asarray(self.alpha * (error / size / self.mean - 1) - (1 - self.alpha) * (self.rows / size - 1))

    def _bound(self, size: Array, error: Array, worst: Array) -> Array:
        """The most that a slice within may score: its size is one of three where the bound can be largest."""
        least = float(self.min_size)
        full = np.clip(error / np.maximum(worst, 1e-300), least, size)
        sizes = (np.full_like(size, least), full, size)
        return np.asarray(np.maximum.reduce([self.score(s, np.minimum(error, s * worst)) for s in sizes]))

    def _narrow(self, parent: Columns) -> None:
        """Measure the slices of ``parent`` with one more condition, where any may still count."""
        rows: Array | None = None
        for column in range(parent[-1] + 1, len(self.domains)):
            if (column,) in self.nodes:
                wanted = self._wanted(parent, column)
                if wanted.any():
                    rows = self._place_of_rows(parent) if rows is None else rows
                    self._measure(parent, column, rows, wanted)

    def _wanted(self, parent: Columns, column: int) -> Array:
        """Which (slice of the parent, value) may still count: every slice around it is there, and the bound holds."""
        node, width = self.nodes[parent], self.domains[column]
        values = np.repeat(node.values, width, axis=0)
        values = np.column_stack([values, np.tile(np.arange(width), len(node.size))])
        columns = (*parent, column)
        size, error, worst = (np.full(len(values), np.inf) for _ in range(3))
        there = np.ones(len(values), dtype=bool)
        for left_out in range(len(columns)):
            around = columns[:left_out] + columns[left_out + 1 :]
            place = self._lookup(around, np.delete(values, left_out, axis=1))
            there &= place >= 0
            if not there.any():
                return np.zeros((len(node.size), width), dtype=bool)
            outer = self.nodes[around]
            size, error = np.minimum(size, outer.size[place]), np.minimum(error, outer.error[place])
            worst = np.minimum(worst, outer.worst[place])
        return np.asarray(there & (self._bound(size, error, worst) > self.best.least)).reshape(-1, width)

    def _lookup(self, columns: Columns, values: Array) -> Array:
        """The position of slices among those by ``columns``, -1 for what was left out; ``values`` (slices, columns)."""
        place = np.zeros(len(values), dtype=np.intp)
        for length in range(1, len(columns) + 1):
            node = self.nodes.get(columns[:length])
            if node is None:
                return np.full(len(values), -1)
            place = np.where(place >= 0, node.place[place, values[:, length - 1]], -1)
        return place

    def _place_of_rows(self, columns: Columns) -> Array:
        """For each row the position of its slice by ``columns``, -1 for none."""
        place = np.zeros(self.rows, dtype=np.intp)
        for length, column in enumerate(columns, start=1):
            place = np.where(place >= 0, self.nodes[columns[:length]].place[place, self.codes[column]], -1)
        return place

    def _measure(self, parent: Columns, column: int, rows: Array, wanted: Array) -> None:
        """Count the wanted slices by (parent, column), offer them to the best, keep those that may be narrowed."""
        self.measured += int(wanted.sum())
        number = np.full(wanted.shape, -1)
        number[wanted] = np.arange(int(wanted.sum()))
        mine = np.where(rows >= 0, number[rows, self.codes[column]], -1)
        inside = mine >= 0
        mine, errors = mine[inside], self.errors[inside]
        count = int(wanted.sum())
        size = np.bincount(mine, minlength=count).astype(np.float64)
        error = np.bincount(mine, weights=errors, minlength=count)
        worst = np.zeros(count)
        worst[mine] = errors
        keep = (size >= self.min_size) & (error > 0)
        if not keep.any():
            return
        slices, value = np.nonzero(wanted)
        columns = (*parent, column)
        values = value[:, None]
        if parent:
            values = np.column_stack([self.nodes[parent].values[slices], value])
        place = np.full(wanted.shape, -1)
        place[slices[keep], value[keep]] = np.arange(int(keep.sum()))
        node = _Node(place, values[keep], size[keep], error[keep], worst[keep])
        self.nodes[columns] = node
        self.best.add(columns, node.values, self.score(node.size, node.error), node.size, node.error)

    def _possible(self) -> int:
        """At most how many slices have ``min_size`` rows: those by the same columns are disjoint."""
        valid = [len(self.nodes[(c,)].size) for c in range(len(self.domains)) if (c,) in self.nodes]
        products = [1] + [0] * self.depth  # elementary symmetric sums: all combinations of values, by length
        for count in valid:
            for length in range(self.depth, 0, -1):
                products[length] += products[length - 1] * count
        room = self.rows // self.min_size
        return sum(min(products[n], math.comb(len(valid), n) * room) for n in range(1, self.depth + 1))


def members(codes: Array, found: Slice) -> Array:
    """Which rows are in the slice, boolean (rows,)."""
    return np.asarray(np.all(codes[:, list(found.columns)] == np.array(found.values), axis=1))


def merged(masks: Sequence[Array], overlap: float) -> Iterator[tuple[int, list[int]]]:
    """Slices (best first) put together for display: each with those below it that share most of its rows.

    ``overlap``: the share of common rows among rows of either (Jaccard) from which a slice is shown with a better one.
    """
    heads: dict[int, list[int]] = {}
    for place, mask in enumerate(masks):
        for head, below in heads.items():
            if (masks[head] & mask).sum() >= overlap * (masks[head] | mask).sum():
                below.append(place)
                break
        else:
            heads[place] = []
    yield from heads.items()
