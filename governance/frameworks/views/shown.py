"""Controls, states and matrices as the parts of a page want them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import mark_safe

from governance.frameworks.models import Catalogue, Control, Group
from governance.frameworks.selectors.covering import Cell, Covered, Item
from governance.frameworks.states import STATES
from governance.views.shown import kind_text, support_item
from pipelines.models import Evidence
from security.access.models import AISystem

# state → (colour class, sign in a matrix, word)
LOOKS = {
    "satisfied": ("pass", "✓", "Satisfied"),
    "partial": ("inconclusive", "◐", "Partly"),
    "needs-attestation": ("accent", "✎", "A person’s word"),
    "missing": ("open", "○", "Missing"),
    "not-applicable": ("neutral", "–", "Does not apply"),
}
STATE_CHOICES = [(state, LOOKS[state][2]) for state in STATES]
_VIA = ", through a crosswalk"


def badge(cell: Cell) -> dict[str, str]:
    """State and word of a cell, for a badge."""
    return {"state": cell.state, "word": LOOKS[cell.state][2] + (" (via)" if cell.via else "")}


def legend() -> list[dict[str, str]]:
    """What the signs of a matrix mean."""
    return [{"tone": tone, "sign": sign, "word": word} for tone, sign, word in LOOKS.values()]


def matrix_rows(
    catalogue: Catalogue, systems: Sequence[AISystem], picked: Sequence[tuple[int, Control]], rows: Sequence[list[Cell]]
) -> list[dict[str, Any]]:
    """One line for each picked control: its head, and all its cells as one piece of markup.

    A matrix has thousands of cells, of which a template would make a second; slugs and states are of known alphabets,
    and what is not (the ids of controls) is escaped here.
    """
    made = [_open_cell(system, catalogue) for system in systems]
    heads = group_heads(control for _, control in picked)
    lines = []
    for at, control in picked:
        tail = escape(quote(control.identifier, safe=""))
        cells = [f"{start}{tail}/{_ENDS[row[at].state, row[at].via]}" for start, row in zip(made, rows, strict=True)]
        lines.append({"control": control, "head": heads.get(control.pk), "cells": mark_safe("".join(cells))})  # noqa: S308 - built of escaped parts
    return lines


def _open_cell(system: AISystem, catalogue: Catalogue) -> str:
    return f'<td><a href="{escape(reverse("system-framework", args=[system.slug, catalogue.key]))}controls/'


def _end(state: str, via: bool) -> str:
    tone, sign, word = LOOKS[state]
    says = word + (_VIA if via else "")
    css = f"mark tone-{tone}" + (" via" if via else "")
    return f'" class="{css}" title="{escape(says)}" aria-label="{escape(says)}">{sign}</a></td>'


_ENDS = {(state, via): _end(state, via) for state in STATES for via in (False, True)}


def group_heads(controls: Iterable[Control]) -> dict[Any, Group]:
    """control id → its group, for the first control of each group."""
    heads: dict[Any, Group] = {}
    last = None
    for control in controls:
        if control.group_id != last and control.group is not None:
            heads[control.pk] = control.group
        last = control.group_id
    return heads


def line(one: Covered, system: AISystem, catalogue: Catalogue) -> dict[str, Any]:
    """One control for one system, with what speaks for it."""
    return {
        "control": one.control,
        "badge": badge(one.cell),
        "url": reverse("system-control", args=[system.slug, catalogue.key, one.control.identifier]),
        "items": [item(row) for row in one.items],
        "missing": [kind.replace("_", " ") for kind in one.missing],
        "word": one.word,
        "needs_word": one.needs_word,
        "via": one.via if one.cell.via else (),
    }


def item(row: Item) -> dict[str, Any]:
    """Evidence or a fact: verdict, title, address, of which model version, and since when."""
    shown = support_item(row.what, row.of)
    return {**shown, "of": row.of, "at": row.what.created_at, "is_evidence": isinstance(row.what, Evidence)}


def kinds(control: Control) -> list[str]:
    """The kinds of evidence that speak for a control, as words."""
    return [kind_text(kind) for kind in control.evidence]
