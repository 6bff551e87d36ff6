"""The catalogues and crosswalks that this release ships, as data: catalogues are OSCAL documents like any other. Pure.

Titles and duties are in our own words: facts about the frameworks, not their texts.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from governance.frameworks import airmf
from governance.frameworks.oscal import VERSION, own_property

AI_RMF = "nist-ai-rmf"
_FOLDER = Path(__file__).parents[1] / "catalogues"
_FILES = ("nist_ai_600_1.json", "iso42001_annex_a.json", "eu_ai_act.json")
_NAMES = uuid.UUID("0b5c3f0e-5a0f-5d0a-9a53-52fa0f4f6d1e")  # names the documents' own UUIDs (version 5)


@cache
def documents() -> tuple[Mapping[str, Any], ...]:
    """The built-in catalogues as OSCAL documents."""
    return (_document(_ai_rmf()), *(_document(_load(name)) for name in _FILES))


@cache
def crosswalks() -> tuple[Mapping[str, Any], ...]:
    """The built-in crosswalks: name, version, keys of two catalogues, strength, origin, note, and pairs of ids."""
    return tuple(_load("crosswalks.json"))


def identifier(label: str) -> str:
    """The id of a control from its label: ``govern-1.1`` for ``GOVERN 1.1``."""
    return label.lower().replace(" ", "-")


def _document(given: Mapping[str, Any]) -> Mapping[str, Any]:
    dates = given.get("dates", {})
    props = [own_property("catalogue-key", given["key"]), own_property("origin", given["source"])]
    props += [own_property(f"date-{name.replace('_', '-')}", value) for name, value in dates.items()]
    metadata = {
        "title": given["title"],
        "last-modified": given["last_modified"],
        "version": given["version"],
        "oscal-version": VERSION,
        "props": props,
        "remarks": given["remarks"],
    }
    name = f"{given['key']} {given['version']} {given['last_modified']}"
    groups = [_group(group, given) for group in given["groups"]]
    return {"catalog": {"uuid": str(uuid.uuid5(_NAMES, name)), "metadata": metadata, "groups": groups}}


def _group(group: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    made = {"id": group["id"], "title": group["title"], "props": [{"name": "label", "value": group["label"]}]}
    if "groups" in group:
        return {**made, "groups": [_group(one, usual) for one in group["groups"]]}
    return {**made, "controls": [_control({**usual, **control}) for control in group["controls"]]}


def _control(control: Mapping[str, Any]) -> dict[str, Any]:
    props = [{"name": "label", "value": control["label"]}]
    props += [own_property("evidence-kind", kind) for kind in control.get("evidence", ())]
    props.append(own_property("support", control["support"]))
    props.append(own_property("attestation", "needed" if control["attestation"] else "not-needed"))
    props.append(own_property("why", control["why"]))
    made: dict[str, Any] = {"id": control["id"], "title": control["title"], "props": props}
    if control.get("text"):
        made["parts"] = [{"id": f"{control['id']}_smt", "name": "statement", "prose": control["text"]}]
    return made


def _ai_rmf() -> Mapping[str, Any]:
    """The core: functions, their categories, and in these the subcategories as controls."""
    given = _load("ai_rmf_categories.json")
    outcomes = {row.id: row for row in airmf.subcategories()}
    groups = [
        {
            "id": function["function"].lower(),
            "label": function["function"],
            "title": function["title"],
            "groups": [_category(one, outcomes) for one in function["categories"]],
        }
        for function in given["functions"]
    ]
    return {**given, "groups": groups}


def _category(category: Mapping[str, Any], outcomes: Mapping[str, airmf.Subcategory]) -> dict[str, Any]:
    return {
        "id": identifier(category["id"]),
        "label": category["id"],
        "title": category["title"],
        "controls": list(_outcomes(outcomes[label] for label in category["subcategories"])),
    }


def _outcomes(rows: Iterable[airmf.Subcategory]) -> Iterable[dict[str, Any]]:
    for row in rows:
        same = {name: getattr(row, name) for name in ("title", "evidence", "support", "attestation", "why")}
        yield {"id": identifier(row.id), "label": row.id, **same}


def _load(name: str) -> Any:
    return json.loads((_FOLDER / name).read_text(encoding="utf-8"))
