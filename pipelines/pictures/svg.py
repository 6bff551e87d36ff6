"""Writing SVG as text: escaping, numbers, text widths and links that cannot run code."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from html import escape
from itertools import chain
from typing import NewType

Svg = NewType("Svg", str)  # markup that is already escaped

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CLASS = re.compile(r"[^a-z0-9_-]+")
_NARROW, _WIDE = set("fijlrtI.,:;'|!()[]{}/ -"), set("mwMW@%&")


def text(value: str) -> Svg:
    """Text for an element or attribute; characters that XML does not have become U+FFFD."""
    return Svg(escape(_NOT_XML.sub("\ufffd", value), quote=True))


def number(value: float) -> str:
    """At most two decimals and no trailing zeros, so that pictures are small and the same everywhere."""
    rounded = round(value, 2) + 0.0
    return str(int(rounded)) if rounded == int(rounded) else f"{rounded:.2f}".rstrip("0")


def element(tag: str, *children: Svg, **attributes: str | float | None) -> Svg:
    """One element. ``class_`` is ``class`` and other underscores are hyphens; ``None`` leaves an attribute out."""
    parts = [
        f' {key.rstrip("_").replace("_", "-")}="{text(value) if isinstance(value, str) else number(value)}"'
        for key, value in attributes.items()
        if value is not None
    ]
    inner = "".join(children)
    return Svg(f"<{tag}{''.join(parts)}>{inner}</{tag}>" if inner else f"<{tag}{''.join(parts)}/>")


def label(content: str, x: float, y: float, class_: str, anchor: str | None = None) -> Svg:
    """A line of text with its baseline at ``y``; ``anchor`` is ``middle`` or ``end``."""
    return element("text", text(content), x=x, y=y, class_=class_, text_anchor=anchor)


def group(children: Iterable[Svg], **attributes: str | float | None) -> Svg:
    """A ``<g>``, or nothing around nothing."""
    content = list(children)
    return element("g", *content, **attributes) if content else Svg("")


def document(
    children: Iterable[Svg],
    *,
    width: float,
    height: float,
    title: str,
    description: str,
    class_: str,
    role: str = "img",
) -> str:
    """The whole picture. The title is its accessible name, the description follows it; both are also tooltips."""
    return element(
        "svg",
        element("title", text(title)),
        *([element("desc", text(description))] if description else []),
        *chain(children),
        xmlns="http://www.w3.org/2000/svg",
        class_=class_,
        role=role,
        aria_label=f"{title}. {description}" if description else title,
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=width,
        height=height,
    )


def safe_href(href: str) -> str:
    """A link within the site or to the web.

    :raises ValueError: any other scheme, or ``//host``: a picture is no place for ``javascript:``.
    """
    if re.match(r"(https?://|/(?![/\\])|[#?])", href) and not re.search(r"[\x00-\x20\\]", href):
        return href
    raise ValueError("a link in a picture begins with /, #, ?, http:// or https://")


def slug(value: str) -> str:
    """A word for a class name."""
    return _CLASS.sub("-", value.lower()).strip("-")


def text_width(content: str, size: float = 13) -> float:
    """About how wide the text is in pixels at a font size in pixels (sans serif; a little generous)."""
    return size * sum(_character_width(character) for character in content)


def _character_width(character: str) -> float:
    if character in _NARROW:
        return 0.36
    if character in _WIDE:
        return 0.92
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in {"W", "F"}:
        return 1.05
    return 0.7 if character.isupper() else 0.58


def shortened(content: str, width: float, size: float = 13) -> str:
    """The text on one line, cut with an ellipsis to fit ``width`` pixels."""
    content = " ".join(content.split())
    if text_width(content, size) <= width:
        return content
    kept, room = "", width - text_width("…", size)
    for character in content:
        room -= _character_width(character) * size
        if room < 0:
            break
        kept += character
    return kept.rstrip() + "…"


def finite(value: float | None) -> bool:
    """Whether there is a number to draw."""
    return value is not None and math.isfinite(value)
