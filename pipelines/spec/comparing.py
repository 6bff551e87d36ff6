"""What changed between two specifications, for the side-by-side page and the API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pipelines.spec.canonical import normalised
from pipelines.spec.model import PipelineSpec, same

_ABSENT: Any = object()


@dataclass(frozen=True)
class Change:
    """One difference. ``path`` is dotted, with steps and run parameters by name; ``step`` is set below a step."""

    path: str
    kind: Literal["added", "removed", "changed"]
    before: Any = None
    after: Any = None
    step: str = ""


def compare(old: PipelineSpec, new: PipelineSpec) -> list[Change]:
    """Every difference, in reading order: metadata, run parameters, steps as the new one has them, then removed ones.

    Empty exactly when both have the same digest.
    """
    before, after = normalised(old), normalised(new)
    changes = list(_maps("metadata", before.get("metadata", {}), after.get("metadata", {})))
    changes += _maps("parameters", before.get("parameters", {}), after.get("parameters", {}))
    return changes + list(_steps(before["steps"], after["steps"]))


def _steps(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterator[Change]:
    old, new = ({step["name"]: step for step in steps} for steps in (before, after))
    for name in [*new, *(gone for gone in old if gone not in new)]:
        path = f"steps.{name}"
        for change in _values(path, old.get(name, _ABSENT), new.get(name, _ABSENT)):
            yield Change(change.path, change.kind, change.before, change.after, name)
    orders = [[name for name in steps if name in old and name in new] for steps in (old, new)]
    if orders[0] != orders[1]:
        yield Change("steps", "changed", orders[0], orders[1])


def _values(path: str, before: Any, after: Any) -> Iterator[Change]:
    if before is _ABSENT:
        yield Change(path, "added", None, after)
    elif after is _ABSENT:
        yield Change(path, "removed", before, None)
    elif isinstance(before, dict) and isinstance(after, dict):
        yield from _maps(path, before, after)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (left, right) in enumerate(zip(before, after, strict=True)):
            yield from _values(f"{path}[{index}]", left, right)
    elif not same(before, after):
        yield Change(path, "changed", before, after)


def _maps(path: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Change]:
    for key in [*after, *(gone for gone in before if gone not in after)]:
        yield from _values(f"{path}.{key}", before.get(key, _ABSENT), after.get(key, _ABSENT))
