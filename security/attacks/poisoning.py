"""Signals of poisoned training data: labels that their neighbours, a model and their own duplicates contradict.

Pure functions over arrays. ``x`` is a prepared numeric matrix (rows, columns) on comparable scales, ``y`` class
positions (rows,) in 0 … classes−1, ``proba`` out-of-sample class probabilities (rows, classes).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors

Array = np.ndarray[Any, Any]


def neighbour_disagreement(x: Array, y: Array, neighbours: int = 10) -> Array:
    """Share of each row's nearest neighbours (itself left out) with another label: shape (rows,), 0 … 1.

    Exact duplicates count as neighbours. Raises ValueError unless there are more rows than neighbours.
    """
    if len(x) <= neighbours:
        raise ValueError(f"{len(x)} rows are too few for {neighbours} neighbours")
    index = NearestNeighbors(n_neighbors=neighbours).fit(x)
    return np.asarray((y[index.kneighbors(return_distance=False)] != y[:, None]).mean(axis=1))


def confident_joint(y: Array, proba: Array) -> Array:
    """Counts of (given label, confidently another label), calibrated to the given labels: shape (classes, classes).

    Confident learning of Northcutt, Jiang and Chuang 2021 (JAIR 70, sections 3.1 and 3.2): a row counts for class j
    when its probability of j reaches the mean probability of j among the rows given j; rows are then rescaled so
    that row i sums to the number of rows given i. A class without rows keeps a row of zeros.
    """
    classes = proba.shape[1]
    given = np.eye(classes)[y]
    size = given.sum(axis=0)
    mean = np.divide((given * proba).sum(axis=0), size, out=np.ones(classes), where=size > 0)
    above = np.where(proba >= mean, proba, -1.0)
    confident = above.max(axis=1) >= 0
    joint = given[confident].T @ np.eye(classes)[above[confident].argmax(axis=1)]
    found = joint.sum(axis=1, keepdims=True)
    diagonal = np.diag(size)
    return np.where(
        found > 0, np.divide(joint, found, out=np.zeros_like(joint), where=found > 0) * size[:, None], diagonal
    )


def label_noise_rate(y: Array, proba: Array) -> float:
    """Estimated share of wrong labels: the mass beside the diagonal of the confident joint."""
    joint = confident_joint(y, proba)
    return float(1 - np.trace(joint) / joint.sum())


def self_doubt(y: Array, proba: Array) -> Array:
    """How much an out-of-sample model prefers another label, shape (rows,), −1 … 1: positive means it disagrees."""
    own = proba[np.arange(len(y)), y]
    others = proba.copy()
    others[np.arange(len(y)), y] = -1.0
    return np.asarray(others.max(axis=1) - own)


def suspicion(y: Array, proba: Array, disagreement: Array) -> Array:
    """One score per row, 0 … 1, from the model's doubt and the neighbours' disagreement (their mean)."""
    return np.asarray(((self_doubt(y, proba) + 1) / 2 + disagreement) / 2)


def conflicting_duplicates(keys: list[tuple[Any, ...]], y: Array) -> Array:
    """Rows whose features occur again with another label, boolean, shape (rows,)."""
    seen: dict[tuple[Any, ...], set[int]] = {}
    for key, label in zip(keys, y.tolist(), strict=True):
        seen.setdefault(key, set()).add(label)
    return np.array([len(seen[key]) > 1 for key in keys], dtype=bool)


def outlier_scores(x: Array, reference: Array | None, seed: int) -> tuple[Array, float]:
    """Isolation forest scores (Liu, Ting and Zhou 2008), higher is stranger, and the score from which a row counts.

    With a reference the forest knows only the reference and the limit is its 99th percentile, so 1 % of like rows
    count; without one the limit is 0.6 (the authors: scores well above 0.5 are anomalies).
    """
    forest = IsolationForest(n_estimators=100, random_state=seed, n_jobs=1).fit(x if reference is None else reference)
    limit = 0.6 if reference is None else float(np.quantile(-forest.score_samples(reference), 0.99))
    return -forest.score_samples(x), limit


def flip_excess(y: Array, proba: Array) -> Array:
    """Observed minus expected disagreement per row, shape (rows,); its mean is 0 when labels follow ``proba``.

    A row disagrees when its label is not the most probable one, and is expected to with probability 1 − max(proba).
    Rows the model is sure of weigh as they should even when their mix has shifted, which a plain error rate confuses
    with flipped labels.
    """
    return np.asarray((proba.argmax(axis=1) != y) - (1 - proba.max(axis=1)))
