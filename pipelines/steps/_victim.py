"""The model under attack: its answers, checked before they are believed, and what may change in its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pipelines.steps._frames import model_columns, model_frame, need_column
from pipelines.steps._modelfile import load_model
from pipelines.steps.contract import StepError
from security.attacks.evasion import Norm
from security.attacks.tabular import Choice, Numbers, TabularSpace, choice_codes

Array = np.ndarray[Any, Any]
MAX_VALUES = 60


@dataclass(frozen=True)
class Victim:
    """A fitted pipeline of train.sklearn. Every answer is checked: an attack on nonsense would find nothing."""

    model: Any

    @classmethod
    def of(cls, data: bytes) -> Victim:
        """From a model file. Raises StepError for one that cannot be asked for probabilities."""
        model = load_model(data)
        model_columns(model)
        if not hasattr(model, "predict_proba"):
            raise StepError("the model gives no probabilities; attacks need predict_proba")
        return cls(model)

    @property
    def classes(self) -> list[str]:
        return [str(one) for one in self.model.classes_]

    @property
    def estimator(self) -> Any:
        return self.model.named_steps["estimator"]

    @cached_property
    def columns(self) -> tuple[list[str], list[str]]:
        """(numeric, categorical) features."""
        return model_columns(self.model)

    def frame(self, table: pa.Table) -> pd.DataFrame:
        """The model's features of a table. Raises StepError when they do not fit."""
        return model_frame(self.model, table)

    def prepare(self, frame: pd.DataFrame) -> Array:
        """Rows as the estimator reads them (n, m)."""
        return np.asarray(self.model.named_steps["prepare"].transform(frame), dtype=np.float64)

    def proba(self, frame: pd.DataFrame) -> Array:
        """Probabilities (n, classes) by the whole model."""
        return self._sound(lambda: self.model.predict_proba(frame), len(frame))

    def proba_prepared(self, rows: Array) -> Array:
        """Probabilities (n, classes) of prepared rows (n, m)."""
        return self._sound(lambda: self.estimator.predict_proba(rows), len(rows))

    def _sound(self, ask: Any, rows: int) -> Array:
        """Raises StepError for an answer that is no probability of the classes that the model names."""
        try:
            with np.errstate(all="ignore"):
                found = np.asarray(ask(), dtype=np.float64)
        except (ValueError, IndexError, TypeError, AttributeError) as error:
            raise StepError(f"the model could not be asked: {str(error).splitlines()[0]}") from error
        if found.shape != (rows, len(self.classes)):
            raise StepError(
                f"the model names {len(self.classes)} classes and answered with an array of shape {found.shape} "
                f"for {rows} rows"
            )
        if not np.isfinite(found).all():
            raise StepError("the model answered with probabilities that are not finite numbers; nothing can be judged")
        if (found < -1e-6).any() or (np.abs(found.sum(axis=1) - 1) > 1e-3).any():
            raise StepError("the model answered with numbers that are no probabilities: they do not sum to 1")
        return found


@dataclass(frozen=True)
class Ground:
    """The attacked rows: raw, prepared (n, m), as coordinates (n, d) with what may move, in their space."""

    victim: Victim
    space: TabularSpace
    frame: pd.DataFrame
    base: Array
    x: Array
    movable: Array

    def classes(self, points: Array, owner: Array) -> Array:
        """Classes of settled points: what ``Asked`` asks."""
        rows = self.space.prepared(points, self.movable[owner], self.base[owner])
        return np.asarray(self.victim.proba_prepared(rows).argmax(axis=1))

    def settle(self, points: Array, owner: Array) -> Array:
        return self.space.settle(points, self.movable[owner], self.x[owner])

    def raw(self, points: Array, owner: Array) -> pd.DataFrame:
        """Settled points as rows of the table; a cell that has not changed is exactly the old one."""
        rows = self.frame.iloc[owner].reset_index(drop=True)
        numbers, k = self.space.numbers, len(self.space.numbers.columns)
        values = numbers.values(points[:, :k])
        changed = np.abs(points - self.x[owner]) > 1e-9
        for i, name in enumerate(numbers.columns):
            rows[name] = np.where(changed[:, i], values[:, i], rows[name].to_numpy(dtype=np.float64))
        for choice, group in zip(self.space.choices, self.space.groups[k:], strict=True):
            picked = points[:, group].argmax(axis=1)
            for j, name in enumerate(choice.columns):
                new = np.array([choice.values[v][j] for v in picked], dtype=object)
                column = np.where(changed[:, group].any(axis=1), new, rows[name].to_numpy(dtype=object))
                rows[name] = pd.Series(column, dtype=rows[name].dtype)
        return rows


@dataclass(frozen=True)
class Freedom:
    """What may change: not ``immutable``; categories only if ``categories``; ``one_of`` groups of 0/1 columns of which
    exactly one is 1; what a change of a column costs, in standard deviations (numbers) or at all (choices)."""

    immutable: Sequence[str] = ()
    categories: bool = True
    one_of: Sequence[Sequence[str]] = ()
    costs: Mapping[str, float] | None = None
    norm: Norm = "l2"

    def cost(self, column: str) -> float:
        return float((self.costs or {}).get(column, 1.0))


def ground(victim: Victim, frame: pd.DataFrame, rows: Array, freedom: Freedom) -> Ground:
    """Rows ``rows`` (positions) of ``frame`` ready to be attacked; ranges and categories are those of the whole frame.

    Raises StepError when nothing may change or a parameter names a column that the model does not use.
    """
    known = [*victim.columns[0], *victim.columns[1]]
    for param, names in (("one_of", [n for g in freedom.one_of for n in g]), ("costs", list(freedom.costs or {}))):
        unknown = sorted(set(names) - set(known))
        if unknown:
            raise StepError(f"{param} names {', '.join(unknown)}, which the model does not use", param=param)
    space, chosen = _space(victim, frame, freedom)
    if not (space.numbers.columns or space.choices):
        raise StepError("no feature may be changed: nothing to attack", param="immutable")
    picked = rows.astype(np.intp)
    numbers = frame[list(space.numbers.columns)].to_numpy(dtype=np.float64)[picked]
    x, movable = space.coordinates(numbers, chosen[picked])
    own = frame.iloc[picked].reset_index(drop=True)
    return Ground(victim, space, own, victim.prepare(own), x, movable)


def all_coordinates(place: Ground, frame: pd.DataFrame) -> Array:
    """Coordinates (n, d) of other rows, for example as places to start from; what is missing there is 0."""
    numbers = frame[list(place.space.numbers.columns)].to_numpy(dtype=np.float64)
    chosen = [_chosen(choice, frame) for choice in place.space.choices]
    points, _ = place.space.coordinates(numbers, np.stack(chosen, axis=1) if chosen else np.empty((len(frame), 0)))
    return points


def need_columns(table: pa.Table, names: Sequence[str], param: str) -> None:
    """Raises StepError for a name that the table lacks."""
    for name in names:
        need_column(table, name, param)


def _space(victim: Victim, frame: pd.DataFrame, freedom: Freedom) -> tuple[TabularSpace, Array]:
    numeric, categorical = victim.columns
    grouped = [name for group in freedom.one_of for name in group]
    choices = [_flags(victim, frame, tuple(group), freedom) for group in freedom.one_of]
    free = [n for n in categorical if freedom.categories and n not in freedom.immutable]
    choices += [choice for name in free if (choice := _category(victim, frame, name, freedom.cost(name)))]
    choices = [one for one in choices if not set(one.columns) & set(freedom.immutable)]
    names = [n for n in numeric if n not in freedom.immutable and n not in grouped]
    space = TabularSpace(_numbers(victim, frame, names, freedom), tuple(choices), freedom.norm)
    chosen = [_chosen(choice, frame) for choice in choices]
    return space, np.stack(chosen, axis=1) if chosen else np.empty((len(frame), 0))


def _numbers(victim: Victim, frame: pd.DataFrame, names: list[str], freedom: Freedom) -> Numbers:
    position = np.array([victim.columns[0].index(n) for n in names], dtype=np.intp)
    mean, scale = _scaling(victim, position)
    values = frame[names].to_numpy(dtype=np.float64)
    seen = np.isfinite(values)
    low = np.where(seen, values, np.inf).min(axis=0, initial=np.inf)
    high = np.where(seen, values, -np.inf).max(axis=0, initial=-np.inf)
    empty = ~seen.any(axis=0)
    whole = np.asarray(np.where(seen, values == np.round(values), True).all(axis=0))
    cost = np.array([freedom.cost(n) for n in names])
    low, high = np.where(empty, 0.0, low), np.where(empty, 0.0, high)
    return Numbers(tuple(names), position, mean, scale, low, high, whole, cost)


def _scaling(victim: Victim, position: Array) -> tuple[Array, Array]:
    if not len(position):
        return np.empty(0), np.empty(0)
    scaler = victim.model.named_steps["prepare"].named_transformers_["numbers"].named_steps["scale"]
    return np.asarray(scaler.mean_)[position], np.asarray(scaler.scale_)[position]


def _category(victim: Victim, frame: pd.DataFrame, name: str, cost: float) -> Choice | None:
    seen = frame[name].dropna()
    values = sorted(seen.value_counts().index[:MAX_VALUES].tolist())
    if len(values) < 2:
        return None

    def prepare(cells: list[Any]) -> Array:
        rows = frame.iloc[[0] * len(cells)].reset_index(drop=True)
        rows[name] = pd.Series(cells, dtype=object)
        return victim.prepare(rows)

    return choice_codes(prepare, values, name, cost)


def _flags(victim: Victim, frame: pd.DataFrame, group: tuple[str, ...], freedom: Freedom) -> Choice:
    """A group of 0/1 columns as one choice. Raises StepError unless exactly one is 1 in every row."""
    text = [name for name in group if name not in victim.columns[0]]
    cells = np.empty((0, 0)) if text else frame[list(group)].to_numpy(dtype=np.float64)
    if text or len(group) < 2 or not (np.isin(cells, (0, 1)).all() and (cells.sum(axis=1) == 1).all()):
        raise StepError(
            f"{', '.join(group)}: a one_of group is two or more 0/1 columns of which exactly one is 1 in every row",
            param="one_of",
        )
    position = np.array([victim.columns[0].index(n) for n in group], dtype=np.intp)
    mean, scale = _scaling(victim, position)
    corners = np.eye(len(group))
    return Choice(
        group, tuple(map(tuple, corners.tolist())), position, (corners - mean) / scale, max(map(freedom.cost, group))
    )


def _chosen(choice: Choice, frame: pd.DataFrame) -> Array:
    """Position of each row's value in the choice, −1 where it is missing or not one of them."""
    where = {value: i for i, value in enumerate(choice.values)}
    cells = frame[list(choice.columns)].astype(object).itertuples(index=False, name=None)
    return np.array([where.get(cell, -1) for cell in cells], dtype=np.intp)
