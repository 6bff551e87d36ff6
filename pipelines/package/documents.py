"""The documents of a package, each a pure function of the facts: schemas, parameters, requirements, model card."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pipelines.package.facts import Data, Facts, Finding

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+!_-]*")
_MEASURES = ("holdout_metrics", "slice_metrics", "fairness_metrics", "calibration_report", "robustness_report")


def input_schema(facts: Facts) -> dict[str, Any]:
    """One row of the input as JSON Schema (2020-12). A missing value is null."""
    properties = {column["name"]: _property(column) for column in facts.columns}
    return {
        "$schema": DRAFT,
        "title": f"Input of {facts.title}",
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def output_schema(facts: Facts) -> dict[str, Any]:
    """One answer as JSON Schema: a number, or a class with the probability of each."""
    answer: dict[str, Any] = {"value": {"type": "number"}}
    required = ["value"]
    if facts.task == "classification":
        fraction = {"type": "number", "minimum": 0, "maximum": 1}
        scores = {"type": "object", "properties": dict.fromkeys(facts.classes, fraction), "additionalProperties": False}
        label = {"enum": facts.classes} if facts.classes else {"type": "string"}
        answer, required = {"label": label, "probabilities": scores}, ["label"]
    return {
        "$schema": DRAFT,
        "title": f"Answer of {facts.title}",
        "type": "object",
        "properties": answer,
        "required": required,
        "additionalProperties": False,
    }


def preprocessing(facts: Facts) -> dict[str, Any]:
    """What happens to a row: outside, in the steps before training, and inside the model itself."""
    inside = []
    for kind, what in (
        ("numeric", "median imputation, then scaling to zero mean and unit deviation"),
        ("categorical", "one-hot encoding; rare and unknown values share a bin"),
    ):
        if names := facts.training.get(kind):
            inside.append({"columns": [str(name) for name in names], "what": what})
    return {"before": [dict(step) for step in facts.steps], "inside": inside}


def parameters(facts: Facts) -> dict[str, Any]:
    """How it was fitted, and what answers it turns into a decision."""
    names = ("estimator", "parameters", "class_weight", "seed", "target", "rows")
    return {
        "run": {"parameters": facts.run.get("parameters", {}), "seed": facts.run.get("seed")},
        "training": {name: facts.training[name] for name in names if name in facts.training},
        "decision": {"rule": "highest probability", "classes": facts.classes} if facts.classes else {},
    }


def requirements(facts: Facts) -> str:
    """The packages with which the run was executed, exactly, as pip reads them."""
    environment = facts.run.get("environment", {})
    lines = [
        f"# {facts.title}: Python {environment.get('python', 'unknown')} on {environment.get('platform', 'unknown')}",
        f"# SHA-256 over all installed packages: {environment.get('packages_sha256', 'unknown')}",
    ]
    if not environment.get("installed"):
        lines.append("# the run recorded only these")
    locked = sorted(facts.packages.items(), key=lambda pair: pair[0].lower())
    lines += [f"{name}=={number}" for name, number in locked if _NAME.fullmatch(name) and _NUMBER.fullmatch(number)]
    return "".join(f"{line}\n" for line in lines)


def metrics(facts: Facts) -> list[dict[str, Any]]:
    """Every figure of the checks of quality: name, value, interval, number of rows, slice, and the check's digest."""
    found = []
    for finding in facts.findings:
        for one in finding.content["measurements"] if finding.kind in _MEASURES else ():
            if one.get("value") is not None:
                kept = ("name", "value", "unit", "n", "interval", "slice")
                found.append({**{name: one.get(name) for name in kept}, "evidence": finding.digest})
    return found


def model_card(facts: Facts) -> dict[str, Any]:
    """The data of a model card, without prose of our own where nobody has said anything."""
    return {
        "name": facts.model["name"],
        "version": facts.number,
        "sha256": facts.digest,
        "description": facts.model.get("description", ""),
        "system": dict(facts.system),
        "registered": {"at": facts.created_at, "by": facts.created_by},
        "origin": dict(facts.origin),
        "model": {"task": facts.task, "type": facts.estimator, "inputs": facts.columns, "classes": facts.classes},
        "training_data": [_data(one) for one in facts.data],
        "metrics": metrics(facts),
        "evidence": [_finding(one) for one in facts.findings],
        "considerations": considerations(facts),
    }


def considerations(facts: Facts) -> dict[str, list[str]]:
    """What is known to speak for care: the intended purpose, checks that did not pass, data that was only declared."""
    failed = [one for one in facts.findings if one.content["verdict"] != "pass"]
    limits = [f"{one.kind.replace('_', ' ')}: {one.content['verdict']}. {one.summary}".strip() for one in failed]
    if any(one.role == "declared" for one in facts.data):
        limits.append("The training data is known by its digest only, as its supplier declared it.")
    purpose = facts.system.get("purpose", "")
    return {"use_cases": [purpose] if purpose else [], "technical_limitations": limits}


def _property(column: Mapping[str, Any]) -> dict[str, Any]:
    if column["kind"] == "text":
        values = column.get("values")
        return {"enum": [*values, None]} if values else {"type": ["string", "null"]}
    return {"type": ["number", "null"], **{name: column[name] for name in ("minimum", "maximum") if name in column}}


def _data(one: Data) -> dict[str, Any]:
    personal = [column["name"] for column in one.columns if column.get("personal")]
    return {
        "name": one.name,
        "sha256": one.digest,
        "role": one.role,
        "rows": one.rows,
        "columns": [column["name"] for column in one.columns],
        "personal_columns": personal,
    }


def _finding(one: Finding) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "verdict": one.content["verdict"],
        "digest": one.digest,
        "subject": one.content["subject"],
        "summary": one.summary,
    }
