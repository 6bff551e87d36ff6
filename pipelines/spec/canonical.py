"""The canonical form that names a pipeline version: RFC 8785 JSON of the normalised specification.

Key order, comments and YAML style do not matter; spec-level defaults (timeout, memory, empty parts) are normalised.
The defaults of step parameters are not filled in: what the engineer wrote is what is signed.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import rfc8785

from pipelines.spec.model import ParameterSpec, PipelineSpec, StepSpec


def normalised(spec: PipelineSpec) -> dict[str, Any]:
    """The specification as plain data, one way to say each thing: memory in bytes, timeout given, empty parts gone."""
    return _without_empty(
        {
            "apiVersion": spec.api_version,
            "kind": spec.kind,
            "metadata": _without_empty(spec.metadata.model_dump()),
            "parameters": {name: _parameter(parameter) for name, parameter in spec.parameters.items()},
            "steps": [_step(step) for step in spec.steps],
        }
    )


def canonical(spec: PipelineSpec) -> bytes:
    """The bytes that are stored, hashed and signed."""
    return rfc8785.dumps(normalised(spec))


def digest(spec: PipelineSpec) -> str:
    """SHA-256 of the canonical form, in hexadecimal: the name of the pipeline version."""
    return hashlib.sha256(canonical(spec)).hexdigest()


def from_canonical(content: bytes) -> PipelineSpec:
    """The specification back from its stored canonical form.

    :raises pydantic.ValidationError: the bytes are not one.
    """
    return PipelineSpec.model_validate_json(content, strict=True)


def _parameter(parameter: ParameterSpec) -> dict[str, Any]:
    return {
        key: value
        for key, value in parameter.model_dump(mode="json", exclude_unset=True).items()
        if key == "default" or value not in ("", None)
    }


def _step(step: StepSpec) -> dict[str, Any]:
    return _without_empty(
        {
            "name": step.name,
            "uses": step.uses,
            "with": step.arguments,
            "inputs": step.inputs,
            "timeout": int(step.timeout) if step.timeout.is_integer() else step.timeout,
            "memory": step.memory,
        }
    )


def _without_empty(part: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if value not in ("", {})}


def as_json(spec: PipelineSpec) -> str:
    """The normalised specification as indented JSON for a person to read."""
    return json.dumps(normalised(spec), indent=2, ensure_ascii=False)
