"""The published JSON Schema (2020-12) of a specification, with the parameters of every step that exists.

The outline comes from the models, each step's ``with`` from ``Step.params.model_json_schema()``, chosen by ``uses``
with if/then so that a validator's errors point at the parameter and not at “none of these alternatives”.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from pipelines.spec.loading import Path
from pipelines.spec.model import PORT, PipelineSpec
from pipelines.steps.contract import Port, Step

DIALECT = "https://json-schema.org/draft/2020-12/schema"
REFERENCE = "#/$defs/reference"

_CHILDREN = ("items", "additionalProperties", "contains", "not")
_CHILD_LISTS = ("anyOf", "allOf", "prefixItems")
_CHILD_MAPS = ("properties", "patternProperties")
_SCALARS = {"string", "integer", "number", "boolean", "null"}
_TEXT_LIMITS = {"enum", "pattern", "format", "minLength", "maxLength"}
_ANNOTATIONS = ("title", "description", "default", "examples", "deprecated")


def json_schema(registry: Mapping[str, Step]) -> dict[str, Any]:
    """The schema of a whole document, as published; valid against its own dialect."""
    schema = outline()
    definitions = schema.setdefault("$defs", {})
    definitions["reference"] = {
        "type": "string",
        "pattern": r"\$\{",
        "description": "refers to a run parameter: ${name}; $${ is a literal ${",
    }
    step = definitions["StepSpec"]
    step["properties"]["uses"] = {
        "enum": sorted(registry),
        "description": step["properties"]["uses"]["description"],
    }
    if registry:
        step["allOf"] = [_condition(registry[step_id]) for step_id in sorted(registry)]
    for step_id in sorted(registry):
        definitions.update(_definitions(registry[step_id]))
    return {"$schema": DIALECT, **schema, "title": "Countersign pipeline specification"}


def outline() -> dict[str, Any]:
    """The schema of everything but the steps' own parameters."""
    schema: dict[str, Any] = _untitled(_model_schema(PipelineSpec, ""))
    return schema


def wired_inputs(step: Step) -> dict[str, Port]:
    """The input ports that a specification connects: all but the files that the engine fetches itself."""
    fetched = {source.name for source in step.sources}
    return {name: port for name, port in step.inputs.items() if name not in fetched and port.kind != "file"}


def properties_at(schema: Mapping[str, Any], path: Path) -> set[str]:
    """The property names that the schema knows at a path of the data, over all alternatives."""
    nodes = list(_alternatives(schema, schema))
    for part in path:
        nodes = [found for node in nodes for child in _child(node, part) for found in _alternatives(child, schema)]
    return {name for node in nodes for name in node.get("properties", {})}


def params_schema(params: type[BaseModel]) -> dict[str, Any]:
    """A step's own parameters as JSON Schema, without references to run parameters."""
    return _model_schema(params, "")


def _model_schema(model: type[BaseModel], prefix: str) -> dict[str, Any]:
    """A fresh copy each time: callers build on it."""
    result: dict[str, Any] = json.loads(_model_schema_text(model, prefix))
    return result


@lru_cache(maxsize=256)
def _model_schema_text(model: type[BaseModel], prefix: str) -> str:
    return json.dumps(model.model_json_schema(ref_template=f"#/$defs/{prefix}{{model}}"))


def _condition(step: Step) -> dict[str, Any]:
    """If ``uses`` is this step, then ``with`` and ``inputs`` look like this."""
    ports = wired_inputs(step)
    needed = [name for name, port in ports.items() if port.required]
    port_schemas = {
        name: {"type": "string", "pattern": PORT, "description": f"{port.kind}: {port.help}"}
        for name, port in ports.items()
    }
    inputs = {"type": "object", "properties": port_schemas, "required": needed, "additionalProperties": False}
    required = ["with"] * bool(params_schema(step.params).get("required")) + ["inputs"] * bool(needed)
    return {
        "if": {"properties": {"uses": {"const": step.id}}, "required": ["uses"]},
        "then": {
            "properties": {"with": {"$ref": f"#/$defs/{step.id}"}, "inputs": inputs},
            "required": required,
        },
    }


def _definitions(step: Step) -> dict[str, Any]:
    """The step's parameters and what they refer to, each open to references to run parameters."""
    schema = _model_schema(step.params, f"{step.id}.")
    inner = {f"{step.id}.{name}": part for name, part in schema.pop("$defs", {}).items()}
    schema["title"], schema["description"] = step.title, step.help
    return {name: _open(part) for name, part in {step.id: schema, **inner}.items()}


def _open(schema: Any) -> Any:
    """The same schema, where each scalar may also be a reference to a run parameter."""
    if not isinstance(schema, dict):
        return schema
    result = dict(schema)
    if "oneOf" in result:  # a reference could match several alternatives
        result["anyOf"] = result.pop("oneOf")
    for key in _CHILDREN:
        if key in result:
            result[key] = _open(result[key])
    for key in _CHILD_LISTS:
        if key in result:
            result[key] = [_open(part) for part in result[key]]
    for key in _CHILD_MAPS:
        if key in result:
            result[key] = {name: _open(part) for name, part in result[key].items()}
    return _or_reference(result) if _is_narrow_scalar(result) else result


def _is_narrow_scalar(schema: Mapping[str, Any]) -> bool:
    """Whether some reference would be refused: any scalar but text without limits. A ``const`` is a discriminator."""
    kinds = schema.get("type", [])
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    if "const" in schema:
        return False
    if "enum" in schema:
        return True
    if "string" in kinds and not _TEXT_LIMITS & schema.keys():
        return False
    return bool(kinds) and kinds <= _SCALARS


def _or_reference(schema: dict[str, Any]) -> dict[str, Any]:
    notes = {key: schema.pop(key) for key in _ANNOTATIONS if key in schema}
    return {**notes, "anyOf": [schema, {"$ref": REFERENCE}]}


def _untitled(schema: Any) -> Any:
    """Without the titles that pydantic makes of names; a property that is called ``title`` stays."""
    if isinstance(schema, list):
        return [_untitled(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _untitled(value) for key, value in schema.items() if not (key == "title" and isinstance(value, str))}


def _alternatives(schema: Any, root: Mapping[str, Any], depth: int = 0) -> Iterator[dict[str, Any]]:
    """The schema with its references and alternatives followed (a recursive model ends at a fixed depth)."""
    if not isinstance(schema, dict) or depth > 8:
        return
    yield schema
    if "$ref" in schema:
        yield from _alternatives(root.get("$defs", {}).get(schema["$ref"].rpartition("/")[2]), root, depth + 1)
    for key in ("anyOf", "oneOf", "allOf"):
        for part in schema.get(key, ()):
            yield from _alternatives(part, root, depth + 1)


def _child(node: Mapping[str, Any], part: str | int) -> Iterator[Any]:
    if isinstance(part, int):
        yield node.get("items")
    elif part in node.get("properties", {}):
        yield node["properties"][part]
    else:
        yield node.get("additionalProperties")
