"""HTML: one file that needs nothing else, for reading and printing. It holds no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.template.loader import render_to_string

from governance.documents import visible
from security.canonical import digest_of

_ROWS = "<!-- rows -->"  # no text of a document can be this: the template escapes every one


def write(outline: Mapping[str, Any], facts: Mapping[str, Any]) -> bytes:
    """The page of an outline; every text in it is escaped by the template."""
    return _rendered(outline, facts).encode()


def around(
    outline: Mapping[str, Any], facts: Mapping[str, Any], *, title: str, heads: Sequence[str]
) -> tuple[bytes, bytes]:
    """What stands before and after the rows of a last table, which are streamed between the two."""
    before, _, after = _rendered(outline, facts, long={"title": title, "heads": heads}).partition(_ROWS)
    return before.encode(), after.encode()


def _rendered(outline: Mapping[str, Any], facts: Mapping[str, Any], long: Mapping[str, Any] | None = None) -> str:
    shown = visible.everywhere(dict(outline), visible.for_screen)
    for part in (part for section in shown["sections"] for part in section["parts"] if part["type"] == "table"):
        looks = [(one["kind"], one["align"]) for one in part["columns"]]
        part["cells"] = [[(*look, cell) for look, cell in zip(looks, row, strict=True)] for row in part["rows"]]
    context = {"outline": shown, "facts_digest": digest_of(facts), "long": long}
    return render_to_string("documents/document.html", context)
