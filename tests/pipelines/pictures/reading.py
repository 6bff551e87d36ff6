"""Reads pictures back the way a strict reader does."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '"><script>alert(1)</script><a href="javascript:x"> & \x00\x1b\ud800 \'onload=x\' ]]> <!--'
_PLACES = {"x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "d", "points", "width", "height", "viewBox"}
_ATTRIBUTES = _PLACES | {"class", "role", "aria-label", "text-anchor", "href", "data-id", "data-source", "data-target"}
_ELEMENTS = {"svg", "g", "a", "title", "desc", "rect", "path", "text", "line", "circle", "polyline"}


def read(picture: str) -> ET.Element:
    """Parse a picture and check what holds for all: known elements and attributes, a title, no style, no NaN."""
    picture.encode()
    root = ET.fromstring(picture)  # noqa: S314 - it reads what the tests have just made
    assert root[0].tag == SVG + "title"
    assert root.get("aria-label")
    assert [element.get("id") for element in root.iter() if "id" in element.attrib] in ([], ["asked"])
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in _ELEMENTS
        assert set(element.attrib) <= _ATTRIBUTES | {"id"}
        assert not re.search(r"\b(nan|inf)\b", " ".join(v for k, v in element.items() if k in _PLACES))
    return root


def texts(root: ET.Element) -> list[str]:
    """All visible text."""
    return [element.text or "" for element in root.iter(SVG + "text")]


def by_class(root: ET.Element, name: str) -> list[ET.Element]:
    """All elements of a class."""
    return [element for element in root.iter() if name in (element.get("class") or "").split()]
