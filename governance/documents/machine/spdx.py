"""An SPDX 3.0.1 document with the AI and Dataset profiles, as JSON-LD (ISO/IEC 5962 in its next edition)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.documents.outlines import models

Given = Mapping[str, Any]
CONTEXT = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
_CREATED = "_:creation"


def document(given: Given) -> dict[str, Any]:
    """The document of one model version: an AI package, the data sets that it was trained on, and how they relate."""
    base = f"urn:uuid:{given['export']}#"
    agent = {
        "type": "SoftwareAgent", "spdxId": f"{base}agent", "creationInfo": _CREATED, "name": "Countersign",
    }  # fmt: skip
    package = _package(given, base)
    tables = [_dataset(row, f"{base}data-{at}", given) for at, row in enumerate(_unique(given["content"]["data"]))]
    related = [_trained_on(package, tables, base)] if tables else []
    elements = [agent, package, *tables, *related]
    return {
        "@context": CONTEXT,
        "@graph": [
            {
                "type": "CreationInfo",
                "@id": _CREATED,
                "specVersion": "3.0.1",
                "created": _second(given["made_at"]),
                "createdBy": [agent["spdxId"]],
            },
            {
                "type": "SpdxDocument",
                "spdxId": f"{base}document",
                "creationInfo": _CREATED,
                "name": f"{package['name']} {package['software_packageVersion']}",
                "profileConformance": ["core", "software", "ai", "dataset"],
                "rootElement": [package["spdxId"]],
                "element": [element["spdxId"] for element in elements],
            },
            *elements,
        ],
    }


def _package(given: Given, base: str) -> dict[str, Any]:
    content, model = given["content"], given["content"]["model"]
    training, run = content["training"], content["run"]
    trained = (
        f"Step {training['step'] or 'unknown'} ({training['uses'] or 'unknown'}) of {run['pipeline']} "
        f"v{run['pipeline_version']}, SHA-256 {run['pipeline_digest']}, seed {run['seed']}."
    )
    made: dict[str, Any] = {
        "type": "ai_AIPackage",
        "spdxId": f"{base}model",
        "creationInfo": _CREATED,
        "name": model["model"],
        "software_packageVersion": str(model["number"]),
        "software_primaryPurpose": "model",
        "software_downloadLocation": f"urn:sha256:{model['digest']}",
        "releaseTime": _second(model["registered_at"]),
        "suppliedBy": f"{base}agent",
        "verifiedUsing": [_hash(model["digest"])],
        "ai_informationAboutTraining": trained,
        "ai_informationAboutApplication": given["system"]["purpose"] or "not on record",
        "ai_limitation": "\n".join(part["text"] for part in models.limitations(content)),
        "ai_safetyRiskAssessment": given["system"]["tier"],
        "ai_hyperparameter": [
            _entry(name, models.value_text(value)) for name, value in sorted(training["params"].items())
        ],
        "ai_metric": [
            _entry(f"{row['kind']}: {one['name']}", repr(one["value"]))
            for row in content["evidence"]
            for one in row["measurements"]
            if one["value"] is not None and not one.get("slice")
        ],
    }
    if isinstance(estimator := training["params"].get("estimator"), str):
        made["ai_typeOfModel"] = [estimator]
    if model["description"]:
        made["description"] = model["description"]
    return made


def _dataset(row: Given, identifier: str, given: Given) -> dict[str, Any]:
    sensitive = any(one.get("personal") for one in row.get("columns", ()))
    made: dict[str, Any] = {
        "type": "dataset_DatasetPackage",
        "spdxId": identifier,
        "creationInfo": _CREATED,
        "name": row.get("dataset") or row["origin"],
        "software_primaryPurpose": "data",
        "software_downloadLocation": f"urn:sha256:{row['digest']}",
        "builtTime": _second(row.get("created_at") or given["content"]["model"]["registered_at"]),
        "releaseTime": _second(row.get("created_at") or given["content"]["model"]["registered_at"]),
        "originatedBy": [f"{identifier.partition('#')[0]}#agent"],
        "verifiedUsing": [_hash(row["digest"])],
        "dataset_datasetType": ["structured"],
        "dataset_hasSensitivePersonalInformation": "yes" if sensitive else "noAssertion",
    }
    if "bytes" in row:
        made["dataset_datasetSize"] = row["bytes"]
    return made


def _trained_on(package: Given, tables: list[dict[str, Any]], base: str) -> dict[str, Any]:
    return {
        "type": "Relationship",
        "spdxId": f"{base}trained-on",
        "creationInfo": _CREATED,
        "from": package["spdxId"],
        "relationshipType": "trainedOn",
        "to": [table["spdxId"] for table in tables],
    }


def _unique(data: Given) -> list[Given]:
    return list({row["digest"]: row for row in [*data["sources"], *data["tables"]]}.values())


def _hash(digest: str) -> dict[str, str]:
    return {"type": "Hash", "algorithm": "sha256", "hashValue": digest}


def _entry(key: str, value: str) -> dict[str, str]:
    return {"type": "DictionaryEntry", "key": key, "value": value}


def _second(stamp: str) -> str:
    """RFC 3339 in whole seconds, the only form of a time in SPDX."""
    return f"{stamp[:19]}Z"
