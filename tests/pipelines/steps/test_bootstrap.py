"""Intervals keep their promise, and agree with independent implementations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from pipelines.steps._bootstrap import bootstrap, count_weights, percentile_interval, widest_gap, wilson
from pipelines.steps._metrics import Binary, quantile_bins


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (10, 10), (3, 7), (81, 263), (999, 1000)])
def test_wilson_is_scipys(hits: int, n: int) -> None:
    theirs = binomtest(hits, n).proportion_ci(confidence_level=0.9, method="wilson")
    ours = wilson(hits, n, 0.9)
    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_of_nothing_is_nothing() -> None:
    assert wilson(0, 0, 0.95) is None


@pytest.mark.parametrize(
    ("high", "low", "expected"),
    [((56, 70), (48, 80), (0.0524, 0.3339)), ((9, 10), (3, 10), (0.1705, 0.8090)), ((10, 10), (0, 10), (0.6075, 1.0))],
)
def test_newcombe_gives_the_papers_table(
    high: tuple[int, int], low: tuple[int, int], expected: tuple[float, float]
) -> None:
    found = widest_gap([low, high], 0.95)
    assert (found.low, found.high) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("rates", [[0.6] * 6, [0.4, 0.6, 0.6, 0.7]])
def test_the_widest_gap_is_covered_although_it_was_picked(rates: list[float]) -> None:
    generator, covered, rounds = np.random.default_rng(0), 0, 400
    naive = 0
    for _ in range(rounds):
        hits = [int(generator.binomial(100, rate)) for rate in rates]
        found = widest_gap([(h, 100) for h in hits], 0.95)
        covered += found.low <= max(rates) - min(rates) <= found.high
        extremes = widest_gap([(min(hits), 100), (max(hits), 100)], 0.95)
        naive += extremes.low <= max(rates) - min(rates) <= extremes.high
    assert covered / rounds >= 0.95
    assert covered >= naive, "taking the extremes at face value covers less"


def test_a_small_extreme_group_does_not_hide_the_gap_of_large_ones() -> None:
    assert widest_gap([(600, 1000), (800, 1000)], 0.95).low > 0.15
    assert widest_gap([(600, 1000), (800, 1000), (10, 30)], 0.95).low > 0.1


def test_a_gap_of_one_group_or_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="two shares"):
        widest_gap([(1, 2)], 0.95)
    with pytest.raises(ValueError, match="no rows"):
        widest_gap([(1, 2), (0, 0)], 0.95)


def test_every_resample_has_as_many_rows_as_the_table() -> None:
    weights = np.vstack(list(count_weights(37, 50, seed=3)))
    assert weights.shape == (50, 37)
    assert (weights.sum(axis=1) == 37).all()
    assert abs(weights.mean() - 1) < 1e-12


def test_bootstrap_intervals_cover_the_true_accuracy() -> None:
    generator, covered, rounds = np.random.default_rng(1), 0, 200
    for seed in range(rounds):
        truth = generator.random(400) < 0.4
        score = np.where(truth ^ (generator.random(400) < 0.15), 0.8, 0.2)
        problem = Binary(truth, score, 0.5, quantile_bins(score))
        interval = percentile_interval(bootstrap(problem, 400, 200, seed)["accuracy"], 0.9)
        assert interval is not None
        covered += interval.low <= 0.85 <= interval.high
    assert 0.84 <= covered / rounds <= 0.96


def test_an_interval_needs_most_of_its_resamples() -> None:
    assert percentile_interval(np.array([0.5] * 80 + [np.nan] * 20), 0.95) is None
    assert percentile_interval(np.array([np.nan] * 5), 0.95) is None


@pytest.mark.parametrize("n", [1, 7, 32, 1000])
def test_wilson_is_exact_at_no_and_all_successes(n: int) -> None:
    none, every = wilson(0, n, 0.95), wilson(n, n, 0.95)
    assert none is not None
    assert every is not None
    assert (none.low, every.high) == (0.0, 1.0)
    assert none.high == pytest.approx(1 - every.low)
