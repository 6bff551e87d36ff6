"""A specification as a graph: which step waits for which, in what order, and what is ready."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from pipelines.spec.model import PipelineSpec


@dataclass(frozen=True)
class Edge:
    """Output ``output`` of step ``source`` feeds input ``input`` of step ``target``."""

    source: str
    output: str
    target: str
    input: str


@dataclass(frozen=True)
class Graph:
    """The steps (in the order they are written) and what flows between them."""

    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]

    @cached_property
    def parents(self) -> Mapping[str, frozenset[str]]:
        """For each step the steps whose outputs it reads."""
        return {node: frozenset(edge.source for edge in self.edges if edge.target == node) for node in self.nodes}

    @cached_property
    def children(self) -> Mapping[str, frozenset[str]]:
        """For each step the steps that read its outputs."""
        return {node: frozenset(edge.target for edge in self.edges if edge.source == node) for node in self.nodes}

    @cached_property
    def order(self) -> tuple[str, ...]:
        """A topological order; steps that could go either way stay in the order they are written.

        :raises ValueError: there is a loop (a loaded specification has none).
        """
        done: dict[str, None] = {}
        waiting = list(self.nodes)
        while waiting:
            free = next((node for node in waiting if self.parents[node] <= done.keys()), None)
            if free is None:
                raise ValueError("the steps form a loop: " + ", ".join(waiting))
            done[free] = None
            waiting.remove(free)
        return tuple(done)

    def ready(self, done: Collection[str], started: Collection[str] = ()) -> tuple[str, ...]:
        """The steps that can start: all they read is done, and they are neither done nor started."""
        busy = {*done, *started}
        return tuple(node for node in self.nodes if node not in busy and self.parents[node] <= set(done))

    def downstream(self, step: str) -> frozenset[str]:
        """Every step that depends on ``step``, directly or not; not ``step`` itself."""
        return _reach(step, self.children)

    def upstream(self, step: str) -> frozenset[str]:
        """Every step that ``step`` depends on, directly or not."""
        return _reach(step, self.parents)


def graph(spec: PipelineSpec) -> Graph:
    """The graph of a specification; edges in the order of steps and of port names."""
    edges = [
        Edge(*_port(reference), step.name, name)
        for step in spec.steps
        for name, reference in sorted(step.inputs.items())
    ]
    return Graph(tuple(step.name for step in spec.steps), tuple(edges))


def loops(parents: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """Loops in a graph given as node → what it reads, each as a path that ends where it began; one per tangle.

    Self-references count too. Follows the edges depth first without recursion; a node is visited once.
    """
    found: list[tuple[str, ...]] = []
    state: dict[str, int] = {}  # 1: on the current path, 2: done
    for root in parents:
        path: list[str] = []
        stack = [(root, False)] if root not in state else []
        while stack:
            node, leaving = stack.pop()
            if leaving:
                state[path.pop()] = 2
            elif state.get(node) is None:
                state[node] = 1
                path.append(node)
                stack.append((node, True))
                stack.extend((parent, False) for parent in parents[node] if parent in parents and parent != node)
                closing = [parent for parent in parents[node] if state.get(parent) == 1]
                found.extend(tuple(reversed(path[path.index(parent) :])) for parent in closing)
    return [(*loop, loop[0]) for loop in _disjoint(found)]


def _disjoint(found: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The shortest loops first, and no second one through a step that is already named."""
    named: set[str] = set()
    kept = []
    for loop in sorted(found, key=len):
        if named.isdisjoint(loop):
            kept.append(loop)
            named.update(loop)
    return kept


def _port(reference: str) -> tuple[str, str]:
    step, _, output = reference.partition(".")
    return step, output


def _reach(start: str, neighbours: Mapping[str, frozenset[str]]) -> frozenset[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        fresh = neighbours[waiting.pop()] - seen
        seen |= fresh
        waiting.extend(fresh)
    return frozenset(seen - {start})
