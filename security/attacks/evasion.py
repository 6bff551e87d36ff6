"""Evasion: the smallest change of a row's numbers that an attack finds to change the predicted class.

Attacks come from the Adversarial Robustness Toolbox (Nicolae et al. 2018, arXiv:1807.01069) and run row by row in a
scaled space, coordinates in training standard deviations. What is wrapped around them here: a hard query budget
(HopSkipJump halves its step without end when it stands on the wrong side), a near start instead of an unseeded random
one, NumPy's global generator seeded and put back, and the nearest adversarial point of all that were asked.
"""

from __future__ import annotations

import copy
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Array = np.ndarray[Any, Any]
Predict = Callable[[Array], Array]
"""Points (n, d) in scaled space to class positions (n,)."""
Norm = Literal["l2", "linf"]


class BudgetSpentError(Exception):
    """The row's queries or its time are used up."""


@dataclass
class Oracle:
    """Counts queries, enforces the budget and keeps the nearest point with another class than ``label``."""

    predict: Predict
    x: Array
    label: int
    norm: Norm
    max_queries: int
    deadline: float
    queries: int = 0
    best: Array | None = None
    best_distance: float = field(default=float("inf"))

    def __call__(self, points: Array) -> Array:
        """Class positions of ``points`` (n, d). Raises BudgetSpentError before a query beyond the budget."""
        if self.queries + len(points) > self.max_queries or time.monotonic() > self.deadline:
            raise BudgetSpentError
        self.queries += len(points)
        found = self.predict(points)
        flipped = np.flatnonzero(found != self.label)
        if len(flipped):
            distances = distance(points[flipped], self.x, self.norm)
            nearest = int(distances.argmin())
            if distances[nearest] < self.best_distance:
                self.best_distance = float(distances[nearest])
                self.best = np.array(points[flipped[nearest]], dtype=np.float64)
        return found


def distance(points: Array, x: Array, norm: Norm) -> Array:
    """Distances (n,) of points (n, d) from x (d,), in standard deviations."""
    gap = points - x
    return np.asarray(np.abs(gap).max(axis=1) if norm == "linf" else np.sqrt((gap**2).sum(axis=1)))


@contextmanager
def seeded_globally(seed: int) -> Iterator[None]:
    """NumPy's global generator at ``seed`` inside, as it was outside: ART draws from it."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)


@contextmanager
def art_is_loud() -> Iterator[None]:
    """ART warns of frameworks that are not installed and not needed here, and logs every row to standard error."""
    before = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(before)


def hop_skip_jump(
    oracle: Oracle,
    candidates: Array,
    bounds: tuple[Array, Array],
    *,
    classes: int,
    max_iter: int,
    max_eval: int,
    seed: int,
) -> None:
    """HopSkipJump (Chen, Jordan and Wainwright 2020) from the nearest of ``candidates`` (n, d) with another class.

    ``bounds``: lowest and highest coordinates (d,). What was found is in ``oracle.best``. Raises BudgetSpentError.
    """
    order = np.argsort(distance(candidates, oracle.x, oracle.norm), kind="stable")
    near = candidates[order]
    flipped = np.flatnonzero(oracle(near) != oracle.label)
    if len(flipped) == 0:
        return
    with art_is_loud():
        # 2.7 s to import, needed by this attack alone
        from art.attacks.evasion import HopSkipJump  # noqa: PLC0415
        from art.estimators.classification import BlackBoxClassifier  # noqa: PLC0415

    identity = np.eye(classes, dtype=np.float32)
    low, high = (side.astype(np.float32) for side in bounds)
    classifier = BlackBoxClassifier(
        lambda points: identity[oracle(np.asarray(points, dtype=np.float64))],
        input_shape=oracle.x.shape,
        nb_classes=classes,
        clip_values=(low, high),
    )
    attack = HopSkipJump(
        classifier,
        batch_size=max_eval,
        norm=2 if oracle.norm == "l2" else np.inf,
        max_iter=max_iter,
        max_eval=max_eval,
        init_eval=min(max_eval, 20 + 2 * len(oracle.x)),
        verbose=False,
    )
    start = near[flipped[0]][None].astype(np.float32)
    with seeded_globally(seed), art_is_loud():
        attack.generate(x=oracle.x[None].astype(np.float32), x_adv_init=start)


def projected_gradient(
    oracle: Oracle,
    estimator: Any,
    *,
    base: Array,
    active: Array,
    bounds: tuple[Array, Array],
    radii: tuple[float, ...],
    max_iter: int,
    seed: int,
) -> None:
    """Projected gradient descent (Madry et al. 2018) on a fitted LogisticRegression, radius by radius.

    ``base``: the full prepared row (m,), of which only the coordinates ``active`` (d,) may move; ``bounds`` (d,) each.
    Raises BudgetSpentError.
    """
    with art_is_loud():
        from art.attacks.evasion import ProjectedGradientDescent  # noqa: PLC0415
        from art.estimators.classification import SklearnClassifier  # noqa: PLC0415

        low, high = (base - 1).astype(np.float32), (base + 1).astype(np.float32)
        low[active], high[active] = bounds
        classifier = SklearnClassifier(model=_softened(estimator, base), clip_values=(low, high))
        mask = np.zeros((1, len(base)), dtype=np.float32)
        mask[0, active] = 1.0
        label = np.array([oracle.label])
        for radius in sorted(radii):
            attack = ProjectedGradientDescent(
                classifier,
                norm=2 if oracle.norm == "l2" else np.inf,
                eps=radius * (1 - 1e-6),
                eps_step=2.5 * radius / max_iter,
                max_iter=max_iter,
                verbose=False,
            )
            with seeded_globally(seed):
                found = attack.generate(x=base[None].astype(np.float32), y=label, mask=mask)
            oracle(np.asarray(found[:, active], dtype=np.float64))
            if oracle.best is not None:
                return


def _softened(estimator: Any, base: Array) -> Any:
    """The same boundary, margins divided by this row's: a sure model's loss is flat and its gradient rounds to 0."""
    soft = copy.deepcopy(estimator)
    margin = max(1.0, float(np.abs(estimator.decision_function(base[None])).max()))
    soft.coef_, soft.intercept_ = estimator.coef_ / margin, estimator.intercept_ / margin
    return soft


def random_noise(
    predict: Predict,
    x: Array,
    label: int,
    *,
    radius: float,
    project: Callable[[Array], Array],
    norm: Norm,
    draws: int,
    generator: np.random.Generator,
) -> bool:
    """Whether any of ``draws`` random points at ``radius`` changes the class: the control beside an attack."""
    noise = generator.standard_normal((draws, len(x)))
    noise = np.sign(noise) if norm == "linf" else noise / np.linalg.norm(noise, axis=1, keepdims=True)
    return bool(np.any(predict(project(x + radius * noise)) != label))


def overshoots(x: Array, found: Array) -> Array:
    """Points from ``found`` (d,) on outwards along the way from ``x``: rounding must not undo an attack; (7, d)."""
    factors = np.array([1.0, 1.02, 1.05, 1.1, 1.25, 1.5, 2.0])
    return np.asarray(x + factors[:, None] * (found - x))
