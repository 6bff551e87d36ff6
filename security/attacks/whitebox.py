"""Attacks that read the model: gradients of a logistic regression, the leaves of a single decision tree.

Fast gradient method (Goodfellow et al. 2015), projected gradient descent (Madry et al. 2018), DeepFool
(Moosavi-Dezfooli et al. 2016) and DecisionTreeAttack (Papernot et al. 2016) of the Adversarial Robustness Toolbox.
Gradient attacks see only the numbers that may move: the rest of a row is folded into the intercept. What they propose
is settled and asked like everything else, and a little further out too, since rounding may undo it.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from sklearn.linear_model import LogisticRegression

from security.attacks.asking import Asked
from security.attacks.evasion import BudgetSpentError, art_is_loud, overshoots, seeded_globally

Array = np.ndarray[Any, Any]
GradientAttack = Literal["fast_gradient", "projected_gradient", "deep_fool"]


def gradient_attack(
    asked: Asked,
    estimator: LogisticRegression,
    base: Array,
    *,
    attack: GradientAttack,
    position: Array,
    cost: Array,
    bounds: tuple[Array, Array],
    radii: tuple[float, ...],
    max_iter: int,
    seed: int,
) -> None:
    """Attack every row's numbers: the first ``len(position)`` coordinates of ``asked``, at ``position`` (k,) of the
    prepared rows ``base`` (rows, m), each times ``cost`` (k,). Raises BudgetSpentError; the row is then marked.
    """
    k = len(position)
    for row in range(len(asked.x)):
        active = np.flatnonzero(asked.movable[row, :k])
        if not len(active):
            continue
        if time.monotonic() > asked.deadline:
            asked.spent[row:] = True
            raise BudgetSpentError
        x = asked.x[row, active]
        line = _seen_from(estimator, base[row], position[active], cost[active], x)
        sides = (bounds[0][active].astype(np.float32), bounds[1][active].astype(np.float32))
        with seeded_globally(seed), art_is_loud():
            found = _generate(line, x, int(asked.label[row]), attack, asked.norm, sides, radii, max_iter)
        _propose(asked, row, active, np.vstack([overshoots(x, point) for point in found]))


def _seen_from(
    estimator: LogisticRegression, base: Array, position: Array, cost: Array, x: Array
) -> LogisticRegression:
    """The same boundary over the active coordinates alone, its margins divided by this row's: a sure model's loss is
    flat and its gradient rounds to 0."""
    line = copy.deepcopy(estimator)
    rest = base.copy()
    rest[position] = 0.0
    line.coef_ = estimator.coef_[:, position] / cost
    line.intercept_ = estimator.intercept_ + estimator.coef_ @ rest
    line.n_features_in_ = len(position)
    margin = max(1.0, float(np.abs(line.coef_ @ x + line.intercept_).max()))
    line.coef_, line.intercept_ = line.coef_ / margin, line.intercept_ / margin
    return line


def _generate(
    line: Any, x: Array, label: int, attack: str, norm: str, sides: tuple[Array, Array], radii: Any, max_iter: int
) -> Array:
    """What the toolbox proposes for one row (d,): one point per radius, or one (DeepFool); (n, d)."""
    from art.attacks.evasion import DeepFool, FastGradientMethod, ProjectedGradientDescent  # noqa: PLC0415 - slow
    from art.estimators.classification import SklearnClassifier  # noqa: PLC0415

    classifier = SklearnClassifier(model=line, clip_values=sides)
    order = 2 if norm == "l2" else np.inf
    start = x[None].astype(np.float32)
    if attack == "deep_fool":
        return np.asarray(DeepFool(classifier, max_iter=max_iter, nb_grads=10, verbose=False).generate(x=start))
    found = []
    for radius in sorted(radii):
        if attack == "fast_gradient":
            way = FastGradientMethod(classifier, norm=order, eps=radius * (1 - 1e-6))
        else:
            way = ProjectedGradientDescent(
                classifier,
                norm=order,
                eps=radius * (1 - 1e-6),
                eps_step=2.5 * radius / max_iter,
                max_iter=max_iter,
                verbose=False,
            )
        found.append(way.generate(x=start, y=np.array([label])))
    return np.vstack(found)


def _propose(asked: Asked, row: int, active: Array, tried: Array) -> None:
    points = np.repeat(asked.x[row][None], len(tried), axis=0)
    points[:, active] = tried
    if len(asked.affordable(np.array([row]), len(points))):
        asked(points, np.full(len(points), row))


def tree_attack(asked: Asked, estimator: Any, base: Array, points_of: Callable[[Array, Array], Array]) -> None:
    """DecisionTreeAttack on the prepared rows ``base`` (rows, m); ``points_of`` turns them into coordinates.

    It moves a row over the nearest split of its path; what is not allowed to move is put back before it is asked.
    """
    with art_is_loud():
        from art.attacks.evasion import DecisionTreeAttack  # noqa: PLC0415 - slow to import
        from art.estimators.classification.scikitlearn import ScikitlearnDecisionTreeClassifier  # noqa: PLC0415

        attack = DecisionTreeAttack(ScikitlearnDecisionTreeClassifier(estimator), verbose=False)
        found = attack.generate(x=np.array(base, dtype=np.float64))
    points = points_of(np.asarray(found), asked.x)
    for row, point in enumerate(points):
        _propose(asked, row, np.arange(points.shape[1]), overshoots(asked.x[row], point))
