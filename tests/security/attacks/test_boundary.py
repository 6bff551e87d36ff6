"""Attacks on many rows at once: near the exact answer, no worse than the toolbox row by row, inside their budget."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from security.attacks.asking import Asked, lengths
from security.attacks.boundary import hop_skip_jump
from security.attacks.evasion import BudgetSpentError, Norm, Oracle
from security.attacks.evasion import hop_skip_jump as row_by_row
from security.attacks.searching import nearest_starts, random_search, taken_back
from security.attacks.whitebox import gradient_attack, tree_attack

Array = np.ndarray[Any, Any]
X, Y = make_classification(400, 6, n_informative=6, n_redundant=0, class_sep=1.0, random_state=0)
BOUNDS = (X.min(axis=0) - 5, X.max(axis=0) + 5)
LINE = LogisticRegression().fit(X, Y)
TREE = DecisionTreeClassifier(max_depth=6, random_state=0).fit(X, Y)
ROWS = 12


def asked(
    model: Any, norm: Norm = "l2", queries: int = 20_000, seconds: float = 60, fixed: tuple[int, ...] = ()
) -> Asked:
    movable = np.ones((ROWS, 6), dtype=bool)
    movable[:, list(fixed)] = False
    label = model.predict_proba(X[:ROWS]).argmax(axis=1)

    def classes(points: Array, owner: Array) -> Array:
        return np.asarray(model.predict_proba(points).argmax(axis=1))

    return Asked(X[:ROWS].copy(), label, movable, classes, norm, queries, time.monotonic() + seconds)


def jumped(target: Asked, max_iter: int = 12, max_eval: int = 200) -> Asked:
    hop_skip_jump(target, nearest_starts(target, X), BOUNDS, max_iter=max_iter, max_eval=max_eval, init_eval=40, seed=0)
    return target


def line_distances(norm: Norm) -> Array:
    """The true distances to the line: the margin over the dual norm of its coefficients."""
    dual = np.abs(LINE.coef_[0]).sum() if norm == "linf" else np.linalg.norm(LINE.coef_[0])
    return np.abs(LINE.decision_function(X[:ROWS])) / dual


def leaf_distances(norm: Norm) -> Array:
    """The true distances to the nearest leaf of another class: every leaf is a box."""
    tree, boxes = TREE.tree_, []

    def walk(node: int, low: Array, high: Array) -> None:
        if tree.children_left[node] == -1:
            boxes.append((low, high, int(tree.value[node, 0].argmax())))
            return
        feature, cut = tree.feature[node], tree.threshold[node]
        walk(tree.children_left[node], low, np.where(np.arange(6) == feature, np.minimum(high, cut), high))
        walk(tree.children_right[node], np.where(np.arange(6) == feature, np.maximum(low, cut), low), high)

    walk(0, np.full(6, -np.inf), np.full(6, np.inf))
    own = TREE.predict_proba(X[:ROWS]).argmax(axis=1)
    return np.array(
        [
            min(lengths(np.clip(x, low, high)[None] - x, norm)[0] for low, high, kind in boxes if kind != label)
            for x, label in zip(X[:ROWS], own, strict=True)
        ]
    )


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_hop_skip_jump_comes_near_the_exact_distances_of_a_line(norm: Norm) -> None:
    target, exact = jumped(asked(LINE, norm), max_iter=20, max_eval=300), line_distances(norm)
    assert (target.best_distance >= exact - 1e-6).all()
    assert (target.best_distance <= 1.35 * exact + 0.02).all()
    assert (LINE.predict_proba(target.best).argmax(axis=1) != target.label).all()


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_no_attack_on_a_tree_is_nearer_than_its_nearest_leaf_and_together_they_find_it(norm: Norm) -> None:
    exact, groups = leaf_distances(norm), [np.array([i]) for i in range(6)]
    boundary, leaf = jumped(asked(TREE, norm)), asked(TREE, norm)
    tree_attack(leaf, TREE, X[:ROWS], lambda prepared, x: prepared)
    for one in (boundary, leaf):
        taken_back(one, groups)
        assert (one.best_distance >= exact - 1e-4).all()
    nearest = np.minimum(boundary.best_distance, leaf.best_distance)
    assert np.median(nearest / exact) < 1.1
    assert np.isfinite(leaf.best_distance).all(), "the toolbox takes a leaf of another class, not the nearest one"


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_success_and_distance_are_no_worse_than_the_toolbox_row_by_row(norm: Norm) -> None:
    forest = RandomForestClassifier(10, random_state=0).fit(X, Y)
    target = jumped(asked(forest, norm), max_iter=6, max_eval=100)
    theirs, queries = [], 0
    for row in range(ROWS):
        one = Oracle(
            lambda points: np.asarray(forest.predict_proba(points).argmax(axis=1)),
            X[row], int(target.label[row]), norm, 20_000, time.monotonic() + 60,
        )  # fmt: skip
        row_by_row(one, X, BOUNDS, classes=2, max_iter=6, max_eval=100, seed=row)
        theirs.append(one.best_distance)
        queries += one.queries
    assert np.isfinite(target.best_distance).sum() >= np.isfinite(theirs).sum()
    assert target.best_distance.mean() <= np.mean(theirs) * 1.02
    assert target.queries.sum() <= queries, "not bought with more queries"


def test_all_rows_share_every_call_of_the_model() -> None:
    target, calls = asked(LINE), []
    real = target.classes
    target.classes = lambda points, owner: calls.append(len(points)) or real(points, owner)  # type: ignore[func-returns-value]
    jumped(target, max_iter=4, max_eval=60)
    assert len(calls) < 110
    assert target.queries.sum() == sum(calls)


@pytest.mark.parametrize("attack", ["fast_gradient", "projected_gradient", "deep_fool"])
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_gradient_attacks_succeed_beyond_the_exact_distance_and_never_within(attack: Any, norm: Norm) -> None:
    exact, target = line_distances(norm), asked(LINE, norm)
    radii = (float(1.05 * exact.max()),)
    gradient_attack(
        target, LINE, X[:ROWS], attack=attack, position=np.arange(6), cost=np.ones(6), bounds=BOUNDS, radii=radii,
        max_iter=20, seed=0,
    )  # fmt: skip
    assert (target.best_distance >= exact - 1e-4).all()
    assert np.isfinite(target.best_distance).all()


def test_what_may_not_move_stays_and_its_cost_counts() -> None:
    target = asked(LINE, fixed=(1, 4))
    jumped(target)
    before = target.best_distance.copy()
    gradient_attack(
        target, LINE, X[:ROWS], attack="deep_fool", position=np.arange(6), cost=np.ones(6), bounds=BOUNDS, radii=(1.0,),
        max_iter=20, seed=0,
    )  # fmt: skip
    random_search(target, lambda owner, radius: X[owner] + radius[:, None] * 0.3, 2.0, rounds=2, draws=5)
    assert (target.best_distance <= before).all()
    found = np.isfinite(target.best_distance)
    assert found.all()
    assert (target.best[:, [1, 4]] == X[:ROWS][:, [1, 4]]).all()


def test_a_row_whose_queries_are_used_up_stops_and_is_marked() -> None:
    target = jumped(asked(LINE, queries=500), max_iter=100)
    assert (target.queries <= 500).all()
    assert target.spent.all()
    assert np.isfinite(target.best_distance).all(), "what was found before is kept"


def test_when_the_time_is_over_every_row_under_way_is_marked() -> None:
    target = asked(LINE)
    starts = nearest_starts(target, X)
    target.deadline = time.monotonic() - 1
    with pytest.raises(BudgetSpentError):
        hop_skip_jump(target, starts, BOUNDS, max_iter=5, max_eval=100, init_eval=20, seed=0)
    assert target.spent.all()


def test_a_model_that_never_changes_its_mind_gives_nothing() -> None:
    target = asked(LINE)
    target.classes = lambda points, owner: target.label[owner]
    jumped(target)
    taken_back(target, [np.array([0])])
    assert not np.isfinite(target.best_distance).any()
    assert target.trace == []
    assert (target.queries == len(X)).all(), "every start was tried, and nothing after"


def test_asking_more_than_is_left_is_a_mistake_of_the_attack() -> None:
    target = asked(LINE, queries=3)
    with pytest.raises(ValueError, match="more queries than a row has left"):
        target(np.repeat(X[:1], 4, axis=0), np.zeros(4, dtype=int))
    assert target.queries.sum() == 0


def test_the_trace_tells_after_how_many_queries_a_row_came_how_near() -> None:
    target = jumped(asked(LINE))
    for row in range(ROWS):
        steps = [(queries, away) for owner, queries, away in target.trace if owner == row]
        assert steps == sorted(steps, key=lambda step: -step[1])
        assert [queries for queries, _ in steps] == sorted(queries for queries, _ in steps)
        assert steps[-1][1] == target.best_distance[row]


def test_a_change_that_was_not_needed_is_taken_back() -> None:
    target = asked(LINE)
    far = X[:ROWS] + 8 * np.sign(LINE.coef_) * np.where(target.label, -1, 1)[:, None]
    assert target(far, np.arange(ROWS)).all()
    before = target.best_distance.copy()
    taken_back(target, [np.array([i]) for i in range(6)])
    assert (target.best_distance < before / 2).all()
    assert ((target.best == X[:ROWS]).sum(axis=1) >= 3).all()
