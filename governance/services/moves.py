"""The one way to another state: a locked row, by its machine's table, from the very version that was read."""

from __future__ import annotations

from typing import Any

from django.db.models import F, Model

from governance.machines import Machine
from security.errors import ConflictError

_MEANWHILE = "Somebody changed this {noun} while you looked at it; read it again before you go on."


def move(row: Any, machine: Machine, event: str, **columns: Any) -> None:
    """Move ``row``, which the caller has locked, to where ``event`` leads, with these other columns.

    The row in the database must be the version that ``row`` is, whatever lock was or was not held; the row at hand
    then reads as the stored one. Raises ConflictError for a move that the table does not have, or a row that changed.
    """
    before, model = row.state, type(row)
    state = machine.after(before, event)
    found = _rows(model).filter(pk=row.pk, state=before, row_version=row.row_version)
    if not found.update(state=state, row_version=F("row_version") + 1, **columns):
        raise ConflictError(_MEANWHILE.format(noun=machine.noun))
    for name, value in {"state": state, "row_version": row.row_version + 1, **columns}.items():
        setattr(row, name, value)


def touch(row: Any, machine: Machine) -> None:
    """Count a change of what belongs to a locked row, its state staying: who looked before must look again."""
    found = _rows(type(row)).filter(pk=row.pk, row_version=row.row_version)
    if not found.update(row_version=F("row_version") + 1):
        raise ConflictError(_MEANWHILE.format(noun=machine.noun))
    row.row_version += 1


def require_version(row: Any, machine: Machine, expected: int | None) -> None:
    """Raise ConflictError where the person looked at another version of the row than it is now; None: not said."""
    if expected is not None and row.row_version != expected:
        raise ConflictError(_MEANWHILE.format(noun=machine.noun), extra={"row_version": row.row_version})


def _rows(model: type[Model]) -> Any:
    return model._default_manager
