"""A specification and a run as graphs of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from pipelines.models import Run, StepRun, StepState
from pipelines.models.run import DONE_WELL
from pipelines.pictures.layered import Edge, Node, draw
from pipelines.selectors.activity import progress_of
from pipelines.spec.graph import graph
from pipelines.spec.model import PipelineSpec

_SHOWN_AS = {StepState.QUEUED: "waiting"}
_SETTLED = {StepState.SUCCEEDED: "", StepState.REUSED: "reused", StepState.FAILED: "failed"}


def of_spec(spec: PipelineSpec) -> SafeString:
    """The steps of a specification, each a link to its row in the table of steps below (``#step-<name>``)."""
    nodes = [Node(step.name, step.name, step.uses, kind="step", href=f"#step-{step.name}") for step in spec.steps]
    edges = [Edge(edge.source, edge.target, f"{edge.output} → {edge.input}") for edge in graph(spec).edges]
    return mark_safe(draw(nodes, edges, f"Steps of {spec.name}"))  # noqa: S308 - pictures escape every text


def of_run(run: Run, steps: Sequence[StepRun]) -> SafeString:
    """The steps of a run in their states, each a link to its page; work under way flows."""
    by_name = {step.name: step for step in steps}
    nodes = [_node(run, step) for step in steps]
    edges = [edge for step in steps for edge in _edges(step, by_name)]
    done = sum(step.state in DONE_WELL for step in steps)
    words = f"{done} of {len(steps)} steps are done; the run is {run.state}"
    return mark_safe(draw(nodes, edges, f"Steps of run {run.number}", words))  # noqa: S308 - pictures escape every text


def _node(run: Run, step: StepRun) -> Node:
    state = StepState(step.state)
    return Node(
        step.name,
        step.name,
        _subtitle(step, state),
        kind="step",
        state=_SHOWN_AS.get(state, str(state)),
        verdict=step.verdict,
        href=reverse("step", args=[run.pk, step.name]),
        hint=f"{step.name}: {step.uses}" + (f", verdict {step.verdict}" if step.verdict else ""),
    )


def _subtitle(step: StepRun, state: StepState) -> str:
    """What the box says below the name: how far, how long, and the verdict."""
    if state == StepState.RUNNING:
        progress = progress_of(step)
        return f"running · {progress.percent} %" if progress and progress.percent is not None else "running"
    if state not in _SETTLED:
        return str(state)
    wall = step.resources.get("wall_seconds")
    parts = [_SETTLED[state], seconds(float(wall)) if wall is not None else "", step.verdict]
    return " · ".join(part for part in parts if part) or str(state)


def _edges(step: StepRun, by_name: Mapping[str, StepRun]) -> list[Edge]:
    edges = []
    for port, reference in sorted(step.wiring.items()):
        source, _, output = reference.partition(".")
        flowing = step.state == StepState.RUNNING and by_name[source].state in DONE_WELL
        edges.append(Edge(source, step.name, f"{output} → {port}", flowing))
    return edges


def seconds(value: float) -> str:
    """A duration short enough for a box: ``0.4 s``, ``12 s``, ``3 min``."""
    if value < 10:
        return f"{value:.1f} s"
    return f"{value:.0f} s" if value < 120 else f"{value / 60:.0f} min"
