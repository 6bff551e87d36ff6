"""A specification and a run's parameters become what the engine executes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic_core import to_json

from pipelines.spec.errors import SpecError, SpecErrors, did_you_mean
from pipelines.spec.messages import dotted, findings
from pipelines.spec.model import ParameterSpec, PipelineSpec, StepSpec, value_problem
from pipelines.spec.references import Scalar, substitute
from pipelines.spec.schema import params_schema
from pipelines.spec.validation import argument_message
from pipelines.steps.contract import Step, StepParams


@dataclass(frozen=True)
class BoundStep:
    """A step that is ready to run.

    ``arguments`` are the parameters with the step's own defaults filled in, as JSON-able data: with the step's id and
    the input digests they say whether an earlier result can be used again. ``timeout`` is seconds, ``memory`` bytes.
    """

    name: str
    step: Step
    params: StepParams
    arguments: Mapping[str, Any]
    inputs: Mapping[str, str]
    timeout: float
    memory: int


@dataclass(frozen=True)
class BoundPipeline:
    """A specification with its run parameters (defaults included) and bound steps by name, in the spec's order."""

    spec: PipelineSpec
    parameters: Mapping[str, Scalar]
    steps: Mapping[str, BoundStep]


def bind(spec: PipelineSpec, parameters: Mapping[str, Any], registry: Mapping[str, Step]) -> BoundPipeline:
    """Check the run parameters, put them in place, and validate every step's parameters.

    :raises SpecErrors: an unknown or missing run parameter, a value of the wrong type or not among the choices, a step
        that no longer exists, or a step parameter that is wrong with these values. All of them, without lines.
    """
    values, errors = _values(spec, parameters)
    if errors:
        raise SpecErrors(errors)
    steps: dict[str, BoundStep] = {}
    for step in spec.steps:
        bound = _bound(step, values, registry)
        if isinstance(bound, BoundStep):
            steps[step.name] = bound
        else:
            errors.extend(bound)
    if errors:
        raise SpecErrors(errors)
    return BoundPipeline(spec, MappingProxyType(values), MappingProxyType(steps))


def from_text(parameter: ParameterSpec, text: str) -> Scalar:
    """A run parameter as typed on a command line or in a form; ``bind`` checks the rest.

    :raises ValueError: the text is not of the parameter's type.
    """
    if parameter.type == "string":
        return text
    word = text.strip()
    if parameter.type == "boolean":
        if word.lower() not in {"true", "false"}:
            raise ValueError("write true or false")
        return word.lower() == "true"
    try:
        return int(word) if parameter.type == "integer" else float(word)
    except ValueError:
        raise ValueError(f"write {'an integer' if parameter.type == 'integer' else 'a number'}") from None


def _values(spec: PipelineSpec, given: Mapping[str, Any]) -> tuple[dict[str, Scalar], list[SpecError]]:
    values: dict[str, Scalar] = {}
    errors = [
        SpecError(
            f"{spec.name} has no run parameter {name!r}",
            parameter=name,
            hint=did_you_mean(name, spec.parameters, otherwise="it takes none"),
        )
        for name in given
        if name not in spec.parameters
    ]
    for name, parameter in spec.parameters.items():
        value = given.get(name, parameter.default)
        if name not in given and parameter.required:
            errors.append(SpecError(f"run parameter {name!r} is needed", parameter=name, hint=parameter.description))
        elif problem := value_problem(parameter, value) or _json_problem(value):
            errors.append(SpecError(f"run parameter {name!r} {problem}", parameter=name))
        else:
            values[name] = _normal(value)
    return values, errors


def _json_problem(value: Scalar) -> str:
    """Numbers and text that JSON cannot carry exactly."""
    if isinstance(value, str):
        surrogate = any("\ud800" <= character <= "\udfff" for character in value)
        return "holds half of a surrogate pair" if surrogate or "\0" in value else ""
    return "" if abs(value) < 2**53 else "should be a number that JSON carries exactly"


def _normal(value: Scalar) -> Scalar:
    """A number without a fraction is an integer, as in a specification's text."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _bound(step: StepSpec, values: Mapping[str, Scalar], registry: Mapping[str, Step]) -> BoundStep | list[SpecError]:
    implementation = registry.get(step.uses)
    if implementation is None:
        hint = did_you_mean(step.uses, registry)
        return [SpecError(f"there is no step implementation {step.uses!r}", step=step.name, hint=hint)]
    model = implementation.params
    arguments = substitute(step.arguments, values)
    if found := findings(model, arguments, params_schema(model)):
        return [
            SpecError(argument_message(step.uses, item), step=step.name, parameter=dotted(item.path), hint=item.hint)
            for item in found
        ]
    params = model.model_validate_json(to_json(arguments), strict=True)
    filled = MappingProxyType(params.model_dump(mode="json", by_alias=True))
    return BoundStep(step.name, implementation, params, filled, step.inputs, step.timeout, step.memory)
