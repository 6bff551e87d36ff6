"""The registry of steps: every module in this folder that defines ``STEP`` is one entry.

An installation adds its own by naming their packages in the environment: ``COUNTERSIGN_STEP_PACKAGES=bank.steps``
(several separated by commas). They keep the same contract and run in the same child processes.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from pipelines.steps.contract import Step

_ID = re.compile(r"[a-z]+\.[a-z0-9_]+@[1-9][0-9]*")


class DuplicateStepError(RuntimeError):
    """Two files claim one step id."""


def collect(package: str = __name__) -> dict[str, Step]:
    """Import every module of ``package`` and gather its ``STEP``.

    Raises DuplicateStepError when two files share an id and ValueError when an id is malformed.
    """
    folder = importlib.import_module(package).__path__
    found: dict[str, Step] = {}
    for info in sorted(pkgutil.iter_modules(folder), key=lambda item: item.name):
        step = getattr(importlib.import_module(f"{package}.{info.name}"), "STEP", None)
        if not isinstance(step, Step):
            continue
        if not _ID.fullmatch(step.id):
            raise ValueError(f"{package}.{info.name}: step id {step.id!r} is not of the form family.name@1")
        if step.id in found:
            raise DuplicateStepError(f"{package}.{info.name}: step id {step.id!r} is already taken")
        found[step.id] = step
    return found


@cache
def registry() -> Mapping[str, Step]:
    """All steps by id, with those of added packages; imported once per process, on first use.

    Raises DuplicateStepError when an added package claims an id that exists.
    """
    found = collect()
    for package in filter(None, os.environ.get("COUNTERSIGN_STEP_PACKAGES", "").split(",")):
        added = collect(package.strip())
        if taken := sorted(set(found) & set(added)):
            raise DuplicateStepError(f"{package}: step id {taken[0]!r} is already taken")
        found.update(added)
    return MappingProxyType(found)
