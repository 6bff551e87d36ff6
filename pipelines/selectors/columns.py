"""The columns of a dataset version with what the steps before it reported: profile, redactions, personal or not.

Only figures: counts, shares, and for columns that are not personal the range of numbers. Never a value of a personal
column, whatever a report holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.models import DatasetVersion, Evidence
from pipelines.selectors.whereabouts import Whereabouts, read_report, reports_about

Report = Mapping[str, Any]
_RANGE = ("min", "mean", "max")
_TREATMENTS = {
    "drop": "removed",
    "mask": "masked",
    "token": "replaced by tokens",
    "generalise": "made coarser",
    "scan": "scanned",
}


@dataclass
class Column:
    """One column. ``treatment`` is what redaction did to it; ``redacted`` counts findings by kind of personal data."""

    name: str
    type: str
    personal: bool
    treatment: str = ""
    nulls: int | None = None
    distinct: int | None = None
    range: dict[str, Any] = field(default_factory=dict)
    histogram: list[int] = field(default_factory=list)
    redacted: list[tuple[str, int]] = field(default_factory=list)

    @property
    def found(self) -> list[tuple[str, int | None]]:
        """What was redacted; one line without a count where nothing was counted."""
        return list(self.redacted) if self.redacted else [("", None)]


@dataclass(frozen=True)
class Described:
    """All columns, those that redaction took out, what it does not cover, and the evidence that was read."""

    columns: list[Column]
    removed: list[Column]
    not_covered: list[str]
    validation: Evidence | None
    redaction: Evidence | None

    @property
    def has_profile(self) -> bool:
        """Whether a validation report said anything of the columns."""
        return any(column.nulls is not None or column.distinct is not None or column.range for column in self.columns)

    @property
    def findings(self) -> list[tuple[str, str, str, int | None]]:
        """``(column, what was done, entity, count)``: every column that was treated, with what was found in it."""
        return [
            (column.name, column.treatment, kind, count)
            for column in [*self.removed, *self.columns]
            if column.treatment or column.redacted
            for kind, count in column.found
        ]


def columns_of(version: DatasetVersion, known: Whereabouts) -> Described:
    """The columns of a version; ``known`` is what is known of its artifact. Reads at most two reports."""
    columns = {one["name"]: Column(one["name"], one["type"], bool(one["personal"])) for one in version.columns}
    validation = _newest(known.evidence, "validate.")
    redaction = _newest(known.evidence, "redact.")
    if profile := read_report(reports_about(known.evidence, "validate.")):
        _profile(columns, profile)
    redacted = read_report(reports_about(known.evidence, "redact.")) or {}
    removed = _redactions(columns, redacted)
    return Described(list(columns.values()), removed, _texts(redacted.get("not_covered")), validation, redaction)


def _newest(evidence: Sequence[Evidence], family: str) -> Evidence | None:
    return next((item for item in evidence if item.uses.startswith(family)), None)


def _profile(columns: Mapping[str, Column], report: Report) -> None:
    for one in _entries(report.get("profile")):
        column = columns.get(str(one.get("name")))
        if column is None:
            continue
        column.nulls, column.distinct = _count(one, "nulls"), _count(one, "distinct")
        if not column.personal:
            column.range = {name: one[name] for name in _RANGE if isinstance(one.get(name), int | float)}
            column.histogram = list((one.get("histogram") or {}).get("counts", ()))


def _redactions(columns: Mapping[str, Column], report: Report) -> list[Column]:
    """Write down what was done to each column; returns those that are no longer in the table."""
    removed: dict[str, Column] = {}
    treated = report.get("columns")
    for name, treatment in treated.items() if isinstance(treated, Mapping) else ():
        column = columns.get(name) or removed.setdefault(name, Column(name, "", personal=True))
        column.treatment = _TREATMENTS.get(str(treatment), str(treatment))
    for found in _entries(report.get("found")):
        name, count = str(found.get("column")), _count(found, "count")
        column = columns.get(name) or removed.setdefault(name, Column(name, "", personal=True))
        column.redacted.append((str(found.get("entity")), count or 0))
    return list(removed.values())


def _entries(value: Any) -> list[Report]:
    """A list of mappings, or a mapping of mappings by name, as a list."""
    if isinstance(value, Mapping):
        return [{"name": name, **one} for name, one in value.items() if isinstance(one, Mapping)]
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _count(one: Report, name: str) -> int | None:
    value = one.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value] if value else []
    return [str(one) for one in value] if isinstance(value, list) else []
