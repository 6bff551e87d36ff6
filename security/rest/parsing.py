"""Request bodies: strict JSON with the place of what is wrong in it, and text that a service parses itself."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from rest_framework.parsers import BaseParser

from security.errors import ServiceError

MAX_DEPTH = 64


class MalformedError(ServiceError):
    """The body cannot be read; ``extra`` has line and column, counted from 1, where they are known."""

    status = 400
    slug = "malformed-body"
    title = "The body cannot be read"


class JsonParser(BaseParser):
    """RFC 8259 JSON as RFC 7493 (I-JSON) narrows it: UTF-8, no duplicate names, no lone surrogates, finite numbers.

    Also refused: NUL in a text (no database keeps it) and nesting beyond ``MAX_DEPTH``.
    """

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        return loads(stream.read())


class TextParser(BaseParser):
    """The body as ``{"text": bytes}``, for a service that reads it."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        return {"text": stream.read()}


class YamlParser(TextParser):
    media_type = "application/yaml"


class TextYamlParser(TextParser):
    media_type = "text/yaml"


class BytesParser(BaseParser):
    """The body as ``{"stream": file}``, unread."""

    media_type = "application/octet-stream"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        return {"stream": stream}


def loads(content: bytes) -> Any:
    """Parse a JSON body. Raises MalformedError with line and column."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        _refuse("the body is not UTF-8", before.count("\n") + 1, len(before) - before.rfind("\n"))
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_float=_number, parse_constant=_constant, parse_int=_integer
        )
    except json.JSONDecodeError as error:
        _refuse(f"{error.msg[:1].lower()}{error.msg[1:]}", error.lineno, error.colno)
    except RecursionError:
        _refuse("values are nested too deep")
    _check(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        _refuse(f"the name {twice.encode('ascii', 'backslashreplace').decode()[:60]!r} is given twice in one object")
    return found


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        _refuse("a number is beyond what a double carries")
    return value


def _integer(text: str) -> int:
    if len(text) > 40:
        _refuse("a number has more digits than any number here can have")
    return int(text)


def _constant(text: str) -> NoReturn:
    _refuse(f"{text} is not JSON; use null")


def _check(value: Any) -> None:
    """Depth and texts, without recursion."""
    open_values = [(value, 1)]
    while open_values:
        item, depth = open_values.pop()
        if depth > MAX_DEPTH:
            _refuse(f"values are nested more than {MAX_DEPTH} deep")
        if isinstance(item, dict):
            open_values += [(part, depth + 1) for pair in item.items() for part in pair]
        elif isinstance(item, list):
            open_values += [(part, depth + 1) for part in item]
        elif isinstance(item, str) and ("\0" in item or any("\ud800" <= sign <= "\udfff" for sign in item)):
            _refuse("a text holds NUL or half of a surrogate pair")


def _refuse(message: str, line: int | None = None, column: int | None = None) -> NoReturn:
    where = f" (line {line}, column {column})" if line else ""
    extra = {"line": line, "column": column} if line else {}
    raise MalformedError(f"The body is not acceptable JSON: {message}{where}.", extra=extra) from None
