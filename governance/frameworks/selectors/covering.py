"""Which controls a system or a model version covers: derived at every read from evidence, signatures and crosswalks.

A system stands on the newest version of each of its models. Everything is loaded once, in a number of queries that
depends neither on how many systems nor on how many controls are asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import F, OuterRef, Subquery

from governance.frameworks.models import Attestation, Catalogue, Control, Crosswalk
from governance.frameworks.selectors import attestations, catalogues
from governance.frameworks.selectors.catalogues import Mapped
from governance.frameworks.states import Standing, State, judged, through, together
from governance.selectors import evidence
from governance.selectors.coverage import facts_for
from governance.selectors.evidence import MODEL_VERSION_RELATED
from pipelines.models import ModelVersion
from security.access.models import AISystem
from security.errors import MissingError
from security.measurement import Verdict


@dataclass(frozen=True)
class Cell:
    """The state of one control for one system; ``via``: a crosswalk made it what it is."""

    state: State
    via: bool = False


@dataclass(frozen=True)
class Item:
    """A piece of evidence, or a fact of registry or workflow, that speaks for a control; ``of``: the model version."""

    of: ModelVersion
    what: Any


@dataclass(frozen=True)
class Via:
    """What a crosswalk brings to a control: its sources there with their own states."""

    crosswalk: Crosswalk
    catalogue: Catalogue
    sources: tuple[tuple[Control, State], ...]


@dataclass(frozen=True)
class Covered:
    """One control for one system: its state, and everything that made it so. ``missing``: kinds that nothing shows."""

    control: Control
    cell: Cell
    items: tuple[Item, ...]
    missing: tuple[str, ...]
    word: Attestation | None
    via: tuple[Via, ...]

    @property
    def state(self) -> State:
        return self.cell.state

    @property
    def needs_word(self) -> bool:
        """Whether a person's signature would change its state."""
        return self.word is None and self.control.attestation and self.state != "satisfied"


@dataclass(frozen=True)
class _Behind:
    """What stands behind one model version: kind → results, and which kinds pass."""

    version: ModelVersion
    by_kind: Mapping[str, tuple[Any, ...]]
    standing: Standing


@dataclass
class _Book:
    """The controls of one catalogue, and their states by evidence alone for each standing that was met so far."""

    catalogue: Catalogue
    controls: Sequence[Control]
    at: Mapping[str, int]
    words: Mapping[UUID, Mapping[int, Attestation]]
    seen: dict[frozenset[tuple[str, bool]], list[State]] = field(default_factory=dict)

    def row(self, system: UUID, behind: Sequence[_Behind]) -> list[State]:
        """The states of all controls for a system, by what is its own."""
        standings = [one.standing for one in behind] or [{}]
        columns = [self._bare(standing) for standing in standings]
        row = list(columns[0]) if len(columns) == 1 else [together(states) for states in zip(*columns, strict=True)]
        for at, word in self.words.get(system, {}).items():
            row[at] = together(judged(self.controls[at], standing, word.statement) for standing in standings)
        return row

    def _bare(self, standing: Standing) -> list[State]:
        key = frozenset(standing.items())
        if key not in self.seen:
            self.seen[key] = [judged(control, standing) for control in self.controls]
        return self.seen[key]


class Coverage:
    """The coverage of a catalogue by systems, or by one model version of one system (``versions``).

    Everything is read when it is made, in a constant number of queries; ``row`` and ``covered`` ask nothing more.
    ``whole`` as in ``evidence.found_for``: with what a page shows of each piece of evidence.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        systems: Sequence[AISystem],
        *,
        versions: Sequence[ModelVersion] | None = None,
        whole: bool = False,
    ) -> None:
        self.systems = systems
        found = evidence.found_for(newest_versions(systems) if versions is None else versions, whole=whole)
        facts = facts_for(found)
        self._behind: dict[UUID, list[_Behind]] = defaultdict(list)
        for pk, one in found.items():
            self._behind[one.version.model.system_id].append(_behind(one.version, [*one.evidence, *facts[pk]]))
        self._book = _book(catalogue, systems)
        self._crosswalks = [
            (mapped, book)
            for mapped in catalogues.into(catalogue.key)
            if (book := _source(mapped, systems)) is not None
        ]

    @property
    def controls(self) -> Sequence[Control]:
        """The controls of the catalogue, in its order."""
        return self._book.controls

    def row(self, system: AISystem) -> list[Cell]:
        """The cells of a system, one for each control in ``controls``."""
        behind = self._behind.get(system.pk, [])
        own = self._book.row(system.pk, behind)
        cells = [Cell(state) for state in own]
        shown = {kind for one in behind for kind in one.standing}
        words = self._book.words.get(system.pk, {})
        for mapped, book in self._crosswalks:
            states = book.row(system.pk, behind)
            for target, sources in mapped.sources.items():
                at = self._book.at.get(target)
                if at is None or at in words or not shown.isdisjoint(self.controls[at].evidence):
                    continue
                state = through(
                    own[at], [states[book.at[name]] for name in sources if name in book.at], full=mapped.full
                )
                if state != own[at] and cells[at].state != "satisfied":
                    cells[at] = Cell(state, via=True)
        return cells

    def covered(self, system: AISystem) -> list[Covered]:
        """Every control for a system with all that speaks for it."""
        behind, cells = self._behind.get(system.pk, []), self.row(system)
        words = self._book.words.get(system.pk, {})
        rows = [(mapped, book, book.row(system.pk, behind)) for mapped, book in self._crosswalks]
        made = []
        for at, control in enumerate(self.controls):
            items = [
                Item(one.version, row)
                for kind in control.evidence
                for one in behind
                for row in one.by_kind.get(kind, ())
            ]
            missing = [
                kind for kind in control.evidence if not behind or not all(kind in one.by_kind for one in behind)
            ]
            via = [_via(mapped, book, states, control) for mapped, book, states in rows]
            made.append(
                Covered(
                    control=control,
                    cell=cells[at],
                    items=tuple(items),
                    missing=tuple(missing),
                    word=words.get(at),
                    via=tuple(one for one in via if one.sources),
                )
            )
        return made

    def one(self, system: AISystem, identifier: str) -> Covered:
        """``covered`` of one control. Raises MissingError."""
        found = next((one for one in self.covered(system) if one.control.identifier == identifier), None)
        if found is None:
            raise MissingError(f"The catalogue has no control {identifier[:60]!r}.")
        return found


def newest_versions(systems: Iterable[AISystem]) -> list[ModelVersion]:
    """The newest version of each model of the systems, in one query."""
    newest = ModelVersion.objects.filter(model=OuterRef("model")).order_by("-number").values("pk")[:1]
    rows = ModelVersion.objects.filter(model__system__in=[system.pk for system in systems])
    rows = rows.annotate(newest=Subquery(newest)).filter(pk=F("newest")).select_related(*MODEL_VERSION_RELATED)
    return list(rows.defer("step_run__log", "step_run__measurements").order_by("model__name"))


def _behind(version: ModelVersion, results: Sequence[Any]) -> _Behind:
    by_kind: dict[str, list[Any]] = defaultdict(list)
    for row in results:
        by_kind[row.kind].append(row)
    standing = {kind: all(row.verdict == Verdict.PASS for row in rows) for kind, rows in by_kind.items()}
    return _Behind(version, {kind: tuple(rows) for kind, rows in by_kind.items()}, standing)


def _book(catalogue: Catalogue, systems: Sequence[AISystem]) -> _Book:
    """A catalogue with what people have signed on its controls as they stand now."""
    controls = catalogues.controls(catalogue)
    at = {control.identifier: place for place, control in enumerate(controls)}
    words: dict[UUID, dict[int, Attestation]] = defaultdict(dict)
    for (system, name), row in attestations.words(systems, catalogue.key).items():
        if name in at and controls[at[name]].digest == row.control_digest:
            words[system][at[name]] = row
    return _Book(catalogue, controls, at, words)


def _source(mapped: Mapped, systems: Sequence[AISystem]) -> _Book | None:
    try:
        return _book(catalogues.current(mapped.crosswalk.source_key), systems)
    except MissingError:
        return None


def _via(mapped: Mapped, book: _Book, states: Sequence[State], control: Control) -> Via:
    names = [name for name in mapped.sources.get(control.identifier, ()) if name in book.at]
    sources = tuple((book.controls[book.at[name]], states[book.at[name]]) for name in names)
    return Via(mapped.crosswalk, book.catalogue, sources)
