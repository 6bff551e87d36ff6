"""Evasion attacks: against the exact answer of a line, inside their budget, and without trace outside."""

from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from security.attacks.evasion import (
    BudgetSpentError,
    Norm,
    Oracle,
    distance,
    hop_skip_jump,
    overshoots,
    projected_gradient,
    random_noise,
)

X, Y = make_classification(300, 6, n_informative=6, n_redundant=0, class_sep=1.0, random_state=0)
MODEL = LogisticRegression().fit(X, Y)
BOUNDS = (X.min(axis=0) - 5, X.max(axis=0) + 5)


def predict(points: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(MODEL.predict_proba(points).argmax(axis=1))


def oracle(row: int, norm: Norm = "l2", queries: int = 20_000, seconds: float = 60) -> Oracle:
    x = X[row]
    return Oracle(predict, x, int(predict(x[None])[0]), norm, queries, time.monotonic() + seconds)


def exact(row: int, norm: Norm) -> float:
    """The true distance to the line: the margin over the dual norm of its coefficients."""
    dual = np.abs(MODEL.coef_[0]).sum() if norm == "linf" else np.linalg.norm(MODEL.coef_[0])
    return float(abs(MODEL.decision_function(X[row : row + 1])[0]) / dual)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_hop_skip_jump_comes_near_the_exact_distance_of_a_line(norm: Norm) -> None:
    for row in range(4):
        asked = oracle(row, norm)
        hop_skip_jump(asked, X, BOUNDS, classes=2, max_iter=15, max_eval=300, seed=row)
        assert asked.best is not None
        assert predict(asked.best[None])[0] != asked.label
        assert exact(row, norm) - 1e-6 <= asked.best_distance <= 1.35 * exact(row, norm) + 0.02


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_projected_gradient_succeeds_beyond_the_exact_distance_and_fails_within(norm: Norm) -> None:
    for row in range(6):
        for factor, found in ((0.95, False), (1.05, True)):
            asked, base = oracle(row, norm), np.array(X[row])
            projected_gradient(
                asked, MODEL, base=base, active=np.arange(6), bounds=BOUNDS, radii=(factor * exact(row, norm),),
                max_iter=10, seed=0,
            )  # fmt: skip
            assert (asked.best is not None) is found


def test_a_sure_model_does_not_hide_behind_a_flat_loss() -> None:
    sure = LogisticRegression()
    sure.fit(X, Y)
    sure.coef_, sure.intercept_ = MODEL.coef_ * 1000, MODEL.intercept_ * 1000
    asked = oracle(0)
    projected_gradient(
        asked, sure, base=np.array(X[0]), active=np.arange(6), bounds=BOUNDS, radii=(1.05 * exact(0, "l2"),),
        max_iter=10, seed=0,
    )  # fmt: skip
    assert asked.best is not None


def test_masked_coordinates_stay() -> None:
    base, active = np.array(X[0]), np.array([0, 2, 4])
    asked = Oracle(
        lambda p: predict(np.insert(p, [1, 2, 3], base[[1, 3, 5]], axis=1)),
        base[active], int(predict(base[None])[0]), "l2", 10_000, time.monotonic() + 60,
    )  # fmt: skip
    projected_gradient(
        asked, MODEL, base=base, active=active, bounds=(BOUNDS[0][active], BOUNDS[1][active]), radii=(1.0, 20.0),
        max_iter=20, seed=0,
    )  # fmt: skip
    assert asked.best is not None
    assert asked.best.shape == (3,)


def test_a_query_budget_ends_an_attack_that_would_not_end() -> None:
    asked = oracle(0, queries=700)
    with pytest.raises(BudgetSpentError):
        hop_skip_jump(asked, X, BOUNDS, classes=2, max_iter=200, max_eval=300, seed=0)
    assert asked.queries <= 700
    assert asked.best is not None, "what was found before is kept"


def test_a_deadline_ends_an_attack() -> None:
    with pytest.raises(BudgetSpentError):
        hop_skip_jump(oracle(0, seconds=-1), X, BOUNDS, classes=2, max_iter=5, max_eval=100, seed=0)


def test_a_model_that_never_changes_its_mind_gives_nothing() -> None:
    asked = Oracle(lambda points: np.zeros(len(points), dtype=int), X[0], 0, "l2", 1000, time.monotonic() + 60)
    hop_skip_jump(asked, X, BOUNDS, classes=2, max_iter=5, max_eval=100, seed=0)
    assert asked.best is None
    assert asked.queries == len(X)


def test_the_global_generator_is_left_alone_and_the_seed_decides() -> None:
    found = []
    for noise in (1, 2):
        np.random.seed(noise)
        before = np.random.get_state()[1].tolist()  # type: ignore[union-attr]
        asked = oracle(1)
        hop_skip_jump(asked, X, BOUNDS, classes=2, max_iter=3, max_eval=100, seed=9)
        assert np.random.get_state()[1].tolist() == before  # type: ignore[union-attr]
        found.append((asked.best_distance, asked.queries))
    assert found[0] == found[1]


def test_nothing_is_printed_and_logging_works_again(capfd: pytest.CaptureFixture[str]) -> None:
    hop_skip_jump(oracle(1), X, BOUNDS, classes=2, max_iter=2, max_eval=100, seed=9)
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("countersign").isEnabledFor(logging.ERROR)


def test_noise_within_the_exact_distance_never_flips_and_far_beyond_does() -> None:
    x, label = X[0], int(predict(X[:1])[0])
    results = [
        random_noise(
            predict, x, label, radius=factor * exact(0, "l2"), project=lambda p: p, norm="l2", draws=500,
            generator=np.random.default_rng(0),
        )
        for factor in (0.99, 5.0)
    ]  # fmt: skip
    assert results == [False, True]


def test_distances_and_overshoots_by_hand() -> None:
    x = np.zeros(2)
    assert distance(np.array([[3.0, 4.0]]), x, "l2") == pytest.approx([5.0])
    assert distance(np.array([[3.0, -4.0]]), x, "linf") == pytest.approx([4.0])
    assert overshoots(x, np.array([1.0, 0.0]))[[0, -1], 0].tolist() == [1.0, 2.0]
