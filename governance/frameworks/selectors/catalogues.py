"""Reading catalogues: their current versions, their controls, and the crosswalks into them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Max, OuterRef, QuerySet, Subquery

from governance.frameworks import oscal
from governance.frameworks.models import Catalogue, Control, Crosswalk, CrosswalkLink, Group, Strength
from security.errors import MissingError


@dataclass(frozen=True)
class Mapped:
    """A crosswalk into a catalogue, and its links: id of a target → ids of its sources."""

    crosswalk: Crosswalk
    sources: Mapping[str, tuple[str, ...]]

    @property
    def full(self) -> bool:
        """Whether the sources of a control, taken together, stand for it."""
        return self.crosswalk.strength == Strength.FULL


def catalogues() -> QuerySet[Catalogue]:
    """Every version of every catalogue, with who imported it and ``is_current``'s number beside it."""
    newest = Catalogue.objects.filter(key=OuterRef("key")).order_by().values("key").annotate(last=Max("number"))
    rows = Catalogue.objects.select_related("imported_by").defer("head")
    return rows.annotate(current_number=Subquery(newest.values("last")))


def current_catalogues() -> list[Catalogue]:
    """The current version of each series, by title."""
    return list(catalogues().filter(number=F("current_number")).order_by("title"))


def current(key: str) -> Catalogue:
    """The current version of a series. Raises MissingError."""
    found = None if "\0" in key else catalogues().filter(key=key).order_by("-number").first()
    if found is None:
        raise MissingError(f"There is no catalogue {key[:63]!r} here.")
    return found


def controls(catalogue: Catalogue) -> list[Control]:
    """The controls of a catalogue in its order, with their groups two levels up, without their texts."""
    rows = Control.objects.filter(catalogue=catalogue).select_related("group__parent")
    return list(rows.defer("content", "group__content", "group__parent__content"))


def control(catalogue: Catalogue, identifier: str) -> Control:
    """One control with its text. Raises MissingError."""
    rows = Control.objects.filter(catalogue=catalogue).select_related("catalogue", "group__parent", "parent")
    found = None if "\0" in identifier else rows.filter(identifier=identifier).first()
    if found is None:
        raise MissingError(f"{catalogue.title} has no control {identifier[:60]!r}.")
    return found


def crosswalks() -> list[Crosswalk]:
    """The newest version of each crosswalk."""
    newest = {row.name: row for row in Crosswalk.objects.order_by("number")}
    return sorted(newest.values(), key=lambda row: row.name)


def into(key: str) -> list[Mapped]:
    """The crosswalks into the series ``key``, in two queries."""
    mine = [row for row in crosswalks() if row.target_key == key]
    links: dict[Any, dict[str, list[str]]] = {row.pk: defaultdict(list) for row in mine}
    for link in CrosswalkLink.objects.filter(crosswalk__in=mine).order_by("pk"):
        links[link.crosswalk_id][link.target].append(link.source)
    return [Mapped(row, {target: tuple(found) for target, found in links[row.pk].items()}) for row in mine]


def document(catalogue: Catalogue) -> dict[str, Any]:
    """The catalogue as an OSCAL 1.2.1 document, in three queries."""
    head = Catalogue.objects.values_list("head", flat=True).get(pk=catalogue.pk)
    groups = Group.objects.filter(catalogue=catalogue).order_by("position")
    found: list[Group | Control] = [*groups, *Control.objects.filter(catalogue=catalogue).order_by("position")]
    found.sort(key=lambda row: row.position)
    place = {row.pk: at for at, row in enumerate(found)}
    entries = [
        oscal.Entry(isinstance(row, Control), row.identifier, row.title, _inside(row, place), row.content)
        for row in found
    ]
    return oscal.write(oscal.Read(head, tuple(entries)))


def _inside(row: Group | Control, place: Mapping[Any, int]) -> int | None:
    holder = row.parent_id or (row.group_id if isinstance(row, Control) else None)
    return place[holder] if holder is not None else None
