"""Reads ``docs/access-table.md``: who gets which answer from which route."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

PATH = Path(__file__).resolve().parents[2] / "docs" / "access-table.md"
ROLES = ("engineer", "validator", "risk-officer", "auditor", "owner", "admin", "service")


class Row(NamedTuple):
    """``nobody``: without signing in, and with a dead token; ``own`` and ``foreign``: by role, where it is held in the
    system that the request is about, and where it is held in another."""

    nobody: int
    own: dict[str, int]
    foreign: dict[str, int]


def read() -> dict[str, Row]:
    """``METHOD route`` → row. Raises ValueError for a line that is none, and for a route that stands twice."""
    found: dict[str, Row] = {}
    for line in PATH.read_text().splitlines():
        if line.startswith("| `"):
            name, row = parse(line)
            if name in found:
                raise ValueError(f"{name} stands twice in {PATH.name}")
            found[name] = row
    return found


def parse(line: str) -> tuple[str, Row]:
    """One line of the table: ``own`` alone, or ``own / foreign`` where they differ."""
    name, nobody, *cells = (cell.strip() for cell in line.strip().strip("|").split("|"))
    if len(cells) != len(ROLES):
        raise ValueError(f"{name} has {len(cells)} roles instead of {len(ROLES)}")
    pairs = {role: [int(number) for number in cell.split("/")] for role, cell in zip(ROLES, cells, strict=True)}
    own = {role: numbers[0] for role, numbers in pairs.items()}
    return name.strip("`"), Row(int(nobody), own, {role: numbers[-1] for role, numbers in pairs.items()})


def line(name: str, row: Row) -> str:
    """The line of a row as it is to stand in the table."""
    cells = [
        str(row.own[role]) if row.own[role] == row.foreign[role] else f"{row.own[role]} / {row.foreign[role]}"
        for role in ROLES
    ]
    return f"| `{name}` | {row.nobody} | " + " | ".join(cells) + " |"
