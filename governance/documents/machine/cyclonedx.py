"""A machine-learning bill of materials: CycloneDX 1.6 with a modelCard (ECMA-424).

Written as plain JSON, since the Python library's object model has no modelCard and would drop it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.documents.outlines import models, parts

Given = Mapping[str, Any]
SUPERVISED = ("train.sklearn",)


def bill(given: Given) -> dict[str, Any]:
    """The bill of one model version: the model with its card, its data, the packages of the run that made it."""
    content = given["content"]
    model, tables, packages = _model(given), _data(content["data"]), _packages(content["run"])
    made_from = [row["bom-ref"] for row in [*tables, *packages]]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{given['export']}",
        "version": 1,
        "metadata": {
            "timestamp": given["made_at"],
            "tools": {"components": [{"type": "application", "name": "Countersign"}]},
            "component": model,
            "properties": _properties({"purpose": given["purpose"], "requested-by": given["requested_by"]["name"]}),
        },
        "components": [*tables, *packages],
        "dependencies": [{"ref": model["bom-ref"], "dependsOn": made_from}, *({"ref": one} for one in made_from)],
    }


def _model(given: Given) -> dict[str, Any]:
    content, model = given["content"], given["content"]["model"]
    held = content["approval"]
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{model['digest']}",
        "name": model["model"],
        "version": str(model["number"]),
        "description": model["description"] or given["system"]["purpose"] or "No description is on record.",
        "hashes": [{"alg": "SHA-256", "content": model["digest"]}],
        "modelCard": {
            "modelParameters": _parameters(content),
            "quantitativeAnalysis": {"performanceMetrics": _metrics(content["evidence"])},
            "considerations": {
                "users": [given["system"]["owner"]["name"] or "not on record"],
                "useCases": [given["system"]["purpose"] or "not on record"],
                "technicalLimitations": [part["text"] for part in models.limitations(content)],
            },
        },
        "properties": _properties(
            {
                "system": given["system"]["slug"],
                "risk-tier": given["system"]["tier"],
                "approval": held["status"] if held else "none",
                "approval-valid-until": held["valid_until"] if held else "",
                "pipeline-sha256": content["run"]["pipeline_digest"],
                "seed": content["run"]["seed"],
            }
        ),
    }


def _parameters(content: Given) -> dict[str, Any]:
    training = content["training"]
    made: dict[str, Any] = {"datasets": [{"ref": f"data:{row['digest']}"} for row in _unique(content["data"])]}
    if training["uses"].startswith(SUPERVISED):
        made["approach"] = {"type": "supervised"}
    if any(row["uses"].startswith("evaluate.classification") for row in content["evidence"]):
        made["task"] = "classification"
    if isinstance(estimator := training["params"].get("estimator"), str):
        made["modelArchitecture"] = estimator
    return made


def _metrics(rows: list[Given]) -> list[dict[str, Any]]:
    """Every measurement that has a value; numbers are texts in this format."""
    found = []
    for row in rows:
        for one in row["measurements"]:
            if one["value"] is None:
                continue
            metric: dict[str, Any] = {"type": f"{row['kind']}: {one['name']}", "value": repr(one["value"])}
            if one.get("slice"):
                metric["slice"] = parts.group(one)
            if interval := one.get("interval"):
                metric["confidenceInterval"] = {
                    "lowerBound": repr(interval["low"]), "upperBound": repr(interval["high"]),
                }  # fmt: skip
            found.append(metric)
    return found


def _data(data: Given) -> list[dict[str, Any]]:
    return [
        {
            "type": "data",
            "bom-ref": f"data:{row['digest']}",
            "name": row.get("dataset") or row.get("origin"),
            **({"version": str(row["number"])} if "number" in row else {}),
            "hashes": [{"alg": "SHA-256", "content": row["digest"]}],
            "data": [
                {
                    "type": "dataset",
                    "name": row.get("dataset") or row.get("origin"),
                    "contents": {"properties": _properties(_sizes(row))},
                    "sensitiveData": [one["name"] for one in row.get("columns", ()) if one.get("personal")],
                }
            ],
        }
        for row in _unique(data)
    ]


def _unique(data: Given) -> list[Given]:
    """Tables and files, each content once."""
    return list({row["digest"]: row for row in [*data["sources"], *data["tables"]]}.values())


def _sizes(row: Given) -> dict[str, str]:
    return {name: str(row[name]) for name in ("rows", "bytes") if name in row}


def _packages(run: Given) -> list[dict[str, Any]]:
    packages = run["environment"].get("packages", {})
    return [
        {"type": "library", "bom-ref": f"pkg:pypi/{name}@{version}", "name": name, "version": version,
         "purl": f"pkg:pypi/{name}@{version}"}
        for name, version in sorted(packages.items())
    ]  # fmt: skip


def _properties(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": f"countersign:{name}", "value": value} for name, value in values.items() if value]
