"""Poisoning signals find planted flips, and the confident joint is the one of the paper."""

from __future__ import annotations

import numpy as np
import pytest
from cleanlab.count import compute_confident_joint
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from security.attacks.poisoning import (
    confident_joint,
    conflicting_duplicates,
    flip_excess,
    label_noise_rate,
    neighbour_disagreement,
    outlier_scores,
    self_doubt,
    suspicion,
)


def flipped_cancer(rate: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """(features, labels with flips, which are flipped, out-of-sample probabilities) of the Wisconsin data."""
    x, y = load_breast_cancer(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    flipped = np.zeros(len(y), dtype=bool)
    flipped[np.random.default_rng(0).choice(len(y), round(rate * len(y)), replace=False)] = True
    y = np.where(flipped, 1 - y, y)
    proba = cross_val_predict(make_pipeline(LogisticRegression(C=0.1)), x, y, cv=5, method="predict_proba")
    return x, y, flipped, proba


@pytest.mark.parametrize(("rate", "least"), [(0.05, 0.97), (0.1, 0.97), (0.2, 0.94)])
def test_planted_flips_are_the_most_suspicious_rows(rate: float, least: float) -> None:
    x, y, flipped, proba = flipped_cancer(rate)
    score = suspicion(y, proba, neighbour_disagreement(x, y))
    assert roc_auc_score(flipped, score) > least


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2])
def test_the_noise_estimate_follows_the_planted_rate(rate: float) -> None:
    _, y, _, proba = flipped_cancer(rate)
    assert label_noise_rate(y, proba) == pytest.approx(rate, abs=0.04)


def test_confident_joint_by_hand() -> None:
    y = np.array([0, 0, 0, 1, 1, 1])
    proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.95, 0.05]])
    # mean of class 0 among given 0: 0.6; of class 1 among given 1: 0.5167; row 2 counts for 1, row 5 for 0
    assert confident_joint(y, proba).tolist() == [[2.0, 1.0], [1.0, 2.0]]
    assert label_noise_rate(y, proba) == pytest.approx(1 / 3)


def test_a_row_that_is_confident_of_nothing_is_not_counted_but_its_class_keeps_its_size() -> None:
    y = np.array([0, 0, 0, 1, 1])
    proba = np.array([[0.9, 0.1], [0.9, 0.1], [0.55, 0.45], [0.1, 0.9], [0.1, 0.9]])
    assert confident_joint(y, proba).tolist() == [[3.0, 0.0], [0.0, 2.0]]


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.2])
def test_the_confident_joint_is_cleanlabs(rate: float) -> None:
    _, y, _, proba = flipped_cancer(rate)
    theirs = compute_confident_joint(labels=y, pred_probs=proba, calibrate=True)
    assert np.abs(confident_joint(y, proba) - theirs).max() <= 1, "they round to whole rows"
    assert label_noise_rate(y, proba) == pytest.approx(1 - np.trace(theirs) / theirs.sum(), abs=2 / len(y))


def test_neighbours_by_hand() -> None:
    x = np.array([[0.0], [0.1], [0.2], [10.0], [10.1], [10.2]])
    assert neighbour_disagreement(x, np.array([0, 0, 1, 1, 1, 1]), 2).tolist() == [0.5, 0.5, 1.0, 0, 0, 0]
    with pytest.raises(ValueError, match="too few"):
        neighbour_disagreement(x, np.zeros(6, dtype=int), 6)


def test_doubt_is_positive_when_another_label_is_preferred() -> None:
    assert self_doubt(np.array([0, 0]), np.array([[0.9, 0.1], [0.3, 0.7]])) == pytest.approx([-0.8, 0.4])


def test_duplicates_that_disagree_are_all_marked() -> None:
    keys = [(1, "a"), (1, "a"), (2, "a"), (2, "a"), (None, "b"), (None, "b")]
    assert conflicting_duplicates(keys, np.array([0, 1, 1, 1, 0, 1])).tolist() == [True, True, False, False, True, True]


def test_strange_rows_are_beyond_what_the_reference_knows() -> None:
    generator = np.random.default_rng(0)
    reference = generator.normal(size=(1000, 4))
    like, strange = generator.normal(size=(1000, 4)), generator.normal(loc=6, size=(50, 4))
    scores, limit = outlier_scores(np.vstack([like, strange]), reference, seed=0)
    assert (scores[:1000] > limit).mean() < 0.03
    assert (scores[1000:] > limit).all()


def test_excess_is_zero_for_labels_drawn_from_the_model_and_rises_with_flips() -> None:
    generator = np.random.default_rng(0)
    p = generator.random(20_000)
    proba = np.stack([1 - p, p], axis=1)
    y = (generator.random(20_000) < p).astype(int)
    assert abs(flip_excess(y, proba).mean()) < 0.01
    shifted = p[p > 0.4]
    y_shifted = (generator.random(len(shifted)) < shifted).astype(int)
    assert abs(flip_excess(y_shifted, np.stack([1 - shifted, shifted], axis=1)).mean()) < 0.015, "a shift is no flip"
    flips = generator.random(20_000) < 0.1
    assert flip_excess(np.where(flips, 1 - y, y), proba).mean() == pytest.approx(0.1 * 0.5, abs=0.012)
