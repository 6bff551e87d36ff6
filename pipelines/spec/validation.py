"""Text in, a checked ``PipelineSpec`` out, or everything that is wrong with it at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from pydantic import ValidationError

from pipelines.spec.errors import MAX_ERRORS, SpecError, SpecErrors, did_you_mean
from pipelines.spec.loading import Document, Path, parse
from pipelines.spec.messages import Finding, dotted, findings
from pipelines.spec.model import MAX_PARAMETERS, MAX_STEPS, ParameterSpec, PipelineSpec, value_problem
from pipelines.spec.references import Scalar, malformed, names, strings, substitute
from pipelines.spec.schema import json_schema, outline, params_schema
from pipelines.spec.wiring import RawStep, raw_steps, wiring_errors
from pipelines.steps.contract import Step


def load_spec(text: bytes | str, registry: Mapping[str, Step]) -> PipelineSpec:
    """Parse and check a specification against the steps that exist.

    :raises SpecErrors: with every error that was found, each with its line; never anything else.
    """
    document = parse(text)
    errors = list(islice(_errors(document, registry), MAX_ERRORS)) or list(_schema_errors(document, registry))
    if errors:
        raise SpecErrors(errors)
    return PipelineSpec.model_validate_json(json.dumps(document.data), strict=True)


def _errors(document: Document, registry: Mapping[str, Step]) -> Iterator[SpecError]:
    if not isinstance(document.data, dict):
        yield SpecError("the document is not a mapping", 1, 1, hint="it begins with apiVersion: countersign/v1")
        return
    yield from _outline_errors(document)
    if any(_longer(document.data.get(part), limit) for part, limit in _LIMITS):
        return
    steps = raw_steps(document, registry)
    parameters = dict(_parameters(document))
    yield from _parameter_errors(document, parameters)
    yield from _reference_errors(document, steps)
    defaults = {
        name: spec.default for name, spec in parameters.items() if not spec.required and not _default_problem(spec)
    }
    for step in steps:
        yield from _argument_errors(step, defaults)
    yield from wiring_errors(steps, registry)


_LIMITS = (("steps", MAX_STEPS), ("parameters", MAX_PARAMETERS))


def _longer(value: Any, limit: int) -> bool:
    return isinstance(value, list | dict) and len(value) > limit


def _outline_errors(document: Document) -> Iterator[SpecError]:
    """The shape of the whole, without the steps' own parameters."""
    for finding in findings(PipelineSpec, document.data, outline()):
        path = finding.path
        where = _where(document, finding)
        message, name = finding.message, dotted(path)
        step, parameter = "", name
        if len(path) > 2 and path[0] == "steps":
            raw = document.data["steps"][path[1]].get("name")
            step, parameter = raw if isinstance(raw, str) else "", dotted(path[2:])
            name = parameter
        elif len(path) > 1 and path[0] == "parameters":
            parameter = str(path[1])
        yield SpecError(f"{name or 'the document'} {message}", where.line, where.column, step, parameter, finding.hint)


def _where(document: Document, finding: Finding, prefix: Path = ()) -> Any:
    path = (*prefix, *finding.path)
    if finding.missing:
        return document.key(path[:-1])
    return document.key(path) if finding.extra else document.at(path)


def _parameters(document: Document) -> Iterator[tuple[str, ParameterSpec]]:
    """The declared run parameters that are well formed."""
    declared = document.data.get("parameters")
    for name, value in declared.items() if isinstance(declared, dict) else ():
        try:
            yield name, ParameterSpec.model_validate_json(json.dumps(value), strict=True)
        except ValidationError:
            continue


def _default_problem(spec: ParameterSpec) -> str:
    return "" if spec.required else value_problem(spec, spec.default)


def _parameter_errors(document: Document, parameters: Mapping[str, ParameterSpec]) -> Iterator[SpecError]:
    """Defaults and choices must be values of the type, and the default one of the choices."""
    for name, spec in parameters.items():
        without_choices = spec.model_copy(update={"choices": None})
        for index, choice in enumerate(spec.choices or ()):
            if problem := value_problem(without_choices, choice):
                where = document.at(("parameters", name, "choices", index))
                yield SpecError(f"a choice of {name!r} {problem}", where.line, where.column, parameter=name)
        if problem := _default_problem(spec):
            where = document.at(("parameters", name, "default"))
            hint = "leave default out if every run must give it" if spec.default is None else ""
            yield SpecError(f"the default of {name!r} {problem}", where.line, where.column, parameter=name, hint=hint)


def _reference_errors(document: Document, steps: Iterable[RawStep]) -> Iterator[SpecError]:
    """Each ``${x}`` must be declared, and each declared parameter used."""
    declared = document.data.get("parameters")
    declared = declared if isinstance(declared, dict) else {}
    used: set[str] = set()
    for step in steps:
        for path, text in strings(step.arguments):
            used.update(names(text))
            yield from _text_errors(step, path, text, declared)
    for name in declared:
        if name not in used:
            where = document.key(("parameters", name))
            hint = "refer to it as ${" + name + "} in a step's with, or remove it"
            yield SpecError(
                f"run parameter {name!r} is never used", where.line, where.column, parameter=name, hint=hint
            )


def _text_errors(step: RawStep, path: Path, text: str, declared: Iterable[str]) -> Iterator[SpecError]:
    where = step.document.at(step.path("with", *path))
    for name in dict.fromkeys(names(text)):
        if name not in declared:
            hint = did_you_mean(name, declared, otherwise="declare it under parameters")
            message = f"{dotted(path)} refers to run parameter {name!r}, which is not declared"
            yield step.error(message, where, parameter=dotted(path), hint=hint)
    if malformed(text):
        message = f"{dotted(path)} has a ${{ that is no reference"
        yield step.error(message, where, parameter=dotted(path), hint="write ${name}, or $${ for a literal ${")


def _argument_errors(step: RawStep, defaults: Mapping[str, Scalar]) -> Iterator[SpecError]:
    """The step's own parameters, with defaults in place; what hangs on a required run parameter waits for the run."""
    if step.implementation is None:
        return
    params = step.implementation.params
    unknown = [path for path, text in strings(step.arguments) if malformed(text) or not {*names(text)} <= {*defaults}]
    for finding in findings(params, substitute(step.arguments, defaults), params_schema(params)):
        if any(_touches(finding.path, path) for path in unknown):
            continue
        where = _where(step.document, finding, step.path("with"))
        yield step.error(argument_message(step.uses, finding), where, parameter=dotted(finding.path), hint=finding.hint)


def argument_message(uses: str, finding: Finding) -> str:
    """One finding about a step's parameter as a sentence."""
    name = dotted(finding.path)
    if finding.extra and len(finding.path) == 1:
        return f"{uses} has no parameter {name!r}"
    if finding.missing and len(finding.path) == 1:
        return f"{uses} needs parameter {name!r}"
    return f"{name or 'with'} {finding.message}"


def _touches(finding: Path, unknown: Path) -> bool:
    shared = min(len(finding), len(unknown))
    return finding[:shared] == unknown[:shared]


def _schema_errors(document: Document, registry: Mapping[str, Step]) -> Iterator[SpecError]:
    """The published schema has the last word, so that nothing is accepted that it would refuse."""
    for problem in Draft202012Validator(json_schema(registry)).iter_errors(document.data):
        path = tuple(problem.absolute_path)
        where = document.at(path)
        step = ""
        if len(path) > 1 and path[0] == "steps":
            step = document.data["steps"][path[1]]["name"]
        yield SpecError(
            f"{dotted(path) or 'the document'} does not match the published schema ({problem.validator})",
            where.line,
            where.column,
            step,
            dotted(path[2:]),
        )
