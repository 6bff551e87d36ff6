"""HopSkipJump on all rows at once: the decision-based attack that needs nothing but the predicted class.

Chen, Jordan and Wainwright 2020 (arXiv:1904.02144), algorithm 2. A forest takes as long for one row as for a hundred,
so every query of the method (binary search, gradient estimate, step size) is asked for all rows in one call. The
Adversarial Robustness Toolbox asks row by row; it is the oracle of the tests.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from security.attacks.asking import Asked, lengths
from security.attacks.evasion import BudgetSpentError

Array = np.ndarray[Any, Any]
_HALVINGS = 12


def hop_skip_jump(
    asked: Asked,
    starts: Array,
    bounds: tuple[Array, Array],
    *,
    max_iter: int,
    max_eval: int,
    init_eval: int,
    seed: int,
    reach: float = 0.2,
) -> None:
    """Walk along the boundary from ``starts`` (rows, d; NaN: no start) towards each row; results are in ``asked``.

    ``bounds``: lowest and highest coordinates (d,). A row stops when its queries are used up (``asked.spent``); when
    the time is over all rows still under way are marked and BudgetSpentError is raised. ``reach``: the radius in which
    the boundary's slope is estimated, as a share of the distance; the paper's is narrower, and a tree's steps are flat
    in it.
    """
    generator = np.random.default_rng(seed)
    rows = np.flatnonzero(np.isfinite(starts).all(axis=1))
    points = starts.copy()
    try:
        rows = _towards(asked, points, rows)
        for iteration in range(1, max_iter + 1):
            if not len(rows):
                return
            evals = min(max_eval, round(init_eval * np.sqrt(iteration)))
            rows = asked.affordable(rows, evals)
            slope = _slopes(asked, points, rows, bounds, evals=evals, generator=generator, reach=reach)
            rows = _jump(asked, points, rows, slope, bounds=bounds, iteration=iteration)
            rows = _towards(asked, points, rows)
    except BudgetSpentError:
        asked.spent[rows] = True
        raise


def _precision(asked: Asked) -> Array:
    """theta of the paper for each row: how near to the boundary a binary search ends, as a share of the way."""
    d = np.maximum(asked.movable.sum(axis=1), 1)
    return np.asarray(0.01 / (d if asked.norm == "linf" else np.sqrt(d)))


def _blend(asked: Asked, points: Array, rows: Array, share: Array) -> Array:
    """Points at ``share`` of the way (l2) or with every coordinate within it (linf), seen from the attacked row."""
    x, gap = asked.x[rows], points[rows] - asked.x[rows]
    if asked.norm == "l2":
        return np.asarray(x + share[:, None] * gap)
    limit = (share * np.abs(gap).max(axis=1))[:, None]
    return np.asarray(x + np.clip(gap, -limit, limit))


def _towards(asked: Asked, points: Array, rows: Array) -> Array:
    """Binary search from ``points`` to the boundary, in place; the rows that could pay for it."""
    precision = _precision(asked)
    rounds = int(np.ceil(np.log2(1 / precision[rows].min()))) if len(rows) else 0
    rows = asked.affordable(rows, rounds)
    low, high = np.zeros(len(rows)), np.ones(len(rows))
    for _ in range(rounds):
        if not len(rows):
            break
        middle = (low + high) / 2
        flipped = asked(_blend(asked, points, rows, middle), rows)
        high, low = np.where(flipped, middle, high), np.where(flipped, low, middle)
    points[rows] = _blend(asked, points, rows, high)
    return rows


def _slopes(
    asked: Asked,
    points: Array,
    rows: Array,
    bounds: tuple[Array, Array],
    *,
    evals: int,
    generator: np.random.Generator,
    reach: float,
) -> Array:
    """The direction in which the other class lies (rows, d): the paper's equation 16, with its baseline.

    ``evals`` random directions per row; sizes of 1 (l2) or signs (linf).
    """
    d = asked.x.shape[1]
    movable = asked.movable[rows]
    noise = generator.standard_normal((len(rows), evals, d)) * movable[:, None]
    noise /= np.maximum(np.linalg.norm(noise, axis=2, keepdims=True), 1e-12)
    away = lengths(points[rows] - asked.x[rows], asked.norm)
    width = np.maximum(reach * away, 1e-9)[:, None, None]
    tried = np.clip(points[rows][:, None] + width * noise, *bounds)
    owner = np.repeat(rows, evals)
    flipped = asked(tried.reshape(-1, d), owner).reshape(len(rows), evals)
    noise = (tried - points[rows][:, None]) / width
    sign = np.where(flipped, 1.0, -1.0)
    mean = sign.mean(axis=1, keepdims=True)
    weight = np.where(np.abs(mean) == 1, sign, sign - mean)
    slope = (weight[..., None] * noise).mean(axis=1)
    if asked.norm == "linf":
        return np.asarray(np.sign(slope))
    return np.asarray(slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-12))


def _jump(
    asked: Asked, points: Array, rows: Array, slope: Array, *, bounds: tuple[Array, Array], iteration: int
) -> Array:
    """Step along the slope, halved until the class is still another one; in place. A row that cannot step stays."""
    size = lengths(points[rows] - asked.x[rows], asked.norm) / np.sqrt(iteration)
    rows_left = asked.affordable(rows, _HALVINGS)
    kept = np.isin(rows, rows_left)
    rows, slope, size = rows_left, slope[kept], size[kept]
    waiting = np.ones(len(rows), dtype=bool)
    for _ in range(_HALVINGS):
        if not waiting.any():
            break
        who = np.flatnonzero(waiting)
        tried = np.clip(points[rows[who]] + size[who, None] * slope[who], *bounds)
        flipped = asked(tried, rows[who])
        points[rows[who[flipped]]] = tried[flipped]
        waiting[who[flipped]] = False
        size[waiting] /= 2
    return rows
