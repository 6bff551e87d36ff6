"""Catalogues and crosswalks come in: from this release, by upload, from the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from governance.frameworks import builtin, oscal
from governance.frameworks.models import Catalogue, Control, Crosswalk, CrosswalkLink, Group, Origin
from security.access import selectors as access
from security.access.table import Action
from security.canonical import NotCanonicalError, digest_of, urn
from security.errors import ConflictError, InvalidError
from security.identity.models import User
from security.log.events import Event
from security.log.services import record
from security.rest.parsing import MalformedError, loads

_KEY = re.compile(r"[a-z][a-z0-9-]{0,62}")
_RESERVED = frozenset({"import"})
_BATCH = 1000


@dataclass(frozen=True)
class Imported:
    """The catalogue, and whether this call made it."""

    catalogue: Catalogue
    created: bool


def parse(content: bytes) -> Any:
    """The bytes of a catalogue as JSON. Raises InvalidCatalogueError (too large; no JSON, with line and column)."""
    if len(content) > oscal.MAX_BYTES:
        most = oscal.MAX_BYTES // 2**20
        raise oscal.InvalidCatalogueError(
            f"This document has {len(content):,} bytes; a catalogue has at most {most} MiB.", field="catalogue"
        )
    try:
        return loads(content)
    except MalformedError as error:
        message = error.message.replace("The body is not acceptable JSON", "This is not acceptable JSON")
        raise oscal.InvalidCatalogueError(message, field="catalogue", extra=error.extra) from None


def import_catalogue(*, acting_user: User | None, document: Any, key: str = "", source: str = "") -> Imported:
    """Take an OSCAL catalogue (JSON, 1.1 or 1.2, parsed) as the newest version of the series ``key``.

    ``key`` may be left out where the document names its series or its title can; ``source`` says where it is from.
    ``acting_user`` None is the command line of the machine itself. The same content again is the same catalogue.

    Raises DeniedError, InvalidCatalogueError, InvalidError (key, source), ConflictError (the version is there with
    another content, or somebody imports into the series at the same time).
    """
    if acting_user is not None:
        access.require(acting_user, Action.IMPORT_CATALOGUE)
    if len(source) > 500:
        raise InvalidError("Say where it is from in at most 500 characters.", field="source")
    catalogue = oscal.read(document)
    series = _series(key or catalogue.key or slugify(catalogue.title)[:63].strip("-"))
    digest = _digest(document)
    with transaction.atomic():
        known = Catalogue.objects.filter(key=series, digest=digest).first()
        if known is not None:
            return Imported(known, created=False)
        if Catalogue.objects.filter(key=series, version=catalogue.version).exists():
            raise ConflictError(
                f"{series} {catalogue.version} is here already with another content. A catalogue never changes: give "
                "the document another version, or import it under another key.",
                field="key",
            )
        return Imported(_keep(acting_user, catalogue, series, digest, Origin.IMPORTED, source), created=True)


def load_builtin() -> list[Catalogue]:
    """Bring in the catalogues and crosswalks of this release that are not here yet; returns the new catalogues.

    A catalogue that is new in this release becomes the current version of its series.
    """
    new = []
    for document in builtin.documents():
        catalogue, digest = oscal.read(document), _digest(document)
        with transaction.atomic():
            if not Catalogue.objects.filter(key=catalogue.key, digest=digest).exists():
                origin = next(iter(oscal.own_values(catalogue.head["metadata"], "origin")), "")
                new.append(_keep(None, catalogue, catalogue.key, digest, Origin.BUILT_IN, origin[:500]))
    for given in builtin.crosswalks():
        with transaction.atomic():
            if not Crosswalk.objects.filter(name=given["name"], digest=digest_of(given)).exists():
                _keep_crosswalk(given)
    return new


def _series(key: str) -> str:
    if not _KEY.fullmatch(key) or key in _RESERVED:
        raise InvalidError(
            "The key of a series is a lower-case letter, then up to 62 letters, digits and dashes, and not “import”.",
            field="key",
        )
    return key


def _digest(document: Any) -> str:
    try:
        return digest_of(document["catalog"])
    except NotCanonicalError:
        raise oscal.InvalidCatalogueError(
            "This document has no canonical form, so it cannot be named by a digest.", field="catalogue"
        ) from None


def _keep(acting_user: User | None, read: oscal.Read, key: str, digest: str, origin: Origin, source: str) -> Catalogue:
    last = Catalogue.objects.filter(key=key).order_by("-number").first()
    count = sum(entry.is_control for entry in read.entries)
    catalogue = Catalogue(
        key=key,
        number=last.number + 1 if last else 1,
        title=read.title,
        version=read.version,
        oscal_version=read.oscal_version,
        origin=origin,
        source=source,
        digest=digest,
        head=read.head,
        control_count=count,
        imported_by=acting_user,
    )
    try:
        with transaction.atomic():
            catalogue.save(force_insert=True)
    except IntegrityError:
        raise ConflictError(f"Somebody else has just imported a version of {key}; try again.", field="key") from None
    groups, controls = _rows(catalogue, read.entries)
    Group.objects.bulk_create(groups, batch_size=_BATCH)
    Control.objects.bulk_create(controls, batch_size=_BATCH)
    record(
        Event.CATALOGUE_IMPORTED,
        acting_user=acting_user,
        subject=urn("catalogue", catalogue.pk),
        payload={"key": key, "number": catalogue.number, "digest": digest, "controls": count, "origin": str(origin)},
    )
    return catalogue


def _rows(catalogue: Catalogue, entries: Sequence[oscal.Entry]) -> tuple[list[Group], list[Control]]:
    """The rows of all entries, parents before what stands in them."""
    made: list[Group | Control] = []
    for position, entry in enumerate(entries):
        parent = made[entry.parent] if entry.parent is not None else None
        common = {
            "catalogue": catalogue,
            "identifier": entry.identifier,
            "label": entry.label,
            "title": entry.title,
            "position": position,
            "content": entry.content,
        }
        if entry.is_control:
            made.append(_control(entry, parent, common))
        else:
            made.append(Group(**common, parent=parent))
    return [row for row in made if isinstance(row, Group)], [row for row in made if isinstance(row, Control)]


def _control(entry: oscal.Entry, parent: Group | Control | None, common: Mapping[str, Any]) -> Control:
    demanded = {name: entry.content[name] for name in ("params", "parts") if name in entry.content}
    return Control(
        **common,
        group=parent if isinstance(parent, Group) else parent.group if parent is not None else None,
        parent=parent if isinstance(parent, Control) else None,
        evidence=list(entry.evidence),
        support=entry.support,
        attestation=entry.attestation,
        why=entry.why,
        digest=digest_of({"id": entry.identifier, "title": entry.title, **demanded}),
    )


def _keep_crosswalk(given: Mapping[str, Any]) -> None:
    last = Crosswalk.objects.filter(name=given["name"]).order_by("-number").first()
    crosswalk = Crosswalk.objects.create(
        name=given["name"],
        number=last.number + 1 if last else 1,
        version=given["version"],
        source_key=given["source"],
        target_key=given["target"],
        strength=given["strength"],
        origin=given["origin"],
        note=given["note"],
        digest=digest_of(given),
    )
    links = [CrosswalkLink(crosswalk=crosswalk, source=source, target=target) for source, target in given["links"]]
    CrosswalkLink.objects.bulk_create(links, batch_size=_BATCH)
    record(
        Event.CROSSWALK_LOADED,
        acting_user=None,
        subject=urn("crosswalk", crosswalk.pk),
        payload={"name": crosswalk.name, "number": crosswalk.number, "digest": crosswalk.digest, "links": len(links)},
    )
