"""Where the nodes of a layered graph stand, and the lanes their long edges take. Pure geometry in layer units.

Layers by longest path; the order within a layer by igraph's Sugiyama layout (Sugiyama, Tagawa, Toda 1981) on a graph
in which every edge spans one layer, long ones being cut by waypoints; then heights across the layers by repeated
least squares: every node as near to its neighbours as the others in its layer allow, which is an isotonic regression
and solved exactly by pooling adjacent violators.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import igraph

_SWEEPS = 40
_STRAIGHT = 6.0  # how much more a bend within a lane costs than a slope beside a box

Pair = tuple[int, int]
Place = tuple[int, float]  # layer, centre across the layers in pixels


@dataclass(frozen=True)
class Sizes:
    """Pixels across the layers: a box, a lane, and what stays free between two neighbours."""

    box: float
    lane: float
    gap: float


@dataclass(frozen=True)
class Placed:
    """``nodes[i]`` is where node ``i`` stands; ``lanes[j]`` are the waypoints of edge ``j`` in the order of its pair.

    ``pairs[j]`` is edge ``j``, turned round if it would have closed a cycle.
    """

    nodes: tuple[Place, ...]
    lanes: tuple[tuple[Place, ...], ...]
    pairs: tuple[Pair, ...]


def place(count: int, edges: Sequence[Pair], sizes: Sizes) -> Placed:
    """Place ``count`` nodes; the parts of a disconnected graph stand one below the other, lone nodes in rows."""
    pairs = _forward(edges, count)
    graph = igraph.Graph(n=count, edges=pairs, directed=True)
    parts = sorted(graph.connected_components(mode="weak"), key=lambda part: (len(part) == 1, part[0]))
    nodes: dict[int, Place] = {}
    lanes: dict[int, tuple[Place, ...]] = {}
    top = 0.0
    for part in [part for part in parts if len(part) > 1]:
        members = {node: local for local, node in enumerate(part)}
        numbers = [number for number, pair in enumerate(pairs) if pair[0] in members]
        local = [(members[pairs[number][0]], members[pairs[number][1]]) for number in numbers]
        places, ways, bottom = _part(len(part), local, sizes)
        nodes |= {node: (layer, across + top) for node, (layer, across) in zip(part, places, strict=True)}
        for number, way in zip(numbers, ways, strict=True):
            lanes[number] = tuple((layer, across + top) for layer, across in way)
        top += bottom + sizes.gap
    nodes |= _rows(
        [part[0] for part in parts if len(part) == 1], max((n[0] for n in nodes.values()), default=0), top, sizes
    )
    return Placed(tuple(nodes[i] for i in range(count)), tuple(lanes[j] for j in range(len(pairs))), tuple(pairs))


def _rows(alone: Sequence[int], last_layer: int, top: float, sizes: Sizes) -> dict[int, Place]:
    """Nodes without edges, side by side."""
    columns = max(4, last_layer + 1)
    step = sizes.box + sizes.gap
    return {
        node: (number % columns, top + sizes.box / 2 + step * (number // columns)) for number, node in enumerate(alone)
    }


def _forward(edges: Sequence[Pair], count: int) -> list[Pair]:
    """The same edges, with those turned round that would close a cycle."""
    graph = igraph.Graph(n=count, edges=edges, directed=True)
    back = set() if graph.is_dag() else set(graph.feedback_arc_set(method="eades"))
    return [(target, source) if number in back else (source, target) for number, (source, target) in enumerate(edges)]


def _part(count: int, pairs: Sequence[Pair], sizes: Sizes) -> tuple[list[Place], list[tuple[Place, ...]], float]:
    """One connected part: its nodes' places, its edges' waypoints, and how far down it reaches."""
    layers = _layers(pairs, count)
    chains: list[list[int]] = []
    links: list[Pair] = []
    for source, target in pairs:
        chain = list(range(len(layers), len(layers) + layers[target] - layers[source] - 1))
        layers += range(layers[source] + 1, layers[target])
        chains.append(chain)
        ends = [source, *chain, target]
        links += pairwise(ends)
    across = _across(layers, links, count, sizes)
    halves = [(sizes.box if node < count else sizes.lane) / 2 for node in range(len(layers))]
    lowest = min(x - half for x, half in zip(across, halves, strict=True))
    places = [(layer, x - lowest) for layer, x in zip(layers, across, strict=True)]
    bottom = max(x - lowest + half for x, half in zip(across, halves, strict=True))
    return places[:count], [tuple(places[node] for node in chain) for chain in chains], bottom


def _layers(pairs: Sequence[Pair], count: int) -> list[int]:
    """Each node after all it comes from; one that comes from nothing stands right before what it feeds."""
    graph = igraph.Graph(n=count, edges=pairs, directed=True)
    layers = [0] * count
    for node in graph.topological_sorting():
        layers[node] = max((layers[parent] + 1 for parent in graph.predecessors(node)), default=0)
    for node in range(count):
        children = graph.successors(node)
        if children and not graph.predecessors(node):
            layers[node] = min(layers[child] for child in children) - 1
    return layers


def _across(layers: Sequence[int], links: Sequence[Pair], count: int, sizes: Sizes) -> list[float]:
    """The position of every node and waypoint across the layers."""
    graph = igraph.Graph(n=len(layers), edges=links, directed=True)
    start = graph.layout_sugiyama(layers=list(layers), hgap=sizes.box + sizes.gap, vgap=1, maxiter=100)
    across = [float(point[0]) for point in start.coords]
    rows: list[list[int]] = [[] for _ in range(max(layers) + 1)]
    for node in sorted(range(len(layers)), key=lambda node: (across[node], node)):
        rows[layers[node]].append(node)
    neighbours: list[list[tuple[int, float]]] = [[] for _ in layers]
    for source, target in links:
        weight = _STRAIGHT if source >= count and target >= count else 1.0
        neighbours[source].append((target, weight))
        neighbours[target].append((source, weight))
    heights = [sizes.box if node < count else sizes.lane for node in range(len(layers))]
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 else reversed(rows):
            for node, x in zip(row, _settled(row, across, neighbours, heights, sizes.gap), strict=True):
                across[node] = x
    return across


def _settled(
    row: Sequence[int],
    across: Sequence[float],
    neighbours: Sequence[Sequence[tuple[int, float]]],
    heights: Sequence[float],
    gap: float,
) -> list[float]:
    """A layer with every node as near the mean of its neighbours as order and distance allow (least squares)."""
    offsets = [0.0]
    for left, right in pairwise(row):
        offsets.append(offsets[-1] + (heights[left] + heights[right]) / 2 + gap)
    blocks: list[tuple[float, float, int]] = []  # weighted sum of wishes, weight, how many nodes
    for node, offset in zip(row, offsets, strict=True):
        weight = sum(w for _, w in neighbours[node])
        wish = sum(across[other] * w for other, w in neighbours[node]) - offset * weight
        block = (wish, weight, 1)
        while blocks and blocks[-1][0] / blocks[-1][1] >= block[0] / block[1]:
            last = blocks.pop()
            block = (last[0] + block[0], last[1] + block[1], last[2] + block[2])
        blocks.append(block)
    levels = [total / weight for total, weight, size in blocks for _ in range(size)]
    return [level + offset for level, offset in zip(levels, offsets, strict=True)]
