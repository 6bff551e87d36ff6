"""OSCAL catalogues made for tests."""

from __future__ import annotations

import copy
import uuid
from typing import Any

from governance.frameworks.models import Catalogue, Control
from governance.frameworks.services.catalogues import load_builtin

MOMENT = "2026-11-21T06:50:48Z"


def small(*controls: dict[str, Any], version: str = "1", oscal_version: str = "1.2.1", **metadata: Any) -> Any:
    """A catalogue of one group with these controls, one plain one without any."""
    return {
        "catalog": {
            "uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"small {version}")),
            "metadata": {
                "title": "House rules",
                "last-modified": MOMENT,
                "version": version,
                "oscal-version": oscal_version,
                **metadata,
            },
            "groups": [{"id": "g1", "title": "First", "controls": list(controls) or [control("c-1")]}],
        }
    }


def control(identifier: str, title: str = "Do it", **more: Any) -> dict[str, Any]:
    return {"id": identifier, "title": title, **copy.deepcopy(more)}


def large(controls: int, families: int = 20, prose: str = "") -> Any:
    """Shaped like SP 800-53: families, controls with parameters, nested statements, guidance, links, enhancements.

    ``controls`` counts the enhancements too, of which every control but the last may have two.
    """
    made = [_numbered(number, prose) for number in range(controls)]
    top = []
    while made:
        head, *inner = made[:3]
        del made[:3]
        top.append({**head, **({"controls": inner} if inner else {})})
    size = -(-len(top) // families)
    groups = [
        {
            "id": f"f{at}",
            "class": "family",
            "title": f"Family {at}",
            "controls": top[at * size : (at + 1) * size],
        }
        for at in range(families)
        if top[at * size : (at + 1) * size]
    ]
    document = small(version="5")
    document["catalog"]["groups"] = groups
    document["catalog"]["metadata"] |= {
        "title": "A large catalogue",
        "roles": [{"id": "creator", "title": "Document creator"}],
        "parties": [{"uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, "party")), "type": "organization", "name": "Somebody"}],
    }
    document["catalog"]["back-matter"] = {
        "resources": [
            {"uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"r{at}")), "title": f"Resource {at}"} for at in range(50)
        ]
    }
    return document


def _numbered(number: int, prose: str) -> dict[str, Any]:
    name = f"x-{number}"
    text = prose or f"Define {{{{ insert: param, {name}_prm_1 }}}} and review it."
    items = [
        {
            "id": f"{name}_smt.{letter}",
            "name": "item",
            "prose": text,
            "props": [{"name": "label", "value": f"{letter}."}],
        }
        for letter in "abc"
    ]
    return {
        "id": name,
        "class": "SP800-53",
        "title": f"Control {number}",
        "params": [
            {
                "id": f"{name}_prm_1",
                "label": "frequency",
                "guidelines": [{"prose": "how often"}],
            }
        ],
        "props": [{"name": "label", "value": f"X-{number}"}],
        "links": [
            {"href": f"#x-{(number + 1) % 7}", "rel": "related"},
            {"href": f"#x-{number // 2}", "rel": "related"},
        ],
        "parts": [
            {"id": f"{name}_smt", "name": "statement", "parts": items},
            {"id": f"{name}_gdn", "name": "guidance", "prose": text * 3},
        ],
    }


def builtin(key: str = "nist-ai-rmf") -> Catalogue:
    """The current catalogue of a built-in series; all of them are loaded."""
    load_builtin()
    return Catalogue.objects.filter(key=key).latest("number")


def control_of(label: str, key: str = "nist-ai-rmf") -> Control:
    """A control of a loaded catalogue by its label."""
    return Control.objects.select_related("catalogue").get(catalogue__key=key, label=label)
