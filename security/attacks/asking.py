"""Asking a model about many attacked rows at once: queries counted per row, the nearest change of each kept.

Every attack of this folder works in one coordinate system per model: points (n, d), ``owner`` (n,) says which attacked
row a point belongs to. What is asked is never the point itself but what ``settle`` makes of it, a row that may exist;
distances are those of settled points, so that an attack cannot profit from a row that could not be.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from security.attacks.evasion import BudgetSpentError, Norm

Array = np.ndarray[Any, Any]
Settle = Callable[[Array, Array], Array]
"""(points (n, d), owner (n,)) to valid points (n, d)."""
Classes = Callable[[Array, Array], Array]
"""(valid points (n, d), owner (n,)) to class positions (n,)."""


def as_they_are(points: Array, owner: Array) -> Array:
    """For a space in which every point may exist."""
    return points


@dataclass
class Asked:
    """The rows under attack and what was found of each.

    ``x`` (rows, d) in the attack's coordinates, ``label`` (rows,) the class to leave, ``movable`` (rows, d) what may
    change. ``max_queries`` for one row, ``deadline`` in time.monotonic() seconds. ``trace``: improvements as
    (row, queries of that row so far, distance), in the order in which they were found.
    """

    x: Array
    label: Array
    movable: Array
    classes: Classes
    norm: Norm
    max_queries: int
    deadline: float
    settle: Settle = as_they_are
    queries: Array = field(init=False)
    spent: Array = field(init=False)
    best: Array = field(init=False)
    best_distance: Array = field(init=False)
    trace: list[tuple[int, int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        rows = len(self.x)
        self.queries = np.zeros(rows, dtype=np.int64)
        self.spent = np.zeros(rows, dtype=bool)
        self.best = np.full(self.x.shape, np.nan)
        self.best_distance = np.full(rows, np.inf)

    def affordable(self, rows: Array, each: int) -> Array:
        """Those of ``rows`` with ``each`` queries left; the others are marked as spent and should be let go."""
        enough = self.queries[rows] + each <= self.max_queries
        self.spent[rows[~enough]] = True
        return np.asarray(rows[enough])

    def __call__(self, points: Array, owner: Array) -> Array:
        """Whether each point (n, d) leaves its row's class, boolean (n,). BudgetSpentError once the time is over.

        The caller asks ``affordable`` first; queries beyond the budget raise ValueError, since they are its mistake.
        """
        if time.monotonic() > self.deadline:
            raise BudgetSpentError
        if not len(points):
            return np.zeros(0, dtype=bool)
        queries = self.queries + np.bincount(owner, minlength=len(self.x))
        if (queries > self.max_queries).any():
            raise ValueError("more queries than a row has left")
        self.queries = queries
        valid = self.settle(np.where(self.movable[owner], points, self.x[owner]), owner)
        flipped = self.classes(valid, owner) != self.label[owner]
        self._keep(valid[flipped], owner[flipped])
        return np.asarray(flipped)

    def distances(self, points: Array, owner: Array) -> Array:
        """How far points (n, d) are from their rows (n,)."""
        return lengths(points - self.x[owner], self.norm)

    def _keep(self, points: Array, owner: Array) -> None:
        away = self.distances(points, owner)
        order = np.lexsort((away, owner))
        rows, first = np.unique(owner[order], return_index=True)
        nearest = order[first]
        better = away[nearest] < self.best_distance[rows]
        rows, nearest = rows[better], nearest[better]
        self.best[rows], self.best_distance[rows] = points[nearest], away[nearest]
        self.trace += zip(rows.tolist(), self.queries[rows].tolist(), away[nearest].tolist(), strict=True)


def lengths(gaps: Array, norm: Norm) -> Array:
    """Lengths (n,) of gaps (n, d)."""
    return np.asarray(np.abs(gaps).max(axis=1, initial=0.0) if norm == "linf" else np.sqrt((gaps**2).sum(axis=1)))
