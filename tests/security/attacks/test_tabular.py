"""Coordinates of rows: only rows that may exist, distances as stated, and back to what the model reads."""

from __future__ import annotations

import numpy as np
import pytest

from security.attacks.asking import lengths
from security.attacks.tabular import Choice, Numbers, TabularSpace

NUMBERS = Numbers(
    columns=("age", "ratio"),
    position=np.array([0, 1]),
    mean=np.array([40.0, 0.0]),
    scale=np.array([10.0, 2.0]),
    low=np.array([18.0, -4.0]),
    high=np.array([90.0, 4.0]),
    whole=np.array([True, False]),
    cost=np.array([1.0, 3.0]),
)
COLOUR = Choice(("colour",), (("blue",), ("green",), ("red",)), np.array([2, 3, 4]), np.eye(3), 1.5)


def space(norm: str = "l2") -> TabularSpace:
    return TabularSpace(NUMBERS, (COLOUR,), norm)  # type: ignore[arg-type]


def row() -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """A person of 50, ratio 1, green."""
    return space().coordinates(np.array([[50.0, 1.0]]), np.array([[1]]))


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_another_choice_costs_what_it_is_said_to_cost(norm: str) -> None:
    x, movable = space(norm).coordinates(np.array([[50.0, 1.0]]), np.array([[1]]))
    other = x.copy()
    other[:, 2:] = [[0, 0, 9.0]]
    settled = space(norm).settle(other, movable, x)
    assert lengths(settled - x, norm)[0] == pytest.approx(1.5)  # type: ignore[arg-type]
    assert space(norm).prepared(settled, movable, np.array([[1.0, 0.5, 0, 1, 0]]))[0, 2:].tolist() == [0, 0, 1]


def test_numbers_cost_their_distance_times_their_factor() -> None:
    x, movable = row()
    moved = space().settle(x + np.array([[1.0, 3.0, 0, 0, 0]]), movable, x)
    assert NUMBERS.values(moved[:, :2]).tolist() == [[60.0, 3.0]]
    assert lengths(moved - x, "l2")[0] == pytest.approx(np.sqrt(1 + 9))


def test_settled_numbers_are_whole_and_inside_the_range_seen() -> None:
    x, movable = row()
    points = x + np.random.default_rng(0).normal(scale=9, size=(500, 5))
    values = NUMBERS.values(space().settle(points, np.repeat(movable, 500, 0), np.repeat(x, 500, 0))[:, :2])
    assert (values[:, 0] == np.round(values[:, 0])).all()
    assert values.min(axis=0).tolist() == [18.0, -4.0]
    assert values.max(axis=0).tolist() == [90.0, 4.0]


def test_a_row_settles_on_itself_and_every_choice_on_exactly_one_value() -> None:
    x, movable = row()
    assert (space().settle(x, movable, x) == x).all()
    points = np.random.default_rng(1).normal(size=(200, 5))
    settled = space().settle(points, np.repeat(movable, 200, 0), np.repeat(x, 200, 0))
    assert ((settled[:, 2:] > 0).sum(axis=1) == 1).all()


def test_missing_numbers_and_unknown_categories_never_move() -> None:
    x, movable = space().coordinates(np.array([[np.nan, 1.0]]), np.array([[-1]]))
    assert movable.tolist() == [[False, True, False, False, False]]
    settled = space().settle(x + 5, movable, x)
    assert settled[0, 0] == x[0, 0]
    base = np.array([[0.25, 0.5, 0.0, 0.0, 0.0]])
    assert space().prepared(settled, movable, base)[0, [0, 2, 3, 4]].tolist() == [0.25, 0, 0, 0]


def test_noise_is_valid_and_on_its_own_side_of_rounding() -> None:
    x, movable = row()
    n = 2000
    noise = space().noise(np.repeat(x, n, 0), np.repeat(movable, n, 0), np.full(n, 1.6), np.random.default_rng(0))
    away = lengths(noise - x, "l2")
    assert (away <= 1.6 + 1e-6).all(), "a whole number is taken for whole from a millionth on"
    assert 0.3 < (noise[:, 3] == 0).mean() < 0.4, "half try another of three values, one of them their own"
    cheap = space().noise(np.repeat(x, n, 0), np.repeat(movable, n, 0), np.full(n, 1.4), np.random.default_rng(0))
    assert (cheap[:, 2:] == x[:, 2:]).all(), "a choice that costs more than the radius is not made"


def test_what_a_prepared_row_means_as_coordinates() -> None:
    x, _ = row()
    prepared = np.array([[2.0, -1.0, 0.9, 0.3, 0.1]])
    points = space().points_of(prepared, x)
    assert points[0, :2].tolist() == [2.0, -3.0]
    assert space().changed(points, x).tolist() == [[True, True, True]]
    assert space().changed(x, x).tolist() == [[False, False, False]]
    assert space().features == ["age", "ratio", "colour"]
