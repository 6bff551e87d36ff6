"""Pydantic's findings in the words of the specification: which path, what is wrong, what would be right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, to_json

from pipelines.spec.errors import MAX_ERRORS, did_you_mean
from pipelines.spec.loading import Path
from pipelines.spec.model import PATTERN_HINTS, described
from pipelines.spec.schema import properties_at

_EXPECTED = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "an integer"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("string_type", "string_sub_type"), "text"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "a list"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type", "mapping_type"), "a mapping"),
    "none_required": "nothing (null)",
}
_NUMERIC = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "multiple_of", "finite_number")


@dataclass(frozen=True)
class Finding:
    """One problem. ``path`` ends in the offending or missing name; ``missing`` and ``extra`` say which it is."""

    path: Path
    message: str
    hint: str = ""
    missing: bool = False
    extra: bool = False


def findings(model: type[BaseModel], data: Any, schema: Mapping[str, Any]) -> list[Finding]:
    """Every problem that ``model`` has with JSON-like ``data``, strictly (the text "5" is not the number 5).

    ``schema`` is the model's JSON Schema; it is asked for the names that exist where an unknown one was given.
    """
    try:
        model.model_validate_json(to_json(data), strict=True)
    except ValidationError as problem:
        details = problem.errors(include_url=False)[:MAX_ERRORS]
        return merged(_finding(error, data, schema) for error in details if not _only_follows(error))
    return []


def merged(found: Iterable[Finding]) -> list[Finding]:
    """One finding per path: the alternatives of a union are joined with “or”."""
    by_path: dict[Path, Finding] = {}
    for finding in found:
        first = by_path.setdefault(finding.path, finding)
        if finding.message not in first.message:
            joined = f"{first.message}, or {finding.message}"
            by_path[finding.path] = Finding(first.path, joined, first.hint or finding.hint, first.missing, first.extra)
    return list(by_path.values())


def dotted(path: Path) -> str:
    """``("rules", 0, "min")`` → ``rules[0].min``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _finding(error: ErrorDetails, data: Any, schema: Mapping[str, Any]) -> Finding:
    kind, loc = error["type"], error["loc"]
    if kind == "missing":
        return Finding((*_walk(loc[:-1], data), str(loc[-1])), "is missing", missing=True)
    path = _walk(loc, data)
    if kind == "extra_forbidden":
        known = properties_at(schema, path[:-1])
        return Finding(path, "is not known here", did_you_mean(str(path[-1]), known), extra=True)
    if kind == "union_tag_invalid":
        return Finding((*path, error["ctx"]["discriminator"].strip("'")), _message(error))
    if loc and loc[-1] == "[key]":
        return Finding(path, f"is not a name that can be used here: it {_message(error)}", _hint(error), extra=True)
    return Finding(path, _message(error), _hint(error))


def _only_follows(error: ErrorDetails) -> bool:
    """A list counts as too short when its items are wrong; the items have their own errors."""
    return error["type"] == "too_short" and len(error["input"]) >= error["ctx"]["min_length"]


def _walk(loc: Iterable[str | int], data: Any) -> Path:
    """The part of pydantic's location that exists in the data (it also names union branches and validators)."""
    path: list[str | int] = []
    for part in loc:
        inside = part in data if isinstance(data, dict) else isinstance(data, list) and isinstance(part, int)
        if inside:
            data = data[part]
            path.append(part)
    return tuple(path)


def _message(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _EXPECTED:
        return f"should be {_EXPECTED[kind]}, found {described(error['input'])}"
    if kind == "value_error":
        return f"is wrong: {context['error']}"
    if kind in {"literal_error", "enum", "union_tag_invalid"}:
        return f"should be {context.get('expected') or context['expected_tags']}, {_found(error)}"
    if kind == "string_pattern_mismatch":
        return f"should match {context['pattern']}"
    if kind in {"too_short", "too_long"}:
        limit = f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
        return f"should have {limit} entries"
    message = error["msg"].replace("Input should", "should").replace("String should", "should")
    if kind in _NUMERIC:
        message += f", found {described(error['input'])}"
    return message


def _found(error: ErrorDetails) -> str:
    return "found another word" if isinstance(error["input"], str | dict) else f"found {described(error['input'])}"


def _hint(error: ErrorDetails) -> str:
    value, kind = error["input"], error["type"]
    if kind in {"bool_type", "bool_parsing"} and str(value).lower() in {"yes", "no", "on", "off"}:
        return "yes, no, on and off are text in YAML 1.2: write true or false"
    if kind == "string_pattern_mismatch":
        return PATTERN_HINTS.get(error["ctx"]["pattern"], "")
    if isinstance(value, str) and kind.startswith(("int_", "float_")) and value.strip():
        return "write a number without quotes"
    return ""
