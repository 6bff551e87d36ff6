"""The parts that every document is made of, and how figures are written in them. Pure.

An outline is JSON: ``title``, ``lead``, ``running`` (head of each page), ``mark`` (foot of each page), ``head`` (rows
of facts) and ``sections``; a section has a title and parts; every value is text, whatever people wrote in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Part = dict[str, Any]
NOT_ON_RECORD = "Not on record."
_WORDS = {"pass": "pass", "fail": "fail", "inconclusive": "inconclusive"}


def text(value: str) -> Part:
    """A paragraph."""
    return {"type": "text", "text": value}


def note(value: str, tone: str = "none") -> Part:
    """A remark; ``tone``: pass, fail, inconclusive or none."""
    return {"type": "note", "text": value, "tone": tone}


def facts(rows: Iterable[Sequence[str]]) -> Part:
    """Terms and values; a third member ``mono`` sets a digest or an id."""
    return {"type": "facts", "rows": [list(row) for row in rows]}


def column(title: str, width: int = 1, *, kind: str = "text", align: str = "start") -> dict[str, Any]:
    """A column of a table: ``width`` as a share, ``kind`` text, mono or verdict, ``align`` start or end."""
    return {"title": title, "width": width, "kind": kind, "align": align}


def table(columns: Sequence[dict[str, Any]], rows: Iterable[Sequence[Any]], *, empty: str = NOT_ON_RECORD) -> Part:
    """A table; a cell of a verdict column is what ``verdict`` gives. Without rows it is the sentence ``empty``."""
    found = [list(row) for row in rows]
    return {"type": "table", "columns": list(columns), "rows": found} if found else text(empty)


def signatures(rows: Iterable[dict[str, str]], *, empty: str) -> Part:
    """Signatures with printed name, time and meaning (21 CFR 11.50)."""
    found = list(rows)
    return {"type": "signatures", "rows": found} if found else text(empty)


def section(title: str, *parts: Part) -> dict[str, Any]:
    return {"title": title, "parts": list(parts)}


def verdict(name: str) -> list[str]:
    """A verdict's word and tone; one that does not exist is no pass."""
    word = _WORDS.get(name, "none")
    return [word if word != "none" else "no verdict", word]


def document(title: str, lead: str, given: Mapping[str, Any], sections: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The outline of a document about ``given``, its facts: what stands on top of it says who asked, when and why."""
    system, log = given["system"], given["log"]
    head = [
        ["System", f"{system['name']} ({system['slug']}), {system['tier']} risk"],
        ["Made", f"{moment(given['made_at'])} for {given['requested_by']['name']}"],
        ["Purpose of this copy", given["purpose"]],
        ["Audit log at that time", f"{figure(log['size'])} entries under the root"],
        ["Root", log["root"], "mono"],
    ]
    return {
        "title": title,
        "lead": lead,
        "running": f"{title} · {system['slug']}",
        "mark": f"export {given['export']} · {given['made_at'][:10]}",
        "head": head,
        "sections": list(sections),
    }


def moment(stamp: str) -> str:
    """``2026-11-21T06:50:48.123456Z`` as ``2026-11-21 06:50:48 UTC``; empty as a dash."""
    return f"{stamp[:10]} {stamp[11:19]} UTC" if stamp else "–"


def day(stamp: str) -> str:
    """The date of a time stamp; empty as a dash."""
    return stamp[:10] or "–"


def figure(value: float | None) -> str:
    """A number with separators: whole numbers bare, others with three to four telling digits."""
    if value is None:
        return "–"
    if float(value).is_integer():
        return f"{value:,.0f}".replace("-", "−")
    size = abs(value)
    if size < 0.0005:
        return f"{value:.1e}".replace("-", "−")
    decimals = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 10 else 3
    return f"{value:,.{decimals}f}".replace("-", "−")


def measured(one: Mapping[str, Any]) -> str:
    """A measurement as ``0.871 [0.862, 0.880], n = 9,769``, or why there is no value."""
    if one["value"] is None:
        return f"not measured: {one.get('note') or 'no reason given'}"
    unit = "" if one["unit"] in ("fraction", "ratio", "") else f" {one['unit']}"
    interval = one.get("interval")
    bounds = f" [{figure(interval['low'])}, {figure(interval['high'])}]" if interval else ""
    return f"{figure(one['value'])}{unit}{bounds}, n = {figure(one['n'])}"


def group(one: Mapping[str, Any]) -> str:
    """The group that a measurement was made on: ``sex = Female``; all rows without one."""
    return ", ".join(f"{name} = {value}" for name, value in sorted((one.get("slice") or {}).items())) or "all rows"


def words(kind: str) -> str:
    """``Holdout metrics`` for ``holdout_metrics``."""
    return kind.replace("_", " ").replace("-", " ").strip().capitalize().replace("Pii", "PII")


def listed(names: Iterable[str], *, empty: str = "nobody") -> str:
    """Names with commas."""
    return ", ".join(names) or empty
