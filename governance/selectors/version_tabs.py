"""What each tab of a model version's page shows, read from its evidence and from the reports behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from governance.frameworks import Coverage
from governance.selectors import coverage as coverage_selectors
from governance.selectors.evidence import Found, Gate
from pipelines.models import DatasetVersion, Evidence, ModelVersion, StepInput
from pipelines.pictures import limits
from pipelines.pictures.limits import Judged
from pipelines.pictures.reports import ReportPicture, pictures
from pipelines.selectors.whereabouts import read_report
from security.errors import UnavailableError
from security.measurement import Verdict
from security.vault.stream import DamagedError

FIGURES = 6
FOUND = "evaluate.found_slices@"
_SLICE_COLUMNS = 6
FUNCTIONS = {
    "GOVERN": "who answers for what",
    "MAP": "what it is for and whom it touches",
    "MEASURE": "what was measured",
    "MANAGE": "what is done about it",
}


@dataclass(frozen=True)
class Told:
    """One piece of evidence with its measurements beside their rules, the report behind it and its pictures.

    ``problem`` says why the report cannot be read; the measurements are in the database and stand without it.
    """

    evidence: Evidence
    rows: Sequence[Judged]
    report: Mapping[str, Any]
    pictures: Sequence[ReportPicture]
    problem: str

    @property
    def broken(self) -> list[Judged]:
        """Those that do not meet their rule."""
        return [row for row in self.by_weight if row.rules and row.verdict != Verdict.PASS]

    @property
    def key_figures(self) -> list[Judged]:
        """The few that say most: what does not pass its rule, what is under one, what is over all rows or groups."""
        telling = [row for row in self.by_weight if row.rules or set(row.measurement.slice.values()) <= {"*"}]
        return (telling or self.by_weight)[:FIGURES]

    @property
    def by_weight(self) -> list[Judged]:
        """All, those that decide the verdict first: failed, inconclusive, passed, then those under no rule."""
        order = {"fail": 0, "inconclusive": 1, "pass": 2}
        return sorted(self.rows, key=lambda row: (order.get(row.verdict, 3), bool(row.measurement.slice)))


@dataclass(frozen=True)
class GroupTable:
    """Every rate of every group of one set of columns, side by side."""

    columns: str
    rates: Sequence[str]
    rows: Sequence[tuple[str, int, Sequence[Judged | None]]]


@dataclass(frozen=True)
class Slices:
    """The groups of one evaluation: the rate that is drawn, its plots, and the table of all rates."""

    told: Told
    rate: str
    rates: Sequence[str]
    plots: Sequence[ReportPicture]
    tables: Sequence[GroupTable]


@dataclass(frozen=True)
class Data:
    """What a model was made from: tables, files from outside, and what was found about them."""

    tables: Sequence[DatasetVersion]
    sources: Sequence[StepInput]
    profiles: Sequence[Told]
    redactions: Sequence[Told]
    drift: Sequence[Told]
    poisoning: Sequence[Told]

    @property
    def count(self) -> int:
        """Files and tables together."""
        return len(self.tables) + len(self.sources)


@dataclass(frozen=True)
class Outcome:
    """One outcome of the framework: what speaks for it, and the kinds of evidence that would and are not there."""

    coverage: Coverage
    missing: Sequence[str]


@dataclass(frozen=True)
class Function:
    """One function of the framework: its outcomes and how many are in which state."""

    name: str
    about: str
    outcomes: Sequence[Outcome]
    counts: Mapping[str, int]


def judged(evidence: Evidence) -> list[Judged]:
    """The measurements of one piece of evidence beside the thresholds that its step was given."""
    return limits.judged(evidence.measurements, evidence.step_run.params.get("thresholds"))


def told(evidence: Evidence, *, report: bool = True) -> Told:
    """One piece of evidence with everything behind it; a damaged or unreachable report is said, not raised."""
    content: Mapping[str, Any] = {}
    problem = ""
    if report:
        try:
            content = read_report(evidence.report) or {}
        except (DamagedError, UnavailableError) as error:
            problem = f"The stored report cannot be shown: {error}. The figures below are those on record."
    drawn = pictures(evidence.uses, content, evidence.step_run.params) if content else []
    return Told(evidence, judged(evidence), content, drawn, problem)


def gate_told(gate: Gate) -> list[tuple[Told, ReportPicture | None]]:
    """The evidence of a gate, each with the one picture that its verdict hangs on, if there is one."""
    found = []
    for evidence in gate.evidence:
        one = told(evidence)
        picture = limits.worst_plot(one.rows) or next(iter(one.pictures), None)
        found.append((one, picture))
    return found


def of_kind(found: Found, *kinds: str, report: bool = True) -> list[Told]:
    """The evidence of these kinds, read."""
    return [told(row, report=report) for row in found.evidence if row.kind in kinds]


def slices(found: Found, asked: str) -> list[Slices]:
    """The groups, for the rate that was asked for (true-positive rate by default), and the slices that were found."""
    rows = [row for row in found.evidence if row.kind == "slice_metrics"]
    read = (told(row, report=row.uses.startswith(FOUND)) for row in rows)
    return [_slices(one, asked) for one in read if one.rows]


def data(version: ModelVersion, found: Found) -> Data:
    """Tables and files upstream (each content once, named by its newest version) and the evidence about them."""
    tables: dict[Any, DatasetVersion] = {}
    rows = DatasetVersion.objects.filter(artifact__in=found.ancestry.data).select_related("dataset", "artifact")
    for row in rows.order_by("created_at"):
        tables[row.artifact_id] = row
    inputs = StepInput.objects.filter(artifact__in=found.ancestry.data, step_run__run=version.step_run.run_id)
    sources = inputs.exclude(origin="").select_related("artifact", "step_run").order_by("origin", "pk")
    return Data(
        tables=sorted(tables.values(), key=lambda row: (row.created_at, row.dataset.name)),
        sources=list({row.artifact_id: row for row in sources}.values()),
        profiles=of_kind(found, "data_profile", report=False),
        redactions=of_kind(found, "pii_report"),
        drift=of_kind(found, "drift_report"),
        poisoning=of_kind(found, "poisoning_scan"),
    )


def coverage(version: ModelVersion) -> list[Function]:
    """The 72 outcomes by function, with how many are in which state."""
    rows = coverage_selectors.coverage_of(version)
    made = []
    for name, about in FUNCTIONS.items():
        mine = [_outcome(row) for row in rows if row.subcategory.function == name]
        made.append(Function(name, about, mine, Counter(one.coverage.state for one in mine)))
    return made


def _outcome(row: Coverage) -> Outcome:
    there = {one.kind for one in row.evidence}
    return Outcome(row, [kind.replace("_", " ") for kind in row.subcategory.evidence if kind not in there])


def _slices(one: Told, asked: str) -> Slices:
    if one.evidence.uses.startswith(FOUND):  # each by other columns, so the report's picture has them all
        return Slices(one, "", [], one.pictures, [])
    rates = limits.rates_in(one.rows)
    default = "tpr" if "tpr" in rates else next(iter(rates), "")
    rate = asked if asked in rates else default
    return Slices(one, rate, rates, limits.slice_plots(one.rows, rate), _tables(one.rows, rates))


def _tables(rows: Sequence[Judged], rates: Sequence[str]) -> list[GroupTable]:
    by_columns: dict[tuple[str, ...], dict[tuple[str, ...], dict[str, Judged]]] = {}
    for row in rows:
        one = row.measurement
        if one.name in rates and len(one.slice) <= _SLICE_COLUMNS:
            groups = by_columns.setdefault(tuple(one.slice), {})
            groups.setdefault(tuple(one.slice.values()), {})[one.name] = row
    return [
        GroupTable(" × ".join(columns), rates, [_group(values, found, rates) for values, found in groups.items()])
        for columns, groups in by_columns.items()
    ]


def _group(
    values: Iterable[str], found: Mapping[str, Judged], rates: Sequence[str]
) -> tuple[str, int, Sequence[Judged | None]]:
    size = max(row.measurement.n for row in found.values())
    return ", ".join(values), size, [found.get(rate) for rate in rates]
