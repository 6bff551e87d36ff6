"""Classification metrics over many weightings of the same rows at once, equal to scikit-learn's for weights of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Metric:
    """How a metric is reported: ``share`` of which rows it is (for its n and Wilson's interval), or not a share."""

    direction: Literal["higher_is_better", "lower_is_better"]
    unit: str = "fraction"
    share: bool = False


METRICS = {
    "accuracy": Metric("higher_is_better", share=True),
    "precision": Metric("higher_is_better", share=True),
    "recall": Metric("higher_is_better", share=True),
    "f1": Metric("higher_is_better"),
    "roc_auc": Metric("higher_is_better"),
    "log_loss": Metric("lower_is_better", unit="nats"),
    "brier": Metric("lower_is_better"),
    "calibration_error": Metric("lower_is_better"),
}


def ratio(over: Array, under: Array) -> Array:
    """Elementwise quotient; NaN where the denominator is 0."""
    return np.asarray(np.divide(over, under, out=np.full(np.shape(over), np.nan), where=under > 0))


@dataclass(frozen=True)
class Binary:
    """One class against the rest: ``truth`` (rows,) bool, ``score`` (rows,) in 0..1, predicted when ≥ ``cut``."""

    truth: Array
    score: Array
    cut: float
    bins: Array

    @property
    def predicted(self) -> Array:
        return np.asarray(self.score >= self.cut)

    def __call__(self, weights: Array) -> dict[str, Array]:
        """Weights (draws, rows) → metric name → (draws,)."""
        total = weights.sum(axis=1)
        actual, positive = weights @ self.truth, weights @ self.predicted
        hits = weights @ (self.truth & self.predicted)
        return {
            "accuracy": ratio(weights @ (self.truth == self.predicted), total),
            "precision": ratio(hits, positive),
            "recall": ratio(hits, actual),
            "f1": ratio(2 * hits, actual + positive),
            "roc_auc": ranking_area(weights, self.truth, self.score),
            "log_loss": ratio(weights @ surprise(np.where(self.truth, self.score, 1 - self.score)), total),
            "brier": ratio(weights @ (self.score - self.truth) ** 2, total),
            "calibration_error": ratio(bin_gaps(weights, self.truth - self.score, self.bins), total),
        }

    def counts(self) -> dict[str, int]:
        """How many rows each metric rests on."""
        rows = len(self.truth)
        special = {"precision": int(self.predicted.sum()), "recall": int(self.truth.sum())}
        return {name: special.get(name, rows) for name in METRICS}


@dataclass(frozen=True)
class Multiclass:
    """All classes: ``truth`` (rows,) positions, ``scores`` (rows, classes). Precision, recall, F1, area: macro."""

    truth: Array
    scores: Array
    bins: Array

    @property
    def predicted(self) -> Array:
        return np.asarray(self.scores.argmax(axis=1))

    def __call__(self, weights: Array) -> dict[str, Array]:
        """Weights (draws, rows) → metric name → (draws,)."""
        total = weights.sum(axis=1)
        classes = np.arange(self.scores.shape[1])
        is_class, called = self.truth[:, None] == classes, self.predicted[:, None] == classes
        actual, positive, hits = weights @ is_class, weights @ called, weights @ (is_class & called)
        right = self.scores[np.arange(len(self.truth)), self.truth]
        areas = [ranking_area(weights, is_class[:, c], self.scores[:, c]) for c in classes]
        top = self.scores.max(axis=1)
        return {
            "accuracy": ratio(weights @ (self.truth == self.predicted), total),
            "precision": macro(hits, positive, actual + positive),
            "recall": macro(hits, actual, actual + positive),
            "f1": macro(2 * hits, actual + positive, actual + positive),
            "roc_auc": np.mean(areas, axis=0),
            "log_loss": ratio(weights @ surprise(right), total),
            "brier": ratio(weights @ ((self.scores - is_class) ** 2).sum(axis=1), total),
            "calibration_error": ratio(bin_gaps(weights, (self.truth == self.predicted) - top, self.bins), total),
        }

    def counts(self) -> dict[str, int]:
        """How many rows each metric rests on."""
        return dict.fromkeys(METRICS, len(self.truth))


def macro(over: Array, under: Array, seen: Array) -> Array:
    """The mean over classes that occur in truth or prediction; a class without denominator counts as 0."""
    values = np.where(under > 0, over / np.maximum(under, 1e-300), 0.0)
    return ratio((values * (seen > 0)).sum(axis=1), (seen > 0).sum(axis=1).astype(float))


def surprise(probability: Array) -> Array:
    """Negative log-likelihood in nats, probabilities kept one machine epsilon away from 0 and 1."""
    tiny = np.finfo(np.float64).eps
    return np.asarray(-np.log(np.clip(probability, tiny, 1 - tiny)))


def ranking_area(weights: Array, truth: Array, score: Array) -> Array:
    """Area under the ROC curve: Mann–Whitney share of ordered pairs, ties half; (draws,), NaN if one class."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) > 0])
    sorted_weights, positive = weights[:, order], truth[order]
    up = np.add.reduceat(sorted_weights * positive, starts, axis=1)
    down = np.add.reduceat(sorted_weights * ~positive, starts, axis=1)
    below = np.cumsum(down, axis=1) - down / 2
    return ratio((up * below).sum(axis=1), up.sum(axis=1) * down.sum(axis=1))


def quantile_bins(score: Array, bins: int = 10) -> Array:
    """The bin of each score, shape (rows,): edges at the score's own quantiles, equal scores in one bin."""
    edges = np.unique(np.quantile(score, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.asarray(np.searchsorted(edges, score, side="right"))


def bin_gaps(weights: Array, residual: Array, bins: Array) -> Array:
    """Sum over bins of |weighted residual|: the numerator of the expected calibration error (Naeini et al. 2015)."""
    members = bins[:, None] == np.unique(bins)
    return np.asarray(np.abs(weights @ (members * residual[:, None])).sum(axis=1))
