"""What may change in a table's rows, as coordinates for an attack, and back: only rows that may exist are ever asked.

A number is one coordinate in training standard deviations times its cost. A choice (a category, or a group of 0/1
columns of which exactly one is 1) has one coordinate per value; the largest decides, so that half-way between two
values the choice changes. Whole numbers stay whole, nothing leaves the range seen, missing values stay missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from security.attacks.asking import lengths
from security.attacks.evasion import Norm

Array = np.ndarray[Any, Any]
_TINY = 1e-6


@dataclass(frozen=True)
class Numbers:
    """The numeric columns that may change, arrays (k,): where each is in the prepared row, and what it may be."""

    columns: tuple[str, ...]
    position: Array
    mean: Array
    scale: Array
    low: Array
    high: Array
    whole: Array
    cost: Array

    def coordinates(self, values: Array) -> Array:
        """Values (n, k) as coordinates."""
        return np.asarray((values - self.mean) / self.scale * self.cost)

    def values(self, points: Array) -> Array:
        """Coordinates (n, k) as values, whole numbers exactly whole."""
        found = points / self.cost * self.scale + self.mean
        return np.asarray(np.where(self.whole, np.round(found), found))

    def settle(self, points: Array, towards: Array | None = None) -> Array:
        """Coordinates (n, k) of the nearest numbers that may be; with ``towards`` (n, k) whole ones on its side."""
        found = points / self.cost * self.scale + self.mean
        if towards is None:
            whole = np.round(found)
        else:
            own = towards / self.cost * self.scale + self.mean
            whole = np.where(found >= own, np.floor(found + _TINY), np.ceil(found - _TINY))
        found = np.clip(np.where(self.whole, whole, found), self.low, self.high)
        return self.coordinates(found)


@dataclass(frozen=True)
class Choice:
    """A column (or group of columns) with a fixed set of values: ``values`` (v rows of cells), ``codes`` (v, b) what
    each is at the positions ``block`` (b,) of the prepared row, and what a change costs."""

    columns: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    block: Array
    codes: Array
    cost: float


@dataclass(frozen=True)
class TabularSpace:
    """Numbers, then choices, as one vector of coordinates (d,)."""

    numbers: Numbers
    choices: tuple[Choice, ...]
    norm: Norm

    @property
    def groups(self) -> list[Array]:
        """The coordinates of each feature: one for a number, one per value for a choice."""
        groups, start = [np.array([i]) for i in range(len(self.numbers.columns))], len(self.numbers.columns)
        for choice in self.choices:
            groups.append(np.arange(start, start + len(choice.values)))
            start += len(choice.values)
        return groups

    @property
    def features(self) -> list[str]:
        """A name for each of ``groups``."""
        return [*self.numbers.columns, *("/".join(choice.columns) for choice in self.choices)]

    def _side(self, choice: Choice) -> float:
        """The coordinate of the chosen value: two corners are ``cost`` apart."""
        return choice.cost if self.norm == "linf" else choice.cost / float(np.sqrt(2))

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Lowest and highest coordinates, (d,) each."""
        sides = [np.full(len(choice.values), self._side(choice)) for choice in self.choices]
        low = np.concatenate([self.numbers.coordinates(self.numbers.low), *(np.zeros_like(side) for side in sides)])
        return low, np.concatenate([self.numbers.coordinates(self.numbers.high), *sides])

    def coordinates(self, numbers: Array, chosen: Array) -> tuple[Array, Array]:
        """(points, movable), (n, d) each, of rows with ``numbers`` (n, k; NaN: missing) and ``chosen`` (n, choices).

        ``chosen`` is a position in the choice's values, or −1 for one that is missing or unknown and so stays.
        """
        known = np.isfinite(numbers)
        free = known & (self.numbers.high > self.numbers.low)
        points, movable = [np.where(known, self.numbers.coordinates(np.where(known, numbers, 0.0)), 0.0)], [free]
        for choice, own in zip(self.choices, chosen.T, strict=True):
            corner = (own[:, None] == np.arange(len(choice.values))) * self._side(choice)
            points.append(corner)
            movable.append(np.repeat((own >= 0)[:, None] & (len(choice.values) > 1), len(choice.values), axis=1))
        return np.hstack(points), np.hstack(movable)

    def settle(self, points: Array, movable: Array, x: Array, *, towards: bool = False) -> Array:
        """The nearest points (n, d) that may exist; what is not ``movable`` (n, d) is the row's own ``x`` (n, d)."""
        k = len(self.numbers.columns)
        parts = [self.numbers.settle(points[:, :k], x[:, :k] if towards else None)]
        for choice, group in zip(self.choices, self.groups[k:], strict=True):
            picked = points[:, group].argmax(axis=1)
            parts.append((picked[:, None] == np.arange(len(group))) * self._side(choice))
        return np.where(movable, np.hstack(parts), x)

    def prepared(self, points: Array, movable: Array, base: Array) -> Array:
        """Settled points (n, d) as prepared rows (n, m); everything else is as in ``base`` (n, m)."""
        rows = base.copy()
        k = len(self.numbers.columns)
        own = base[:, self.numbers.position]
        rows[:, self.numbers.position] = np.where(movable[:, :k], points[:, :k] / self.numbers.cost, own)
        for choice, group in zip(self.choices, self.groups[k:], strict=True):
            codes = choice.codes[points[:, group].argmax(axis=1)]
            rows[:, choice.block] = np.where(movable[:, group[:1]], codes, rows[:, choice.block])
        return rows

    def points_of(self, prepared: Array, x: Array) -> Array:
        """Coordinates (n, d) of prepared rows (n, m) that an attack made: choices by their nearest code."""
        points, k = x.copy(), len(self.numbers.columns)
        points[:, :k] = prepared[:, self.numbers.position] * self.numbers.cost
        for choice, group in zip(self.choices, self.groups[k:], strict=True):
            away = ((prepared[:, choice.block][:, None] - choice.codes[None]) ** 2).sum(axis=2)
            points[:, group] = (away.argmin(axis=1)[:, None] == np.arange(len(group))) * self._side(choice)
        return points

    def changed(self, points: Array, x: Array) -> Array:
        """Which features differ, boolean (n, features)."""
        columns = [np.abs(points[:, group] - x[:, group]).max(axis=1) > 1e-9 for group in self.groups]
        return np.stack(columns, axis=1) if columns else np.zeros((len(points), 0), dtype=bool)

    def noise(self, x: Array, movable: Array, radius: Array, generator: np.random.Generator) -> Array:
        """One random change of about ``radius`` (n,) for each row (n, d): often another choice, the rest in numbers.

        Settled; a point may still be nearer than the radius (whole numbers, ranges) and never counts beyond it.
        """
        k, points, left = len(self.numbers.columns), x.copy(), np.array(radius, dtype=np.float64)
        cost = np.array([choice.cost for choice in self.choices])
        swap = generator.random(len(x)) < 0.5
        # the i-th of the choices that a row can pay for
        pick = (generator.random(len(x)) * (cost <= left[:, None]).sum(axis=1)).astype(np.intp)
        for i, choice in enumerate(self.choices):
            group, payable = self.groups[k + i], cost[i] <= radius
            position = (cost[: i + 1] <= radius[:, None]).sum(axis=1) - 1
            rows = np.flatnonzero(swap & payable & (pick == position) & movable[:, group[0]])
            value = generator.integers(0, len(group), size=len(rows))
            points[rows[:, None], group] = (value[:, None] == np.arange(len(group))) * self._side(choice)
            if self.norm == "l2":
                left[rows] = np.sqrt(np.maximum(radius[rows] ** 2 - choice.cost**2, 0.0))
        push = generator.standard_normal((len(x), k)) * movable[:, :k]
        size = np.maximum(np.abs(push) if self.norm == "linf" else lengths(push, "l2")[:, None], 1e-12)
        points[:, :k] += left[:, None] * push / size  # the whole radius, unless it bought a choice
        return self.settle(points, movable, x, towards=True)


def choice_codes(prepare: Callable[[list[Any]], Array], values: list[Any], column: str, cost: float) -> Choice | None:
    """A category as a choice: ``prepare`` gives one prepared row (v, m) per value; None when all look the same."""
    rows = prepare(values)
    block = np.flatnonzero((rows != rows[:1]).any(axis=0)) if len(rows) else np.empty(0, dtype=np.intp)
    if not len(block):
        return None
    return Choice((column,), tuple((value,) for value in values), block, rows[:, block], cost)
