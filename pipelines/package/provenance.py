"""SLSA provenance v1 of a model, and its evidence, as predicates of in-toto statements. Pure."""

from __future__ import annotations

from typing import Any

from pipelines.package.facts import Data, Facts, Finding
from security.canonical import urn

SLSA = "https://slsa.dev/provenance/v1"
EVIDENCE = "urn:countersign:predicate:evidence-v1"
_RUN = "urn:countersign:build:pipeline-run-v1"
_IMPORT = "urn:countersign:build:external-model-v1"
_BUILDER = "urn:countersign:builder:engine"


def provenance(facts: Facts) -> dict[str, Any]:
    """How the model came to be: by which specification, from which data, with which code and environment.

    Of an external model it tells the import, and what its supplier declares stands among the external parameters.
    """
    run, environment = facts.run, facts.run.get("environment", {})
    shown = {name: environment[name] for name in ("python", "platform", "packages_sha256") if name in environment}
    return {
        "buildDefinition": {
            "buildType": _IMPORT if facts.is_external else _RUN,
            "externalParameters": {
                "pipeline": dict(facts.pipeline),
                "parameters": run.get("parameters", {}),
                "seed": run.get("seed"),
                **({"declared": dict(facts.origin)} if facts.is_external else {}),
            },
            "internalParameters": {"environment": shown, "steps": [dict(step) for step in facts.steps]},
            "resolvedDependencies": [
                {
                    "uri": urn("pipeline-version", str(facts.pipeline["digest"])),
                    "digest": {"sha256": facts.pipeline["digest"]},
                    "name": "specification",
                },
                *_code(facts),
                *(_dependency(one) for one in facts.data),
            ],
        },
        "runDetails": {
            "builder": {"id": _BUILDER},
            "metadata": {
                "invocationId": urn("run", str(run["id"])),
                **{name: run[key] for name, key in _TIMES if run.get(key)},
            },
        },
    }


_TIMES = (("startedOn", "started_at"), ("finishedOn", "finished_at"))


def evidence(finding: Finding) -> dict[str, Any]:
    """One result of a check: the content that its digest covers, so that anybody can recompute it."""
    return {
        "id": finding.id,
        "digest": finding.digest,
        "content": dict(finding.content),
        "summary": finding.summary,
        "created_at": finding.created_at,
    }


def _code(facts: Facts) -> list[dict[str, Any]]:
    found = facts.run.get("code", {}).get("sha256")
    return [{"uri": "urn:countersign:code", "digest": {"sha256": found}, "name": "code"}] if found else []


def _dependency(one: Data) -> dict[str, Any]:
    return {"name": one.name, "digest": {"sha256": one.digest}, "annotations": {"role": one.role}}
