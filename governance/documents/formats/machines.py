"""The formats that programs read, each one function of the facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from governance.documents.machine import huggingface, oscal
from security.canonical import canonical_json
from security.errors import ConflictError

Given = Mapping[str, Any]
Write = Callable[[Given, Callable[[Given], Given]], Iterable[bytes]]


def written(build: Callable[[Given], dict[str, Any]]) -> Write:
    """What ``build`` makes of the facts, as canonical JSON."""
    return lambda facts, outline: [canonical_json(build(facts))]


def hub_card(facts: Given, outline: Callable[[Given], Given]) -> list[bytes]:
    """A model card for a model hub."""
    return [huggingface.card(facts, outline(facts)).encode()]


def plan_of_action(facts: Given) -> dict[str, Any]:
    """The OSCAL plan of action. Raises ConflictError where there is nothing in it."""
    if not facts["content"]["open"]:
        raise ConflictError("Nothing is open, and a plan of action in OSCAL has at least one item: ask for it as JSON.")
    return oscal.plan_of_action(facts)
