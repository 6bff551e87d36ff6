"""The shape of an OSCAL catalogue as one table, and the loop that holds a document against it. Pure.

After the JSON schema of OSCAL 1.2.1 (NIST), which the shapes of 1.1 are a part of. Stricter where the schema leaves a
choice between two kinds of line end or of white space; a test compares both.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

Place = tuple[str | int, ...]
Wrong = tuple[Place, str]

_UUID = re.compile(r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[45][0-9A-Fa-f]{3}-[89ABab][0-9A-Fa-f]{3}-[0-9A-Fa-f]{12}")
_MOMENT = re.compile(
    r"(19|2[0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"(Z|-(0[0-9]|1[0-2]):00|-0[39]:30|\+(0[0-9]|1[0-4]):00|\+(0[34569]|10):30|\+(0[58]|12):45)"
)
_ASCII_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*")
_URI_SIGNS = re.compile(r"(?:[A-Za-z0-9\-._~:/?#@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:.")
_BASE64 = re.compile(r"[0-9A-Za-z+/]+={0,2}")
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_LINE_ENDS = frozenset("\n\r\u2028\u2029\x0b\x0c\x85")


def is_token(text: str) -> bool:
    """A name of XML without a colon: a letter or ``_``, then letters, digits, ``.``, ``-``, ``_``."""
    if _ASCII_TOKEN.fullmatch(text):
        return True
    kinds = [unicodedata.category(sign)[0] for sign in text]
    return (
        bool(text)
        and (kinds[0] == "L" or text[0] == "_")
        and all(kind in "LN" or sign in "._-" for kind, sign in zip(kinds, text, strict=True))
    )


def _is_line(text: str) -> bool:
    return bool(text) and not _LINE_ENDS.intersection(text)


def _is_string(text: str) -> bool:
    edges = text[:1] + text[-1:]
    return _is_line(text) and not any(sign.isspace() or sign == "\ufeff" for sign in edges)


def _is_reference(text: str) -> bool:
    """RFC 3986, without addresses in brackets."""
    if not _URI_SIGNS.fullmatch(text) or text.count("#") > 1:
        return False
    first = re.split(r"[/?#]", text, maxsplit=1)[0]
    try:
        port = urlsplit(text).port
    except ValueError:
        return False
    return (":" not in first or bool(re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", first))) and (port is None or port >= 0)


def _is_uri(text: str) -> bool:
    return bool(_SCHEME.match(text)) and _is_reference(text)


def _is_moment(text: str) -> bool:
    try:
        return bool(_MOMENT.fullmatch(text)) and datetime.fromisoformat(text) is not None
    except ValueError:
        return False


# name → (whether a text is one, what it should have been)
ATOMS: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "token": (is_token, "a letter or underscore, then letters, digits, dots, dashes, underscores"),
    "string": (_is_string, "one line of text without white space at its ends"),
    "line": (_is_line, "one line of text"),
    "markup": (lambda text: True, "text"),
    "uri": (_is_uri, "a URI (RFC 3986)"),
    "reference": (_is_reference, "a URI reference (RFC 3986)"),
    "uuid": (lambda text: bool(_UUID.fullmatch(text)), "a UUID of version 4 or 5"),
    "moment": (_is_moment, "a time with its zone, such as 2026-11-21T06:50:48Z"),
    "base64": (lambda text: bool(_BASE64.fullmatch(text)), "base64"),
    "email": (lambda text: bool(_EMAIL.fullmatch(text)), "an e-mail address"),
    "how-many": (lambda text: text in ("one", "one-or-more"), "“one” or “one-or-more”"),
    "party-type": (lambda text: text in ("person", "organization"), "“person” or “organization”"),
}

# shape → member → what it is; ``*`` a list of at least one, ``!`` needed
_ABOUT = {"props": "*property", "links": "*link", "remarks": "markup"}
SHAPES: Mapping[str, Mapping[str, str]] = {
    "document": {"$schema": "reference", "catalog": "catalog!"},
    "catalog": {
        "uuid": "uuid!",
        "metadata": "metadata!",
        "params": "*parameter",
        "controls": "*control",
        "groups": "*group",
        "back-matter": "back-matter",
    },
    "group": {
        "id": "token",
        "class": "token",
        "title": "line!",
        "params": "*parameter",
        "props": "*property",
        "links": "*link",
        "parts": "*part",
        "groups": "*group",
        "controls": "*control",
    },
    "control": {
        "id": "token!",
        "class": "token",
        "title": "line!",
        "params": "*parameter",
        "props": "*property",
        "links": "*link",
        "parts": "*part",
        "controls": "*control",
    },
    "part": {
        "id": "token",
        "name": "token!",
        "ns": "uri",
        "class": "token",
        "title": "line",
        "props": "*property",
        "prose": "markup",
        "parts": "*part",
        "links": "*link",
    },
    "parameter": {
        "id": "token!",
        "class": "token",
        "depends-on": "token",
        "label": "line",
        "usage": "markup",
        "constraints": "*constraint",
        "guidelines": "*guideline",
        "values": "*string",
        "select": "selection",
        **_ABOUT,
    },
    "constraint": {"description": "markup", "tests": "*test"},
    "test": {"expression": "string!", "remarks": "markup"},
    "guideline": {"prose": "markup!"},
    "selection": {"how-many": "how-many", "choice": "*line"},
    "property": {
        "name": "token!",
        "uuid": "uuid",
        "ns": "uri",
        "value": "string!",
        "class": "token",
        "group": "token",
        "remarks": "markup",
    },
    "link": {
        "href": "reference!",
        "rel": "token",
        "media-type": "string",
        "resource-fragment": "string",
        "text": "line",
    },
    "metadata": {
        "title": "line!",
        "published": "moment",
        "last-modified": "moment!",
        "version": "string!",
        "oscal-version": "string!",
        "revisions": "*revision",
        "document-ids": "*document-id",
        "roles": "*role",
        "locations": "*location",
        "parties": "*party",
        "responsible-parties": "*responsible-party",
        "actions": "*action",
        **_ABOUT,
    },
    "revision": {
        "title": "line",
        "published": "moment",
        "last-modified": "moment",
        "version": "string!",
        "oscal-version": "string",
        **_ABOUT,
    },
    "document-id": {"scheme": "uri", "identifier": "string!"},
    "role": {"id": "token!", "title": "line!", "short-name": "string", "description": "markup", **_ABOUT},
    "location": {
        "uuid": "uuid!",
        "title": "line",
        "address": "address",
        "email-addresses": "*email",
        "telephone-numbers": "*telephone",
        "urls": "*uri",
        **_ABOUT,
    },
    "address": {
        "type": "token",
        "addr-lines": "*string",
        "city": "string",
        "state": "string",
        "postal-code": "string",
        "country": "string",
    },
    "telephone": {"type": "string", "number": "string!"},
    "party": {
        "uuid": "uuid!",
        "type": "party-type!",
        "name": "string",
        "short-name": "string",
        "external-ids": "*external-id",
        "email-addresses": "*email",
        "telephone-numbers": "*telephone",
        "addresses": "*address",
        "location-uuids": "*uuid",
        "member-of-organizations": "*uuid",
        **_ABOUT,
    },
    "external-id": {"scheme": "uri!", "id": "string!"},
    "responsible-party": {"role-id": "token!", "party-uuids": "*uuid!", **_ABOUT},
    "action": {
        "uuid": "uuid!",
        "date": "moment",
        "type": "token!",
        "system": "uri!",
        "responsible-parties": "*responsible-party",
        **_ABOUT,
    },
    "back-matter": {"resources": "*resource"},
    "resource": {
        "uuid": "uuid!",
        "title": "line",
        "description": "markup",
        "props": "*property",
        "document-ids": "*document-id",
        "citation": "citation",
        "rlinks": "*rlink",
        "base64": "enclosed",
        "remarks": "markup",
    },
    "citation": {"text": "line!", "props": "*property", "links": "*link"},
    "rlink": {"href": "reference!", "media-type": "string", "hashes": "*hash"},
    "hash": {"algorithm": "string!", "value": "string!"},
    "enclosed": {"filename": "token", "media-type": "string", "value": "base64!"},
}
# of these members a shape has one at most
EITHER: Mapping[str, tuple[str, str]] = {
    "group": ("groups", "controls"),
    "parameter": ("values", "select"),
    "party": ("addresses", "location-uuids"),
}


def wrong(document: Any, shape: str = "document") -> Iterator[Wrong]:
    """Every place where the document does not have the shape, with what would be right; without recursion."""
    waiting: list[tuple[Any, str, Place]] = [(document, shape, ())]
    while waiting:
        value, kind, place = waiting.pop()
        if kind.startswith("*"):
            if not isinstance(value, list) or not value:
                yield place, "must be a list with something in it; leave it out where there is nothing"
            else:
                waiting += [(one, kind[1:], (*place, at)) for at, one in enumerate(value)][::-1]
        elif kind in ATOMS:
            good, should_be = ATOMS[kind]
            if not isinstance(value, str) or not good(value):
                yield place, f"must be {should_be}"
        elif not isinstance(value, dict):
            yield place, "must be an object"
        else:
            yield from _wrong_members(value, kind, place)
            members = SHAPES[kind]
            waiting += [
                (one, members[name].rstrip("!"), (*place, name)) for name, one in value.items() if name in members
            ][::-1]


def _wrong_members(value: Mapping[str, Any], kind: str, place: Place) -> Iterator[Wrong]:
    members = SHAPES[kind]
    for name in value:
        if name not in members:
            yield (*place, name[:60]), f"is not known here; there is {', '.join(members)}"
    for name, what in members.items():
        if what.endswith("!") and name not in value:
            yield (*place, name), "is missing"
    one, other = EITHER.get(kind, ("", ""))
    if one in value and other in value:
        yield (*place, other), f"cannot stand beside “{one}”"


def pointer(place: Place) -> str:
    """A place as a JSON pointer (RFC 6901): ``/catalog/groups/3/id``."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in place) or "/"
