"""Searches around attacked rows: the nearest start, random changes inside what was found, changes taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from security.attacks.asking import Asked, lengths

Array = np.ndarray[Any, Any]
Draw = Callable[[Array, Array], Array]
"""(owner (n,), radius (n,)) to one random valid point (n, d) for each, about that far from its row."""


def nearest_starts(asked: Asked, candidates: Array, first: int = 16) -> Array:
    """For each row the nearest of ``candidates`` (n, d) that leaves its class, NaN where none does: (rows, d).

    Coordinates that may not move are the row's own before a candidate is asked. Candidates are asked from near to
    far, in portions that grow fourfold, so that a row near another class costs few queries. BudgetSpentError.
    """
    rows, count = np.arange(len(asked.x)), len(candidates)
    placed = np.where(asked.movable[:, None], candidates[None], asked.x[:, None])
    away = (
        np.stack([lengths(placed[row] - asked.x[row], asked.norm) for row in rows]) if len(rows) else np.empty((0, 0))
    )
    order = np.argsort(away, axis=1, kind="stable")
    starts = np.full(asked.x.shape, np.nan)
    done, portion = 0, first
    while len(rows) and done < count:
        size = min(portion, count - done)
        rows = asked.affordable(rows, size)
        if not len(rows):
            break
        pick = order[rows, done : done + size]
        owner = np.repeat(rows, size)
        flipped = asked(placed[owner, pick.ravel()], owner).reshape(len(rows), size)
        hit = flipped.any(axis=1)
        starts[rows[hit]] = placed[rows[hit], pick[hit, flipped[hit].argmax(axis=1)]]
        rows, done, portion = rows[~hit], done + size, portion * 4
    return starts


def taken_back(asked: Asked, groups: list[Array], *, rounds: int = 12) -> None:
    """Undo what the nearest change of each row did not need: feature by feature wholly or by half. BudgetSpentError.

    ``groups`` are the coordinates of each feature (a number has one, a category one per value); in every round the
    best of all single withdrawals that still leave the class is kept, until none does.
    """
    rows = np.flatnonzero(np.isfinite(asked.best_distance))
    for _ in range(rounds):
        if not len(rows):
            return
        rows = asked.affordable(rows, 2 * len(groups))
        tried, owner = _withdrawals(asked, rows, groups)
        before = asked.best_distance.copy()
        if len(tried):
            asked(tried, owner)
        rows = rows[asked.best_distance[rows] < before[rows] - 1e-9]


def _withdrawals(asked: Asked, rows: Array, groups: list[Array]) -> tuple[Array, Array]:
    """Points with one changed feature back at the row's value, or half way back for a number, and their rows."""
    points, owner = [np.empty((0, asked.x.shape[1]))], [np.empty(0, dtype=np.intp)]
    for group in groups:
        gap = asked.best[rows][:, group] - asked.x[rows][:, group]
        changed = rows[np.abs(gap).max(axis=1, initial=0.0) > 1e-9]
        for share in (0.0, 0.5) if len(group) == 1 else (0.0,):
            point = asked.best[changed]
            point[:, group] = asked.x[changed][:, group] + share * (point[:, group] - asked.x[changed][:, group])
            points.append(point)
            owner.append(changed)
    return np.vstack(points), np.concatenate(owner)


def random_search(asked: Asked, draw: Draw, radius: float, *, rounds: int, draws: int) -> None:
    """Random changes of every row, each round inside nine tenths of the nearest one found so far. BudgetSpentError.

    Begins at ``radius``. Where a decision hangs on a category this finds what a slope cannot show.
    """
    rows = np.flatnonzero(asked.movable.any(axis=1))
    for _ in range(rounds):
        rows = asked.affordable(rows, draws)
        owner = np.repeat(rows, draws)
        if not len(owner):
            return
        reach = np.minimum(0.9 * asked.best_distance, radius)[owner]
        points = draw(owner, reach)
        away = asked.distances(points, owner)
        inside = (away > 0) & (away <= reach * (1 + 1e-9))
        if inside.any():
            asked(points[inside], owner[inside])
