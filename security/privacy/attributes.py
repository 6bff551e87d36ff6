"""Attribute inference: what a model adds to what everybody could guess of a hidden value.

``base`` (rows, values) are the probabilities of an informed baseline that knows every other column and the label;
``answers`` (rows, values) the model's probability of the row's label when the hidden column is set to each value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import norm

Array = np.ndarray[Any, Any]


def posterior(base: Array, answers: Array) -> Array:
    """Positions of the most probable values (rows,): prior times likelihood (Fredrikson et al. 2014, algorithm 1)."""
    return np.asarray((np.log(np.clip(base, 1e-12, 1)) + np.log(np.clip(answers, 1e-12, 1))).argmax(axis=1))


def paired_gain(attack: Array, baseline: Array, truth: Array, level: float) -> tuple[float, float, float]:
    """(gain, low, high): the attack's accuracy minus the baseline's on the same rows (rows,), normal interval.

    With c rows that only the attack gets right and b that only the baseline does, of n: (c − b) / n, variance of a
    paired difference with one row of each kind added (Agresti and Min 2005), so that no disagreement is no certainty.
    """
    n = len(truth)
    right, wrong = attack == truth, baseline == truth
    c, b = float((right & ~wrong).sum()), float((~right & wrong).sum())
    middle, size = (c - b) / (n + 2), n + 2
    spread = ((c + b + 1) / size - middle**2) / size
    half = float(norm.ppf((1 + level) / 2)) * float(np.sqrt(max(spread, 0.0)))
    return (c - b) / n, max(middle - half, -1.0), min(middle + half, 1.0)
