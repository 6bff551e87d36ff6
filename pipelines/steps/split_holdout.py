"""``split.holdout@1``: a seeded split into training and test rows, by class shares and by whole groups."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipelines.steps._tables import as_mask, require_columns, require_rows, row_numbers
from pipelines.steps.contract import Port, Step, StepContext, StepError, StepParams, StepResult
from security.measurement import Measurement
from security.privacy.anonymity import Codes, group_codes

_MAX_CLASSES = 100
Mask = npt.NDArray[np.bool_]


class Params(StepParams):
    fraction: float = Field(default=0.25, gt=0, lt=1, description="share of the rows that goes to test")
    stratify: str | None = Field(default=None, description="column whose classes keep their shares on both sides")
    group: str | None = Field(default=None, description="column whose equal values all go to one side")
    key: str | None = Field(
        default=None, description="unique column; makes the split independent of the order of the rows"
    )


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Split ``table``; both sides keep the order of the rows.

    The draw is by the context's seed; with ``key`` it is by SHA-256 of seed and key, whatever the order of the rows.
    Raises StepError for missing columns or values, one class only, a class with one row, one group, an empty side.
    """
    table: pa.Table = inputs["table"]
    require_rows(table)
    require_columns(table, [name for name in (params.stratify, params.group, params.key) if name], param="stratify")
    classes = _classes(table, params)
    order = _order(table, params, context)
    if params.group:
        chosen = _by_group(group_codes(table, [_complete(table, params.group, "group")]), classes, order, params)
    else:
        chosen = _by_class(classes, order, params.fraction)
    if not 0 < int(chosen.sum()) < table.num_rows:
        side = "test" if not chosen.any() else "train"
        raise StepError(
            f"fraction {params.fraction} of {table.num_rows} rows leaves no row for {side}; choose another fraction",
            param="fraction",
        )
    outputs = {"train": table.filter(pa.array(~chosen)), "test": table.filter(pa.array(chosen))}
    return StepResult(
        outputs=outputs,
        measurements=_measurements(table, chosen, classes, params),
        summary=f"{outputs['train'].num_rows} rows to train, {outputs['test'].num_rows} to test",
    )


def _complete(table: pa.Table, name: str, param: str) -> str:
    """``name``, once it is known that no row lacks a value there."""
    missing = as_mask(pc.is_null(table.column(name), nan_is_null=True))
    if missing.any():
        raise StepError(
            f"column {name!r} has no value in {int(missing.sum())} rows; fill or drop them first",
            param=param,
            details={"column": name, "rows": row_numbers(missing)},
        )
    return name


def _classes(table: pa.Table, params: Params) -> Codes:
    """Class code of each row (all 0 without ``stratify``)."""
    if not params.stratify:
        return np.zeros(table.num_rows, dtype=np.int64)
    codes = group_codes(table, [_complete(table, params.stratify, "stratify")])
    counts = np.bincount(codes)
    if not 2 <= len(counts) <= _MAX_CLASSES:
        raise StepError(
            f"column {params.stratify!r} has {len(counts)} distinct value(s); stratifying needs 2 to {_MAX_CLASSES}",
            param="stratify",
            details={"column": params.stratify, "classes": len(counts)},
        )
    single = counts[codes] == 1
    if single.any():
        raise StepError(
            f"column {params.stratify!r} has {int(single.sum())} class(es) with one row only; each needs at least 2",
            param="stratify",
            details={"column": params.stratify, "rows": row_numbers(single)},
        )
    return codes


def _order(table: pa.Table, params: Params, context: StepContext) -> npt.NDArray[np.int64]:
    """The rows in the order in which they are drawn for test."""
    if not params.key:
        return np.random.default_rng(context.subseed("split")).permutation(table.num_rows)
    keys = table.column(_complete(table, params.key, "key")).cast(pa.string()).to_pylist()
    if len(set(keys)) < len(keys):
        raise StepError(f"column {params.key!r} repeats values; key must be unique", param="key")
    prefix = f"{context.subseed('split')}:"
    digests = [hashlib.sha256(f"{prefix}{key}".encode()).digest() for key in keys]
    return np.array(sorted(range(len(keys)), key=digests.__getitem__), dtype=np.int64)


def _by_class(classes: Codes, order: npt.NDArray[np.int64], fraction: float) -> Mask:
    """The first rows of each class in ``order``: largest remainders, and at least one of each class on each side."""
    counts = np.bincount(classes)
    exact = counts * fraction
    take = np.floor(exact).astype(np.int64)
    missing = round(float(exact.sum())) - int(take.sum())
    take[np.argsort(take - exact, kind="stable")[:missing]] += 1
    if len(counts) > 1:
        take = np.clip(take, 1, counts - 1)
    chosen = np.zeros(len(classes), dtype=bool)
    for code, number in enumerate(take):
        chosen[order[classes[order] == code][:number]] = True
    return chosen


def _by_group(groups: Codes, classes: Codes, order: npt.NDArray[np.int64], params: Params) -> Mask:
    """Whole groups, large ones first, each to test when that brings the class counts nearer to their targets."""
    table = np.zeros((int(groups.max()) + 1, int(classes.max()) + 1))
    np.add.at(table, (groups, classes), 1)
    if len(table) < 2:
        raise StepError(f"column {params.group!r} has one group only; a split needs at least 2", param="group")
    target, taken = table.sum(axis=0) * params.fraction, np.zeros(table.shape[1])
    first_drawn = np.full(len(table), len(groups))
    np.minimum.at(first_drawn, groups[order], np.arange(len(groups)))
    chosen = np.zeros(len(table), dtype=bool)
    for group in np.lexsort((first_drawn, -table.sum(axis=1))):
        nearer = np.sum((taken + table[group] - target) ** 2) < np.sum((taken - target) ** 2)
        if nearer:
            chosen[group] = True
            taken += table[group]
    one_sided = bool((taken == 0).any() or (taken == table.sum(axis=0)).any())
    off = abs(float(taken.sum()) / len(groups) - params.fraction)
    if one_sided or off > min(params.fraction, 1 - params.fraction) / 2:
        raise StepError(
            f"column {params.group!r} has {len(table)} groups, too few or too large to come near fraction "
            f"{params.fraction} with every class on both sides; choose another fraction or a finer group",
            param="group",
            details={"groups": len(table), "largest_group_rows": int(table.sum(axis=1).max())},
        )
    return np.asarray(chosen[groups])


def _measurements(table: pa.Table, chosen: Mask, classes: Codes, params: Params) -> tuple[Measurement, ...]:
    sides = {"train": ~chosen, "test": chosen}
    rows = [
        Measurement(name="rows", value=int(mask.sum()), unit="rows", n=table.num_rows, slice={"side": side})
        for side, mask in sides.items()
    ]
    if not params.stratify:
        return tuple(rows)
    width = int(classes.max()) + 1
    shares = {side: np.bincount(classes[mask], minlength=width) / mask.sum() for side, mask in sides.items()}
    labels = [str(table.column(params.stratify)[int(np.argmax(classes == code))].as_py()) for code in range(width)]
    rows.extend(
        Measurement(
            name="class_share",
            value=float(shares[side][code]),
            n=int(mask.sum()),
            slice={"side": side, params.stratify: labels[code]},
        )
        for side, mask in sides.items()
        for code in range(width)
    )
    gap = float(np.max(np.abs(shares["train"] - shares["test"])))
    rows.append(Measurement(name="class_share_gap_max", value=gap, direction="lower_is_better", n=table.num_rows))
    return tuple(rows)


STEP = Step(
    id="split.holdout@1",
    title="Split into train and test",
    help="Draws a seeded test set; class shares can be kept on both sides and groups kept whole.",
    params=Params,
    run=run,
    inputs={"table": Port("table", "the rows to split")},
    outputs={"train": Port("table", "rows to learn from"), "test": Port("table", "rows to judge by")},
)
