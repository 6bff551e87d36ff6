"""OSCAL catalogues (JSON, 1.1 and 1.2) into groups and controls, and back. Pure.

What a document cannot have: more than ``MAX_BYTES``, more than ``MAX_ENTRIES`` groups and controls, groups or controls
more than ``MAX_LEVELS`` deep, an id twice, links or parameters that lead back to where they started. Links of the kind
``related`` go both ways by their nature and may.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from governance.frameworks.shapes import Place, pointer, wrong
from security.errors import InvalidError

MAX_BYTES = 16 * 2**20
MAX_ENTRIES = 20_000
MAX_LEVELS = 12
MAX_LINE = 2000  # characters of a title
MAX_ID = 200
MAX_SHOWN = 20  # errors that one refusal lists
VERSION = "1.2.1"
NAMESPACE = "urn:countersign:ns:oscal"  # of our own properties
READ_VERSIONS = re.compile(r"1\.[12]\.[0-9]{1,3}")
SUPPORT = ("strong", "partial", "none")
FOLLOWED = ("incorporated-into", "moved-to", "required")  # links that must lead somewhere and not round in a circle
_NIST = "http://csrc.nist.gov/ns/oscal"
_INSERTED = re.compile(r"\{\{\s*insert:\s*param,\s*([^\s}]{1,200})\s*\}\}")
_OTHER_MODELS = (
    "profile", "mapping-collection", "component-definition", "system-security-plan", "assessment-plan",
    "assessment-results", "plan-of-action-and-milestones",
)  # fmt: skip


class InvalidCatalogueError(InvalidError):
    """The document is no catalogue that can be taken; ``extra["errors"]`` lists what is wrong, with its place."""

    slug = "invalid-catalogue"
    title = "The catalogue is not valid"


@dataclass(frozen=True)
class Entry:
    """One group or control: ``parent`` is the place of what it stands in among the entries, None at the top.

    ``content`` is what OSCAL says of it besides id, title and what stands in it.
    """

    is_control: bool
    identifier: str
    title: str
    parent: int | None
    content: Mapping[str, Any]

    @property
    def label(self) -> str:
        """How people write its number: the property ``label`` where there is one, else the id."""
        found = (prop["value"] for prop in self.content.get("props", ()) if _is_label(prop))
        return str(next(found, self.identifier))[:MAX_ID]

    @property
    def evidence(self) -> tuple[str, ...]:
        """Kinds of evidence that speak for it."""
        return tuple(dict.fromkeys(own_values(self.content, "evidence-kind")))

    @property
    def support(self) -> str:
        """How far evidence can go: ``strong``, ``partial``, or ``none`` where nothing is said."""
        found = next(iter(own_values(self.content, "support")), "none")
        return found if found in SUPPORT else "none"

    @property
    def attestation(self) -> bool:
        """Whether a person's word is needed; where nothing is said, it is."""
        return next(iter(own_values(self.content, "attestation")), "needed") != "not-needed"

    @property
    def why(self) -> str:
        """Why evidence goes that far and no further."""
        return next(iter(own_values(self.content, "why")), "")


@dataclass(frozen=True)
class Read:
    """A catalogue: ``head`` is the member ``catalog`` without its groups and controls; ``entries`` in their order."""

    head: Mapping[str, Any]
    entries: tuple[Entry, ...]

    @property
    def title(self) -> str:
        return str(self.head["metadata"]["title"])

    @property
    def version(self) -> str:
        return str(self.head["metadata"]["version"])

    @property
    def oscal_version(self) -> str:
        return str(self.head["metadata"]["oscal-version"])

    @property
    def key(self) -> str:
        """The name of its series, where the document has one of ours."""
        return next(iter(own_values(self.head["metadata"], "catalogue-key")), "")


def own_values(content: Mapping[str, Any], name: str) -> list[str]:
    """The values of our own properties of that name."""
    props = content.get("props", ())
    return [prop["value"] for prop in props if prop["name"] == name and prop.get("ns") == NAMESPACE]


def own_property(name: str, value: str) -> dict[str, str]:
    """One of our own properties."""
    return {"name": name, "ns": NAMESPACE, "value": value}


def read(document: Any) -> Read:
    """A parsed document as a catalogue. Raises InvalidCatalogueError with the places of what is wrong."""
    _refuse_another_model(document)
    found = [(place, message) for place, message in _first(wrong(document), MAX_SHOWN)]
    if found:
        raise _refusal(found)
    catalog = document["catalog"]
    version = catalog["metadata"]["oscal-version"]
    if not READ_VERSIONS.fullmatch(version):
        place = ("catalog", "metadata", "oscal-version")
        raise _refusal([(place, f"is {version[:20]!r}; catalogues of OSCAL 1.1 and 1.2 are read")])
    entries, places = _flat(catalog)
    problems = [*_too_long(catalog, entries, places), *_repeated(catalog), *_circles(catalog, entries, places)]
    if problems:
        raise _refusal(problems[:MAX_SHOWN])
    head = {name: value for name, value in catalog.items() if name not in ("groups", "controls")}
    return Read(head, tuple(entries))


def write(catalogue: Read) -> dict[str, Any]:
    """The catalogue as an OSCAL 1.2.1 document; ``read`` gives the same again."""
    made: list[dict[str, Any]] = []
    top: dict[str, Any] = {**catalogue.head}
    top["metadata"] = {**top["metadata"], "oscal-version": VERSION}
    back_matter = top.pop("back-matter", None)
    for entry in catalogue.entries:
        id_of = {"id": entry.identifier} if entry.identifier else {}
        own = {**id_of, "title": entry.title, **entry.content}
        parent = top if entry.parent is None else made[entry.parent]
        parent.setdefault("controls" if entry.is_control else "groups", []).append(own)
        made.append(own)
    return {"catalog": {**top, **({"back-matter": back_matter} if back_matter is not None else {})}}


def _is_label(prop: Mapping[str, Any]) -> bool:
    return prop["name"] == "label" and prop.get("class") != "zero-padded" and prop.get("ns", _NIST) == _NIST


def _refuse_another_model(document: Any) -> None:
    if isinstance(document, dict) and "catalog" not in document:
        other = next((name for name in _OTHER_MODELS if name in document), "")
        what = (
            f"This is an OSCAL {other}, not a catalogue" if other else "There is no member “catalog” in this document"
        )
        raise InvalidCatalogueError(f"{what}; give the catalogue itself, as JSON.", field="catalogue")


def _flat(catalog: Mapping[str, Any]) -> tuple[list[Entry], list[Place]]:
    """Groups and controls in the document's order, parents first. Raises InvalidCatalogueError beyond the limits."""
    entries: list[Entry] = []
    places: list[Place] = []
    waiting = list(_inside(catalog, None, ("catalog",), 1))[::-1]
    while waiting:
        value, is_control, parent, place, level = waiting.pop()
        if level > MAX_LEVELS:
            raise _refusal([(place, f"is nested more than {MAX_LEVELS} levels deep")])
        if len(entries) >= MAX_ENTRIES:
            raise _refusal([(place, f"is one too many: a catalogue has at most {MAX_ENTRIES:,} groups and controls")])
        content = {name: part for name, part in value.items() if name not in ("id", "title", "groups", "controls")}
        entries.append(Entry(is_control, value.get("id", ""), value["title"], parent, content))
        places.append(place)
        waiting += list(_inside(value, len(entries) - 1, place, level + 1))[::-1]
    if not any(entry.is_control for entry in entries):
        raise _refusal([(("catalog",), "has no control in it")])
    return entries, places


def _inside(
    value: Mapping[str, Any], parent: int | None, place: Place, level: int
) -> Iterator[tuple[Mapping[str, Any], bool, int | None, Place, int]]:
    for name in ("groups", "controls"):
        for at, one in enumerate(value.get(name, ())):
            yield one, name == "controls", parent, (*place, name, at), level


def _too_long(
    catalog: Mapping[str, Any], entries: Sequence[Entry], places: Sequence[Place]
) -> Iterator[tuple[Place, str]]:
    for name in ("title", "version"):
        if len(catalog["metadata"][name]) > MAX_ID:
            yield ("catalog", "metadata", name), f"has more than {MAX_ID} characters"
    for entry, place in zip(entries, places, strict=True):
        if len(entry.title) > MAX_LINE:
            yield (*place, "title"), f"has more than {MAX_LINE:,} characters"
        if len(entry.identifier) > MAX_ID:
            yield (*place, "id"), f"has more than {MAX_ID} characters"


def _repeated(catalog: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Ids of groups, controls and parts are one index, those of parameters another."""
    seen: dict[tuple[bool, str], Place] = {}
    for value, place in _objects(catalog):
        if "id" not in value or place[1] in ("metadata", "back-matter"):
            continue
        key = (place[-2] == "params", value["id"])
        if key in seen:
            yield (*place, "id"), f"{value['id'][:60]!r} is the id of {pointer(seen[key])} already"
        seen.setdefault(key, place)


def _objects(catalog: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Place]]:
    """Every object in the document, in its order, with its place."""
    waiting: list[tuple[Any, Place]] = [(catalog, ("catalog",))]
    while waiting:
        value, place = waiting.pop()
        if isinstance(value, dict):
            if len(place) > 1:
                yield value, place
            waiting += [(one, (*place, name)) for name, one in value.items() if isinstance(one, dict | list)][::-1]
        else:
            waiting += [(one, (*place, at)) for at, one in enumerate(value) if isinstance(one, dict | list)][::-1]


def _circles(
    catalog: Mapping[str, Any], entries: Sequence[Entry], places: Sequence[Place]
) -> Iterator[tuple[Place, str]]:
    place_of = {entry.identifier: place for entry, place in zip(entries, places, strict=True) if entry.identifier}
    links = {
        entry.identifier: [
            link["href"][1:]
            for link in entry.content.get("links", ())
            if link.get("rel") in FOLLOWED and link["href"].startswith("#")
        ]
        for entry in entries
        if entry.identifier
    }
    if circle := _circle(links):
        yield (*place_of[circle[0]], "links"), f"leads back to itself: {_way(circle)}"
    parameters = {value["id"]: (value, place) for value, place in _objects(catalog) if place[-2] == "params"}
    uses = {name: _used(value) for name, (value, _) in parameters.items()}
    if circle := _circle(uses):
        yield parameters[circle[0]][1], f"is defined by itself: {_way(circle)}"


def _used(parameter: Mapping[str, Any]) -> list[str]:
    texts = [*parameter.get("select", {}).get("choice", ()), *parameter.get("values", ()), parameter.get("label", "")]
    inserted = [name for text in texts for name in _INSERTED.findall(text)]
    return [*inserted, *([parameter["depends-on"]] if "depends-on" in parameter else [])]


def _circle(targets: Mapping[str, Sequence[str]]) -> list[str]:
    """One circle in a graph, empty where there is none: depth first, without recursion."""
    done: set[str] = set()
    for start in targets:
        way: dict[str, Iterator[str]] = {}
        if start not in done:
            way[start] = iter(targets[start])
        while way:
            here = next(reversed(way))
            following = next(way[here], None)
            if following is None:
                done.add(here)
                del way[here]
            elif following in way:
                names = list(way)
                return names[names.index(following) :]
            elif following in targets and following not in done:
                way[following] = iter(targets[following])
    return []


def _way(circle: Sequence[str]) -> str:
    shown = [*circle[:5], *(["…"] if len(circle) > 5 else []), circle[0]]
    return " → ".join(name[:60] for name in shown)


def _refusal(found: Sequence[tuple[Place, str]]) -> InvalidCatalogueError:
    errors = [{"field": pointer(place), "detail": message} for place, message in found]
    first = f"{errors[0]['field']} {errors[0]['detail']}"
    count = "1 error" if len(errors) == 1 else f"{len(errors)} errors or more"
    return InvalidCatalogueError(f"{count}; the first: {first}.", field="catalogue", extra={"errors": errors})


def _first(found: Iterable[tuple[Place, str]], most: int) -> Iterator[tuple[Place, str]]:
    for _, one in zip(range(most), found, strict=False):
        yield one
