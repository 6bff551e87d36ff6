"""Large OSCAL catalogues, shaped like NIST SP 800-53."""

from __future__ import annotations

import uuid
from typing import Any

MOMENT = "2026-11-21T06:50:48Z"


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
    metadata = {
        "title": "A large catalogue",
        "last-modified": MOMENT,
        "version": "5",
        "oscal-version": "1.2.1",
        "roles": [{"id": "creator", "title": "Document creator"}],
        "parties": [{"uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, "party")), "type": "organization", "name": "Somebody"}],
    }
    resources = [{"uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"r{at}")), "title": f"Resource {at}"} for at in range(50)]
    name = str(uuid.uuid5(uuid.NAMESPACE_URL, f"large {controls}"))
    whole = {"uuid": name, "metadata": metadata, "groups": groups, "back-matter": {"resources": resources}}
    return {"catalog": whole}


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
