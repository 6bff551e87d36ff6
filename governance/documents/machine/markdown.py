"""CommonMark in which everything that people wrote is text: no link, no image, no HTML, no emphasis of theirs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from governance.documents import visible

# What means something within a line (CommonMark, and the tables, links and formulas of GitHub and of hubs), what begins
# an address that is made a link by itself, and what begins a list at the start.
_SIGNS = re.compile(r"([\\`*_{}\[\]<>#!|~$&@]|:(?=//)|(?<=www)\.|^[-+=]|(?<=^\d)[.)])")


def text(value: str) -> str:
    """One line of text: white space together, signs that mean something escaped (CommonMark §2.4)."""
    return _SIGNS.sub(r"\\\1", " ".join(visible.for_screen(value).split()))


def document(outline: Mapping[str, Any]) -> str:
    """An outline as Markdown: tables in the form of GitHub, signatures as lists."""
    lines = [f"# {text(outline['title'])}", "", text(outline["lead"]), "", *_facts(outline["head"])]
    for section in outline["sections"]:
        lines += ["", f"## {text(section['title'])}"]
        for part in section["parts"]:
            lines += ["", *_PARTS[part["type"]](part)]
    return "\n".join([*lines, "", text(outline["mark"]), ""])


def _facts(rows: list[list[str]]) -> list[str]:
    return _table(["", ""], [row[:2] for row in rows])


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads)]
    return [f"| {' | '.join(line)} |" for line in [*lines, *([text(cell) for cell in row] for row in rows)]]


def _of_table(part: Mapping[str, Any]) -> list[str]:
    heads = [text(one["title"]) for one in part["columns"]]
    rows = [[cell if isinstance(cell, str) else cell[0] for cell in row] for row in part["rows"]]
    return _table(heads, rows)


def _signatures(part: Mapping[str, Any]) -> list[str]:
    return [
        f"- {text(one['name'])}: {text(one['meaning'])} (as {text(one['role'])}, {text(one['time'])} UTC). "
        f"{text(one['reason'])} {text(one['digest'])}"
        for one in part["rows"]
    ]


_PARTS = {
    "text": lambda part: [text(part["text"])],
    "note": lambda part: [f"> {text(part['text'])}"],
    "facts": lambda part: _facts(part["rows"]),
    "table": _of_table,
    "signatures": _signatures,
}
