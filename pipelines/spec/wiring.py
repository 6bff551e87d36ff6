"""Do the steps fit together? Names, ports and their kinds, loops, and steps whose work nobody uses.

Works on whatever could be read, so that one wrong field does not hide what else is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.spec.errors import SpecError, did_you_mean
from pipelines.spec.graph import loops
from pipelines.spec.loading import Document, Path, Position
from pipelines.spec.model import PORT
from pipelines.spec.schema import wired_inputs
from pipelines.steps.contract import Port, Step

_PORT = re.compile(PORT.removesuffix("$"))


@dataclass(frozen=True)
class RawStep:
    """What could be read of a step that may be wrong: ``implementation`` is ``None`` when ``uses`` names nothing."""

    index: int
    name: str
    uses: str
    implementation: Step | None
    arguments: dict[str, Any]
    inputs: dict[str, Any]
    document: Document

    def path(self, *parts: str | int) -> Path:
        """The path of something in this step."""
        return ("steps", self.index, *parts)

    def error(self, message: str, where: Position, *, parameter: str = "", hint: str = "") -> SpecError:
        """An error that names this step."""
        return SpecError(message, where.line, where.column, self.name, parameter, hint)


def raw_steps(document: Document, registry: Mapping[str, Step]) -> list[RawStep]:
    """Everything in ``steps`` that is a mapping at all."""
    steps = document.data.get("steps") if isinstance(document.data, dict) else None
    items = enumerate(steps if isinstance(steps, list) else [])
    return [_raw(index, item, document, registry) for index, item in items if isinstance(item, dict)]


def _raw(index: int, item: dict[str, Any], document: Document, registry: Mapping[str, Step]) -> RawStep:
    name, uses, arguments, inputs = (item.get(key) for key in ("name", "uses", "with", "inputs"))
    return RawStep(
        index,
        name if isinstance(name, str) else "",
        uses if isinstance(uses, str) else "",
        registry.get(uses) if isinstance(uses, str) else None,
        arguments if isinstance(arguments, dict) else {},
        inputs if isinstance(inputs, dict) else {},
        document,
    )


def wiring_errors(steps: Sequence[RawStep], registry: Mapping[str, Step]) -> Iterator[SpecError]:
    """All that is wrong between the steps."""
    by_name: dict[str, RawStep] = {}
    for step in steps:
        if step.name and (first := by_name.setdefault(step.name, step)) is not step:
            line = first.document.at(first.path("name")).line
            yield step.error(
                f"a step is already called {step.name!r}",
                step.document.at(step.path("name")),
                hint=f"the first is on line {line}; give each step its own name",
            )
        yield from _unknown_implementation(step, registry)
    for step in steps:
        yield from _input_errors(step, by_name)
    yield from _loop_errors(by_name)
    yield from _useless(by_name, steps)


def _unknown_implementation(step: RawStep, registry: Mapping[str, Step]) -> Iterator[SpecError]:
    if not step.uses or step.implementation is not None:
        return
    versions = [known for known in registry if known.partition("@")[0] == step.uses.partition("@")[0]]
    hint = did_you_mean(step.uses, versions or registry)
    yield step.error(
        f"there is no step implementation {step.uses[:120]!r}", step.document.at(step.path("uses")), hint=hint
    )


def _input_errors(step: RawStep, by_name: Mapping[str, RawStep]) -> Iterator[SpecError]:
    ports = wired_inputs(step.implementation) if step.implementation else None
    for name, reference in step.inputs.items():
        if ports is not None and name not in ports:
            yield _unknown_input(step, name, ports)
        elif isinstance(reference, str) and _PORT.fullmatch(reference):
            problem = _source_problem(step, reference, ports[name] if ports else None, by_name)
            if problem:
                where = step.document.at(step.path("inputs", name))
                yield step.error(problem[0], where, parameter=f"inputs.{name}", hint=problem[1])
    for name, port in (ports or {}).items():
        if port.required and name not in step.inputs:
            where = step.document.key(step.path("inputs"))
            yield step.error(
                f"{step.uses} needs input {name!r}, a {port.kind}",
                where,
                parameter=f"inputs.{name}",
                hint=f"write inputs: {{{name}: <step>.<output>}} ({port.help})",
            )


def _unknown_input(step: RawStep, name: str, ports: Mapping[str, Port]) -> SpecError:
    sources = {source.name: source.param for source in (step.implementation.sources if step.implementation else ())}
    hint = did_you_mean(name, ports, otherwise="it takes none")
    if name in sources:
        hint = f"this file is fetched from what parameter {sources[name]!r} names"
    where = step.document.key(step.path("inputs", name))
    return step.error(f"{step.uses} has no input {name!r}", where, parameter=f"inputs.{name}", hint=hint)


def _source_problem(
    step: RawStep, reference: str, port: Port | None, by_name: Mapping[str, RawStep]
) -> tuple[str, str] | None:
    """What is wrong with ``<step>.<output>`` as the source of an input, and a hint."""
    source_name, _, output = reference.partition(".")
    if source_name == step.name:
        return "the step reads its own output", "an input comes from another step"
    if source_name not in by_name:
        others = [name for name in by_name if name != step.name]
        return f"there is no step {source_name!r} to read from", did_you_mean(source_name, others)
    source = by_name[source_name]
    if source.implementation is None:
        return None
    offered = source.implementation.outputs
    if output not in offered:
        hint = did_you_mean(output, offered, otherwise=f"{source.uses} gives no outputs")
        return f"step {source_name!r} has no output {output!r}", hint
    if port is not None and offered[output].kind != port.kind:
        fitting = [name for name, other in offered.items() if other.kind == port.kind]
        hint = f"{source_name}.{fitting[0]} is a {port.kind}" if fitting else f"connect the {port.kind} of another step"
        return f"{reference} is a {offered[output].kind}, but a {port.kind} is needed", hint
    return None


def _sources(step: RawStep) -> list[str]:
    """The names of the steps that this one reads, itself excluded."""
    references = (value.partition(".")[0] for value in step.inputs.values() if isinstance(value, str))
    return [name for name in references if name != step.name]


def _loop_errors(by_name: Mapping[str, RawStep]) -> Iterator[SpecError]:
    parents = {name: [source for source in _sources(step) if source in by_name] for name, step in by_name.items()}
    for loop in loops(parents):
        step = by_name[loop[0]]
        port = next(name for name, value in step.inputs.items() if str(value).partition(".")[0] == loop[-2])
        yield step.error(
            "the steps form a loop: " + " → ".join(loop),
            step.document.at(step.path("inputs", port)),
            parameter=f"inputs.{port}",
            hint="a step can only read what was made before it",
        )


def _useless(by_name: Mapping[str, RawStep], steps: Sequence[RawStep]) -> Iterator[SpecError]:
    used = {source for step in steps for source in _sources(step)}
    for name, step in by_name.items():
        if name not in used and step.implementation is not None and not leaves_a_trace(step.implementation):
            outputs = ", ".join(f"{name}.{output}" for output in step.implementation.outputs)
            message = f"nothing uses {outputs}" if outputs else f"step {name!r} has no effect"
            hint = "connect it to a later step or remove it: it gives no evidence, report or registration"
            yield step.error(message, step.document.at(step.path("name")), hint=hint)


def leaves_a_trace(step: Step) -> bool:
    """Whether the step is worth running with nobody after it: evidence, a report, or a registration."""
    reports = any(port.kind == "report" for port in step.outputs.values())
    return bool(step.evidence) or reports or step.name.startswith("register.")
