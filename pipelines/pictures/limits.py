"""Measurements beside the rules that judged them: rules in words, single verdicts, dot plots with the rule's line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pipelines.pictures import charts
from pipelines.pictures.reports import ReportPicture
from security.measurement import Measurement, Threshold, combine

MAX_DOTS = 40
_BOUNDS = {"value": "", "low": ", lower bound", "high": ", upper bound"}


@dataclass(frozen=True)
class Judged:
    """One measurement, the rules that speak of it in words, and what they say of it alone (empty: no rule)."""

    measurement: Measurement
    rules: tuple[Threshold, ...]

    @property
    def verdict(self) -> str:
        return str(combine(rule.judge(self.measurement) for rule in self.rules)) if self.rules else ""

    @property
    def rule(self) -> str:
        """The rules in words, without the slice that the measurement names anyway."""
        return "; ".join(rule_text(rule.model_copy(update={"slice": None})) for rule in self.rules)


def judged(measurements: Iterable[Mapping[str, Any]], thresholds: object) -> list[Judged]:
    """Stored measurements with the thresholds of the step that made them (its parameter of that name).

    What is not a measurement or a threshold, of another version perhaps, is left out.
    """
    rules = [rule for raw in (thresholds if isinstance(thresholds, list) else []) if (rule := _rule(raw))]
    found = [one for raw in measurements if (one := _measurement(raw))]
    return [Judged(one, tuple(rule for rule in rules if _speaks_of(rule, one))) for one in found]


def rule_text(rule: Threshold) -> str:
    """``at least 0.8, lower bound``; with its slice where it names one."""
    parts = [f"at least {rule.min:g}"] if rule.min is not None else []
    parts += [f"at most {rule.max:g}"] if rule.max is not None else []
    where = f" ({_columns(rule.slice)})" if rule.slice else ""
    return " and ".join(parts) + _BOUNDS[rule.on] + where


def slice_plots(rows: Sequence[Judged], rate: str) -> list[ReportPicture]:
    """First the gaps of ``rate`` between groups, then the rate itself in every group, for each set of columns."""
    gaps = [row for row in rows if row.measurement.name == f"{rate}_gap"]
    plots = [dots(gaps, f"Gap in {rate} between groups", names="columns")] if gaps else []
    groups = [row for row in rows if row.measurement.name == rate and row.measurement.slice]
    for columns in sorted({tuple(row.measurement.slice) for row in groups}, key=lambda names: (len(names), names)):
        members = [row for row in groups if tuple(row.measurement.slice) == columns]
        plots.append(dots(_by_value(members), f"{rate} by {' × '.join(columns)}"))
    return plots


def rates_in(rows: Iterable[Judged]) -> list[str]:
    """The rates that were measured per group, in the order in which they were."""
    return list(dict.fromkeys(row.measurement.name for row in rows if row.measurement.slice and not _is_gap(row)))


def worst_plot(rows: Sequence[Judged]) -> ReportPicture | None:
    """The plot that a gate's verdict hangs on: the measurements under rules, those that do worst first.

    None when fewer than two measurements of one name stand under a rule: then the figures themselves are shorter.
    """
    ruled = [row for row in rows if row.rules]
    names = sorted({row.measurement.name for row in ruled}, key=lambda name: -_badness(name, ruled))
    for name in names:
        members = [row for row in ruled if row.measurement.name == name]
        if len(members) > 1:
            gap = all(_is_gap(row) for row in members)
            return dots(members, _readable(name), names="columns" if gap else "values")
    return None


def dots(rows: Sequence[Judged], title: str, *, names: str = "values") -> ReportPicture:
    """A dot plot of measurements, with the line of the rule that they have in common.

    ``names``: rows are called by the ``values`` of their slice, its ``columns``, or the measurement's ``name``.
    """
    shown = rows[:MAX_DOTS]
    drawn = [_dot(row, names) for row in shown]
    limit = _common_limit(shown)
    fraction = all(row.measurement.unit == "fraction" for row in shown)
    svg = charts.dot_plot(drawn, title, limit=limit, fraction=fraction)
    caption = f"Rule: {limit.label}." if limit else _interval_words(shown)
    if len(rows) > len(shown):
        caption += f" The first {len(shown)} of {len(rows)} are drawn."
    table = tuple(
        (dot.label, _text(dot.value), _interval(dot), f"{dot.n:,}", row.measurement.note)
        for dot, row in zip(drawn, shown, strict=True)
    )
    return ReportPicture(title, svg, caption, ("Group", "Value", "Interval", "n", "Note"), table)


def _dot(row: Judged, names: str) -> charts.DotRow:
    one = row.measurement
    label = {"values": _values(one.slice), "columns": " × ".join(one.slice), "name": _readable(one.name)}[names]
    low, high = (one.interval.low, one.interval.high) if one.interval else (None, None)
    return charts.DotRow(label or _readable(one.name), one.value, low, high, one.n, row.verdict)


def _interval_words(rows: Sequence[Judged]) -> str:
    found = {(one.level, one.method) for row in rows if (one := row.measurement.interval)}
    return "; ".join(f"{level * 100:g} % intervals" + (f" ({method})" if method else "") for level, method in found)


def _common_limit(rows: Sequence[Judged]) -> charts.Limit | None:
    found = {(rule.min, rule.max): rule for row in rows for rule in row.rules}
    if len(found) != 1:
        return None
    rule = next(iter(found.values()))
    value = rule.max if rule.max is not None else rule.min
    return None if value is None else charts.Limit(value, rule_text(rule))


def _by_value(rows: Sequence[Judged]) -> list[Judged]:
    return sorted(rows, key=lambda row: math.inf if row.measurement.value is None else row.measurement.value)


def _badness(name: str, rows: Sequence[Judged]) -> int:
    return sum(row.verdict != "pass" for row in rows if row.measurement.name == name)


def _is_gap(row: Judged) -> bool:
    return row.measurement.name.endswith("_gap")


def _speaks_of(rule: Threshold, one: Measurement) -> bool:
    return rule.metric == one.name and (rule.slice is None or rule.slice == one.slice)


def _rule(raw: object) -> Threshold | None:
    try:
        return Threshold.model_validate(raw)
    except ValidationError:
        return None


def _measurement(raw: object) -> Measurement | None:
    try:
        return Measurement.model_validate(raw)
    except ValidationError:
        return None


def _values(group: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" if key in ("radius", "column") else value for key, value in group.items())


def _columns(group: Mapping[str, str]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in group.items())


def _readable(name: str) -> str:
    return name.replace("_", " ")


def _text(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"


def _interval(row: charts.DotRow) -> str:
    return "" if row.low is None or row.high is None else f"[{row.low:.3f}, {row.high:.3f}]"
