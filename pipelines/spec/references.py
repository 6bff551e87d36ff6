"""``${name}`` in the values of a step: found, checked and replaced by run parameters.

A string that is nothing but ``${name}`` becomes the parameter's value with its type; inside longer text the value is
formatted as JSON would print it (text without quotes); ``$${`` is a literal ``${``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import rfc8785

from pipelines.spec.loading import Path

_TOKEN = re.compile(r"\$\$\{|\$\{([a-z][a-z0-9_-]{0,62})\}|\$\{")
_WHOLE = re.compile(r"\$\{([a-z][a-z0-9_-]{0,62})\}")

Scalar = str | int | float | bool


def strings(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every text inside a value with its path. Keys are not searched."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from strings(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from strings(inner, (*path, index))


def names(text: str) -> list[str]:
    """The run parameters a text refers to."""
    return [match[1] for match in _TOKEN.finditer(text) if match[1]]


def malformed(text: str) -> bool:
    """Whether the text has a ``${`` that is neither a reference nor escaped."""
    return any(match.group() == "${" for match in _TOKEN.finditer(text))


def substitute(value: Any, parameters: Mapping[str, Scalar]) -> Any:
    """The value with every reference to a known parameter replaced; unknown ones stay as they are written."""
    if isinstance(value, str):
        whole = _WHOLE.fullmatch(value)
        if whole and whole[1] in parameters:
            return parameters[whole[1]]
        return _TOKEN.sub(lambda match: _replacement(match, parameters), value)
    if isinstance(value, dict):
        return {key: substitute(inner, parameters) for key, inner in value.items()}
    if isinstance(value, list):
        return [substitute(inner, parameters) for inner in value]
    return value


def _replacement(match: re.Match[str], parameters: Mapping[str, Scalar]) -> str:
    if match.group() == "$${":
        return "${"
    if match[1] not in parameters:
        return match.group()
    value = parameters[match[1]]
    return value if isinstance(value, str) else rfc8785.dumps(value).decode()
