"""A model card as model hubs read it: YAML metadata (with a model-index of results), then Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from governance.documents import visible
from governance.documents.machine import markdown

Given = Mapping[str, Any]


def card(given: Given, outline: Mapping[str, Any]) -> str:
    """The file ``README.md`` of a model repository. A licence is not on record, so none is claimed."""
    told = visible.everywhere(_metadata(given), _line)
    metadata = yaml.safe_dump(told, sort_keys=False, allow_unicode=False, width=100_000)
    return f"---\n{metadata}---\n\n{markdown.document(outline)}"


def _line(text: str) -> str:
    """One line: readers look for the end of the metadata line by line."""
    return " ".join(visible.for_screen(text).split())


def _metadata(given: Given) -> dict[str, Any]:
    content, model = given["content"], given["content"]["model"]
    classifies = any(row["uses"].startswith("evaluate.classification") for row in content["evidence"])
    task = "tabular-classification" if classifies else "other"
    metrics = _metrics(content["evidence"])
    made: dict[str, Any] = {
        "tags": ["countersign", task, f"risk-{given['system']['tier']}"],
        "model_name": f"{model['model']} v{model['number']}",
    }
    if "skops" in model["media_type"]:
        made["library_name"] = "sklearn"
    if metrics:
        made["metrics"] = sorted({row["type"] for row in metrics})
        made["model-index"] = [
            {
                "name": model["model"],
                "results": [
                    {
                        "task": {"type": task},
                        "dataset": _dataset(content["data"]),
                        "metrics": metrics,
                        "source": {"name": "Countersign", "url": f"urn:uuid:{given['export']}"},
                    }
                ],
            }
        ]
    return made


def _metrics(rows: list[Given]) -> list[dict[str, Any]]:
    """Measurements over all rows that have a value."""
    return [
        {"type": one["name"], "name": f"{one['name']} ({row['kind']})", "value": one["value"], "verified": False}
        for row in rows
        for one in row["measurements"]
        if one["value"] is not None and not one.get("slice")
    ]


def _dataset(data: Given) -> dict[str, str]:
    """The table that stands last in the list, by name and digest; a hub's id is not known."""
    tables = data["tables"]
    if not tables:
        return {"name": "not on record", "type": "unknown"}
    return {"name": tables[-1]["dataset"], "type": "private", "revision": tables[-1]["digest"]}
