"""A policy as text: YAML in, a policy or errors with line and field out; and back. Pure.

The text is read as specifications of pipelines are (``pipelines.spec.loading``): nothing in it is executed or expands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from governance.frameworks import evidence_kinds
from governance.policy import Policy, beyond_limits
from pipelines.spec.errors import SpecError, SpecErrors, did_you_mean
from pipelines.spec.loading import Document, Path, parse
from pipelines.spec.messages import Finding, dotted, findings

MAX_TEXT = 64 * 1024
_KEYED = ("kind", "id", "role", "text")


@dataclass(frozen=True)
class Change:
    """One difference between two policies: where, what stood there and what stands there now (empty: nothing)."""

    path: str
    before: str
    after: str


def policy_of(text: bytes | str) -> Policy:
    """The policy that a text holds.

    Raises SpecErrors, each error with line, column and field: not YAML, not a policy, evidence of a kind that nothing
    makes, or more than its tier may allow.
    """
    if len(text) > MAX_TEXT:
        raise SpecErrors([SpecError(f"a policy has at most {MAX_TEXT:,} characters; this has {len(text):,}", 1, 1)])
    document = parse(text)
    if errors := [_placed(document, one) for one in findings(Policy, document.data, _schema())]:
        raise SpecErrors(errors)
    policy = Policy.model_validate(document.data)
    if errors := list(_beyond_shape(document, policy)):
        raise SpecErrors(errors)
    return policy


def text_of(policy: Policy) -> str:
    """The policy as YAML that ``policy_of`` reads back as the same policy; what is not said is left out."""
    content = policy.model_dump(mode="json", exclude_defaults=True)
    return str(yaml.safe_dump({"format": policy.format, **content}, sort_keys=False, allow_unicode=True, width=100))


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Every difference between two contents; entries of lists are told apart by kind, id, role or text."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    return [
        Change(path, old.get(path, ""), new.get(path, ""))
        for path in dict.fromkeys([*old, *new])
        if old.get(path) != new.get(path)
    ]


@cache
def _schema() -> dict[str, Any]:
    return Policy.model_json_schema()


def _placed(document: Document, finding: Finding) -> SpecError:
    """The finding with its place in the text."""
    where = document.key(finding.path) if finding.extra else document.at(finding.path)
    return SpecError(finding.message, where.line, where.column, parameter=dotted(finding.path), hint=finding.hint)


def _beyond_shape(document: Document, policy: Policy) -> Iterator[SpecError]:
    """What a policy's shape cannot say: known kinds of evidence, and the limits of its tier."""
    if policy.format == 1:
        yield _error(document, ("format",), "a new policy is of format 2", "write format: 2 and a name")
    for number, requirement in enumerate(policy.evidence):
        if requirement.kind not in evidence_kinds():
            hint = did_you_mean(requirement.kind, evidence_kinds())
            yield _error(document, ("evidence", number, "kind"), "there is no such kind of evidence", hint)
    for field, message in beyond_limits(policy):
        yield _error(document, tuple(field.split(".")), message)


def _error(document: Document, path: Path, message: str, hint: str = "") -> SpecError:
    where = document.at(path)
    return SpecError(message, where.line, where.column, parameter=dotted(path), hint=hint)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, value as text) of everything that is not a mapping or list."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{_name(inner, number)}]")
    elif value is not None:
        yield path, str(value)


def _name(entry: Any, number: int) -> str:
    found = next((entry[key] for key in _KEYED if key in entry), number) if isinstance(entry, Mapping) else number
    return str(found)
