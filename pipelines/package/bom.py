"""CycloneDX 1.6 bill of materials of a model, with its model card, as plain dictionaries. Pure.

The Python library of CycloneDX has no model card and drops one that it reads, so the members are written here by the
names of the specification (ECMA-424, ``modelCard``); tests validate against its strict schema.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pipelines.package.documents import considerations, metrics
from pipelines.package.facts import Data, Facts
from security.canonical import digest_of

_SERIALS = uuid.UUID("6f0b7c0e-6a35-5a7c-9a55-0d9f8a4d8f10")  # the name space of our serial numbers
_MODEL = "model"


def bom(facts: Facts) -> dict[str, Any]:
    """The bill of one model version: the model with its card, its training data, the packages it was made with."""
    data, libraries = [_data(one) for one in facts.data], [_library(*one) for one in sorted(facts.packages.items())]
    used = [one["bom-ref"] for one in (*data, *libraries)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{_serial(facts)}",
        "version": 1,
        "metadata": {"timestamp": facts.created_at, "component": _model(facts)},
        "components": [*data, *libraries],
        "dependencies": [{"ref": _MODEL, "dependsOn": used}, *({"ref": ref} for ref in used)],
    }


def _serial(facts: Facts) -> uuid.UUID:
    known = [facts.version_id, facts.digest, facts.onnx.get("digest", ""), *(one.digest for one in facts.findings)]
    return uuid.uuid5(_SERIALS, digest_of(known))


def _model(facts: Facts) -> dict[str, Any]:
    component = {
        "type": "machine-learning-model",
        "bom-ref": _MODEL,
        "name": facts.model["name"],
        "version": str(facts.number),
        "hashes": _hashes(facts.digest),
        "modelCard": _card(facts),
    }
    if description := facts.model.get("description"):
        component["description"] = description
    if supplier := facts.origin.get("supplier"):
        component["supplier"] = {"name": supplier}
    return component


def _card(facts: Facts) -> dict[str, Any]:
    known = considerations(facts)
    named = {"useCases": known["use_cases"], "technicalLimitations": known["technical_limitations"]}
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": facts.task,
            "modelArchitecture": facts.estimator,
            "datasets": [{"ref": _reference(one)} for one in facts.data],
            "inputs": [{"format": f"{column['name']}: {column['kind']}"} for column in facts.columns],
            "outputs": [{"format": one} for one in facts.classes or ["number"]],
        },
        "quantitativeAnalysis": {"performanceMetrics": [_metric(one) for one in metrics(facts)]},
        "considerations": {name: values for name, values in named.items() if values},
    }


def _metric(one: Mapping[str, Any]) -> dict[str, Any]:
    """CycloneDX wants figures as text."""
    metric: dict[str, Any] = {"type": one["name"], "value": _figure(one["value"])}
    if one.get("slice"):
        metric["slice"] = ", ".join(f"{name}={value}" for name, value in sorted(one["slice"].items()))
    if interval := one.get("interval"):
        low, high = _figure(interval["low"]), _figure(interval["high"])
        metric["confidenceInterval"] = {"lowerBound": low, "upperBound": high}
    return metric


def _figure(value: float) -> str:
    return repr(float(value))


def _data(one: Data) -> dict[str, Any]:
    personal = [str(column["name"]) for column in one.columns if column.get("personal")]
    described = {"type": "dataset", "name": one.name, "classification": "personal" if personal else "not personal"}
    return {
        "type": "data",
        "bom-ref": _reference(one),
        "name": one.name,
        "hashes": _hashes(one.digest),
        "data": [{**described, **({"sensitiveData": personal} if personal else {})}],
    }


def _reference(one: Data) -> str:
    return f"data:{one.digest}"


def _library(name: str, number: str) -> dict[str, Any]:
    address = f"pkg:pypi/{quote(name.lower().replace('_', '-'), safe='')}@{quote(number, safe='')}"
    return {"type": "library", "bom-ref": address, "name": name, "version": number, "purl": address}


def _hashes(digest: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": digest}]
