"""Intervals: bootstrap by counting weights, Wilson for a share, Newcombe for the difference of two shares."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import norm

from security.measurement import Interval

Array = np.ndarray[Any, Any]
_CELLS = 2_000_000


def count_weights(rows: int, draws: int, seed: int) -> Iterator[Array]:
    """How often each row was drawn in each of ``draws`` resamples: float64 blocks of shape (some draws, rows)."""
    generator = np.random.default_rng(seed)
    block = max(1, _CELLS // max(rows, 1))
    for start in range(0, draws, block):
        size = min(block, draws - start)
        picks = generator.integers(0, rows, size=(size, rows))
        picks += np.arange(size)[:, None] * rows
        yield np.bincount(picks.ravel(), minlength=size * rows).reshape(size, rows).astype(np.float64)


def bootstrap(
    statistic: Callable[[Array], Mapping[str, Array]],
    rows: int,
    draws: int,
    seed: int,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Array]:
    """``statistic`` (weights (b, rows) → name → (b,)) over all resamples: name → (draws,). Efron, Tibshirani 1993."""
    parts: dict[str, list[Array]] = {}
    done = 0
    for weights in count_weights(rows, draws, seed):
        for name, values in statistic(weights).items():
            parts.setdefault(name, []).append(values)
        done += len(weights)
        progress(done)
    return {name: np.concatenate(values) for name, values in parts.items()}


def percentile_interval(values: Array, level: float) -> Interval | None:
    """The percentile interval; None when more than a tenth of the resamples could not be computed."""
    finite = values[np.isfinite(values)]
    if len(finite) == 0 or len(finite) < 0.9 * len(values):
        return None
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return Interval(low=float(low), high=float(high), level=level, method=f"percentile bootstrap, {len(values)} draws")


def wilson(successes: float, n: float, level: float) -> Interval | None:
    """Wilson's score interval (1927): honest at 0 and 1, where the bootstrap has no width; None for n = 0."""
    if n <= 0:
        return None
    z = float(norm.ppf((1 + level) / 2))
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # exact at the ends, where the formula leaves the last bit to rounding
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Interval(low=low, high=high, level=level, method="Wilson")


def difference(first: tuple[int, int], second: tuple[int, int], level: float) -> Interval | None:
    """The first share minus the second, each (successes, n): Newcombe's interval (1998, method 10); None for n = 0."""
    one, two = wilson(*first, level), wilson(*second, level)
    if one is None or two is None:
        return None
    p, q = first[0] / first[1], second[0] / second[1]
    low = p - q - math.hypot(p - one.low, two.high - q)
    high = p - q + math.hypot(one.high - p, q - two.low)
    return Interval(low=max(low, -1.0), high=min(high, 1.0), level=level, method="Newcombe")


def widest_gap(shares: Sequence[tuple[int, int]], level: float) -> Interval:
    """An interval for the largest difference between any two of ``shares``, each (successes, n) with n > 0.

    Every pair's difference gets Newcombe's interval (1998, method 10) at a level corrected for the number of pairs
    (Bonferroni), so all hold at once: the largest gap is then at least the largest lower bound and at most the
    largest upper bound. Groups picked for being the extremes are thus not taken at face value.
    Raises ValueError for fewer than two shares or a share of no rows.
    """
    pairs = len(shares) * (len(shares) - 1) // 2
    if pairs == 0:
        raise ValueError("a gap needs two shares")
    each = [wilson(hits, n, 1 - (1 - level) / pairs) for hits, n in shares]
    if any(interval is None for interval in each):
        raise ValueError("a share of no rows has no interval")
    share = np.array([hits / n for hits, n in shares])
    low = np.array([interval.low for interval in each if interval])
    high = np.array([interval.high for interval in each if interval])
    gap = share[:, None] - share
    down = np.hypot(share[:, None] - low[:, None], high - share)
    up = np.hypot(high[:, None] - share[:, None], share - low)
    other = ~np.eye(len(shares), dtype=bool)
    method = "Newcombe" if pairs == 1 else f"Newcombe over {pairs} pairs at once"
    lowest, highest = max(float((gap - down)[other].max()), -1.0), min(float((gap + up)[other].max()), 1.0)
    return Interval(low=lowest, high=highest, level=level, method=method)
