"""YAML text in, plain JSON-like data and the position of every value out; nothing in the text is ever executed.

What is accepted is YAML 1.2's core schema on top of libyaml's event stream: no object construction, no anchors and
aliases (so nothing can expand), no second document, no duplicate key, bounded size, depth and number of values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from pipelines.spec.errors import SpecError, SpecErrors

MAX_BYTES = 2**20
MAX_DEPTH = 32
TOO_DEEP = f"values are nested more than {MAX_DEPTH} deep"
MAX_VALUES = 50_000
MAX_INTEGER = 2**53 - 1  # what JSON numbers carry exactly (RFC 8785, section 3.2.2.3)
_FLOAT_NOTATION = 1e21  # from here on the canonical form writes an exponent

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

Path = tuple[str | int, ...]


class Position(NamedTuple):
    """Where something begins; both count from 1."""

    line: int
    column: int


_BEGINNING = Position(1, 1)


@dataclass(frozen=True)
class Document:
    """The data of a specification and where each part of it stands in the text."""

    data: Any
    values: Mapping[Path, Position]
    keys: Mapping[Path, Position]

    def at(self, path: Path) -> Position:
        """Where the value at ``path`` begins; for one that is not there, where what should hold it begins."""
        while path and path not in self.values:
            path = path[:-1]
        return self.values[path]

    def key(self, path: Path) -> Position:
        """Where the key of ``path`` stands (its value where it has none, as in a list)."""
        return self.keys.get(path) or self.at(path)


def parse(text: bytes | str) -> Document:
    """Parse one YAML (or JSON) document.

    :raises SpecErrors: too large, not UTF-8, malformed, aliased, tagged, duplicated or nested beyond the limits; the
        error names line and column.
    """
    content = _decoded(text)
    composer = _Composer()
    loader = _Loader(content)
    try:
        while loader.check_event():
            composer.take(loader.get_event())
    except yaml.YAMLError as problem:
        raise SpecErrors([_malformed(problem)]) from None
    finally:
        loader.dispose()
    if not composer.started:
        raise SpecErrors([SpecError("the document is empty", 1, 1, hint="a specification begins with apiVersion")])
    return Document(composer.root, composer.values, composer.keys)


def _decoded(text: bytes | str) -> str:
    """The text as one string of printable characters, with plain newlines and no byte order mark."""
    size = len(text)
    if isinstance(text, str) and size <= MAX_BYTES:
        size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise _refused(
            f"the document has {size:,} bytes, more than the {MAX_BYTES:,} that are allowed",
            hint="a specification names data, it does not hold it",
        )
    content = _utf8(text) if isinstance(text, bytes) else text
    content = content.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if bad := _UNPRINTABLE.search(content):
        where = _position(content, bad.start())
        raise _refused(
            f"character U+{ord(bad.group()):04X} is not allowed", where, hint="write it as an escape in double quotes"
        )
    return content


def _utf8(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as problem:
        where = _position(text[: problem.start].decode("utf-8"), problem.start)
        raise _refused("the document is not UTF-8", where, hint="save it as UTF-8") from None


def _position(content: str, offset: int) -> Position:
    before = content[:offset]
    return Position(before.count("\n") + 1, len(before) - before.rfind("\n"))


def _refused(message: str, where: Position = _BEGINNING, *, hint: str = "") -> SpecErrors:
    return SpecErrors([SpecError(message, where.line, where.column, hint=hint)])


def _malformed(problem: yaml.YAMLError) -> SpecError:
    mark = getattr(problem, "problem_mark", None) or getattr(problem, "context_mark", None)
    what = getattr(problem, "problem", None) or "it cannot be read"
    if "maximum nesting depth" in what:  # the scanner looks ahead, so its own limit can be met before ours
        return _refused(TOO_DEEP, _start(mark) if mark else _BEGINNING).errors[0]
    context = getattr(problem, "context", None)
    message = f"malformed YAML: {what}" + (f" {context}" if context else "")
    where = _start(mark) if mark else _BEGINNING
    hint = next((hint for words, hint in _MENDING.items() if words in message), "")
    return SpecError(message, where.line, where.column, hint=hint)


_MENDING = {
    "expected <block end>": "look at the indentation of this line",
    "mapping values are not allowed": "look at the indentation, or put a text that contains a colon in quotes",
    "did not find expected key": "look at the indentation of this line",
    "cannot start any token": "indent with spaces, and put a text that begins with a sign in quotes",
    "invalid Unicode character escape": "write a character beyond U+FFFF itself or as one \\U escape of eight digits",
}


def _start(mark: Any) -> Position:
    return Position(mark.line + 1, mark.column + 1)


@dataclass
class _Open:
    """A mapping or list that is still being read."""

    container: dict[str, Any] | list[Any]
    path: Path
    key: str | None = None


@dataclass
class _Composer:
    """Builds the data from parse events; it never recurses, so depth costs nothing but the limit's own check."""

    root: Any = None
    started: bool = False
    values: dict[Path, Position] = field(default_factory=dict)
    keys: dict[Path, Position] = field(default_factory=dict)
    stack: list[_Open] = field(default_factory=list)

    def take(self, event: Any) -> None:
        """Take the next event of the stream."""
        if isinstance(event, yaml.DocumentStartEvent):
            self._document(event)
        elif isinstance(event, yaml.AliasEvent):
            raise _refused(f"alias *{event.anchor} is not allowed", _start(event.start_mark), hint=_SPELL_OUT)
        elif isinstance(event, yaml.NodeEvent):
            self._node(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self.stack.pop()

    def _document(self, event: Any) -> None:
        if self.started:
            raise _refused(
                "a second document begins here", _start(event.start_mark), hint="one file holds one specification"
            )
        self.started = True

    def _node(self, event: Any) -> None:
        where = _start(event.start_mark)
        if event.anchor is not None:
            raise _refused(f"anchor &{event.anchor} is not allowed", where, hint=_SPELL_OUT)
        if len(self.values) >= MAX_VALUES:
            raise _refused(f"the document holds more than {MAX_VALUES:,} values", where)
        if self.stack and isinstance(self.stack[-1].container, dict) and self.stack[-1].key is None:
            self._key(event, where)
        elif isinstance(event, yaml.ScalarEvent):
            self._place(_scalar(event, where), where)
        else:
            self._open(event, where)

    def _key(self, event: Any, where: Position) -> None:
        """A key must be text and must be new: a second one would silently replace the first."""
        top = self.stack[-1]
        key = _scalar(event, where) if isinstance(event, yaml.ScalarEvent) else None
        if not isinstance(key, str):
            raise _refused("a key must be text", where, hint="put it in quotes")
        if key == "<<" and event.implicit[0]:
            raise _refused("merge keys (<<) are not allowed", where, hint=_SPELL_OUT)
        path = (*top.path, key)
        if path in self.keys:
            raise _refused(
                f"key {_short(key)} is given twice", where, hint=f"the first is on line {self.keys[path].line}"
            )
        self.keys[path] = where
        top.key = key

    def _open(self, event: Any, where: Position) -> None:
        if len(self.stack) >= MAX_DEPTH:
            raise _refused(TOO_DEEP, where)
        kind = "map" if isinstance(event, yaml.MappingStartEvent) else "seq"
        if event.tag not in {None, "!", _CORE + kind}:
            raise _refused(f"tag {_short(event.tag)} is not allowed", where, hint="only plain YAML values are read")
        container: dict[str, Any] | list[Any] = {} if kind == "map" else []
        path = self._place(container, where)
        self.stack.append(_Open(container, path))

    def _place(self, value: Any, where: Position) -> Path:
        """Put a value where it belongs and remember its position."""
        path: Path = ()
        if not self.stack:
            self.root = value
        else:
            top = self.stack[-1]
            if isinstance(top.container, dict):
                assert top.key is not None  # noqa: S101 - _node sends keys to _key first
                path, top.container[top.key], top.key = (*top.path, top.key), value, None
            else:
                path = (*top.path, len(top.container))
                top.container.append(value)
        self.values[path] = where
        return path


_SPELL_OUT = "write the values out: anchors, aliases and merges can expand without bound"


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _scalar(event: Any, where: Position) -> Any:
    """The value of a scalar by YAML 1.2's core schema: ``yes``, ``on``, ``1_000`` and dates are text."""
    tag, text = event.tag, event.value
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise _refused("half of a surrogate pair is not a character", where)
    if tag in {_CORE + "str", "!"} or (tag is None and not event.implicit[0]):
        return text
    value = _plain(text, where)
    if tag is None or tag in set(_tags(value)):
        return value
    known = tag in {_CORE + name for name in ("null", "bool", "int", "float")}
    message = f"this is not a value of {tag.removeprefix(_CORE)}" if known else f"tag {_short(tag)} is not allowed"
    raise _refused(message, where, hint="only plain YAML values are read")


def _tags(value: Any) -> Iterator[str]:
    names = {type(None): ("null",), bool: ("bool",), int: ("int", "float"), float: ("float",)}
    yield from (_CORE + name for name in names.get(type(value), ()))


def _plain(text: str, where: Position) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return _integer(text, where)
    if _FLOAT.fullmatch(text):
        return _number(float(text), where)
    if _NOT_FINITE.fullmatch(text):
        raise _refused("infinity and not-a-number cannot be written in JSON", where, hint="quote it to make it text")
    return text


def _integer(text: str, where: Position) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    if len(text) > 40 or abs(value := int(text[2:] if base != 10 else text, base)) > MAX_INTEGER:
        raise _refused(_TOO_LARGE, where, hint="quote it to make it text")
    return value


def _number(value: float, where: Position) -> int | float:
    """A number without a fraction is an integer, as JSON Schema and the canonical form have it."""
    if not math.isfinite(value):
        raise _refused(_TOO_LARGE, where, hint="quote it to make it text")
    if value.is_integer() and abs(value) < _FLOAT_NOTATION:
        return _integer(str(int(value)), where)
    return value


_TOO_LARGE = "this number is beyond what JSON numbers carry exactly"
