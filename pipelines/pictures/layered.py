"""A graph in layers from left to right: a pipeline's steps, a model's lineage.

An edge over several layers gets a lane of its own, so that no line runs through a box (see ``placing``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipelines.pictures.placing import Place, Sizes, place
from pipelines.pictures.svg import Svg, document, element, group, label, number, safe_href, shortened, slug, text

BOX_WIDTH, BOX_HEIGHT = 176.0, 46.0
LAYER_GAP, LANE_HEIGHT, GAP, MARGIN = 64.0, 6.0, 20.0, 12.0
_ARROW = 7.0
_SIGNS = {"succeeded": "✓", "reused": "↺", "failed": "✗", "running": "…", "cancelled": "–", "skipped": "–"}
_VERDICT_SIGNS = {"fail": "✗", "inconclusive": "?"}  # a verdict that stands in the way outweighs being done

Point = tuple[float, float]


@dataclass(frozen=True)
class Node:
    """A box. ``state``, ``kind`` and ``verdict`` become classes; ``hint`` is the tooltip (else label and subtitle).

    ``selected``: the one box that was asked for; its id is ``asked``, so that a link leads to it.
    """

    id: str
    label: str
    subtitle: str = ""
    kind: str = ""
    state: str = ""
    verdict: str = ""
    href: str = ""
    hint: str = ""
    selected: bool = False


@dataclass(frozen=True)
class Edge:
    """A line from one node to another. ``label`` is its tooltip (a port, a role); ``flowing`` is work under way."""

    source: str
    target: str
    label: str = ""
    flowing: bool = False


@dataclass(frozen=True)
class Drawing:
    """A graph with a place for everything, in pixels: boxes by their top left corner, routes from box to box."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    boxes: Mapping[str, Point]
    routes: tuple[tuple[Point, ...], ...]
    width: float
    height: float

    def svg(self, title: str, description: str = "") -> str:
        """The picture as SVG text; without a description it says how many nodes and lines there are.

        With links it is a group that can be walked through with the keyboard, without any it is one image.
        """
        names = {node.id: node.label for node in self.nodes}
        lines = [_edge(edge, route, names) for edge, route in zip(self.edges, self.routes, strict=True)]
        boxes = [_node(node, self.boxes[node.id]) for node in self.nodes]
        return document(
            [group(lines, class_="edges"), group(boxes, class_="nodes")],
            width=self.width,
            height=self.height,
            title=title,
            description=description or _counted(len(self.nodes), len(self.edges)),
            class_="graph",
            role="group" if any(node.href for node in self.nodes) else "img",
        )


def draw(nodes: Sequence[Node], edges: Iterable[Edge], title: str, description: str = "") -> str:
    """Lay out and draw in one go.

    :raises ValueError: two nodes share an id, or a link is not one.
    """
    return layout(nodes, edges).svg(title, description)


def layout(nodes: Sequence[Node], edges: Iterable[Edge]) -> Drawing:
    """Places for all nodes and routes for all edges; edges to unknown nodes and to oneself are left out.

    The same input gives the same drawing. A cycle does not break it: the line that closes it runs backwards.

    :raises ValueError: two nodes share an id.
    """
    index = {node.id: place for place, node in enumerate(nodes)}
    if len(index) != len(nodes):
        raise ValueError("two nodes share an id")
    kept = tuple(e for e in dict.fromkeys(edges) if e.source in index and e.target in index and e.source != e.target)
    ends = [(index[edge.source], index[edge.target]) for edge in kept]
    placed = place(len(nodes), ends, Sizes(BOX_HEIGHT, LANE_HEIGHT, GAP))
    boxes = {
        node.id: (_left(layer), MARGIN + across - BOX_HEIGHT / 2)
        for node, (layer, across) in zip(nodes, placed.nodes, strict=True)
    }
    routes = tuple(
        _route(boxes[edge.source], boxes[edge.target], lane if pair == forward else lane[::-1])
        for edge, pair, forward, lane in zip(kept, ends, placed.pairs, placed.lanes, strict=True)
    )
    points = [point for route in routes for point in route]
    width = max([x + BOX_WIDTH for x, _ in boxes.values()] + [x for x, _ in points], default=0.0) + MARGIN
    height = max([y + BOX_HEIGHT for _, y in boxes.values()] + [y for _, y in points], default=0.0) + MARGIN
    return Drawing(tuple(nodes), kept, boxes, routes, width, height)


def _left(layer: int) -> float:
    return MARGIN + layer * (BOX_WIDTH + LAYER_GAP)


def _route(source: Point, target: Point, lane: Sequence[Place]) -> tuple[Point, ...]:
    """From side to side of two boxes, straight through each column between; backwards if the target stands before."""
    middle = BOX_HEIGHT / 2
    sides = (0.0, BOX_WIDTH) if source[0] < target[0] else (BOX_WIDTH, 0.0)
    start, end = (source[0] + sides[1], source[1] + middle), (target[0] + sides[0], target[1] + middle)
    return (start, *((_left(layer) + side, MARGIN + across) for layer, across in lane for side in sides), end)


def _path(route: Sequence[Point]) -> str:
    """A smooth line: horizontal at every point, cubic between columns, a straight line across a column."""
    (x, y), steps = route[0], []
    for leg, (next_x, next_y) in enumerate(route[1:]):
        if leg % 2:
            steps.append(f"H{number(next_x)}")
        else:
            bend = (next_x - x) / 2
            numbers = (x + bend, y, next_x - bend, next_y, next_x, next_y)
            steps.append("C" + " ".join(number(value) for value in numbers))
        x, y = next_x, next_y
    return f"M{number(route[0][0])} {number(route[0][1])}" + "".join(steps)


def _edge(edge: Edge, route: Sequence[Point], names: Mapping[str, str]) -> Svg:
    x, y = route[-1]
    length = _ARROW if route[0][0] < x else -_ARROW
    head = f"M{number(x)} {number(y)}l{number(-length)} {number(-_ARROW / 2)}v{number(_ARROW)}z"
    tail = (*route[:-1], (x - 0.85 * length, y))
    hint = f"{names[edge.source]} → {names[edge.target]}" + (f": {edge.label}" if edge.label else "")
    return group(
        [
            element("title", text(hint)),
            element("path", d=_path(tail), class_="edge flowing" if edge.flowing else "edge"),
            element("path", d=head, class_="arrow"),
        ],
        data_source=edge.source,
        data_target=edge.target,
    )


def _node(node: Node, corner: Point) -> Svg:
    x, y = corner
    sign = _VERDICT_SIGNS.get(node.verdict) or _SIGNS.get(node.state, "")
    room = BOX_WIDTH - 26 - (16 if sign else 0)
    first = y + (19 if node.subtitle else BOX_HEIGHT / 2 + 4.5)
    hint = node.hint or ": ".join(part for part in (node.label, node.subtitle) if part)
    parts = [
        element("title", text(hint + (f" ({node.state})" if node.state else ""))),
        element("rect", x=x, y=y, width=BOX_WIDTH, height=BOX_HEIGHT, rx=4, class_="shape"),
        element("rect", x=x, y=y, width=5, height=BOX_HEIGHT, rx=2, class_="band"),
        label(shortened(node.label, room), x + 15, first, "title"),
    ]
    if node.subtitle:
        parts.append(label(shortened(node.subtitle, BOX_WIDTH - 26, 11), x + 15, y + 36, "subtitle"))
    if sign:
        parts.append(label(sign, x + BOX_WIDTH - 10, y + 19, "sign", "end"))
    inner = [element("a", *parts, href=safe_href(node.href))] if node.href else parts
    return group(inner, id="asked" if node.selected else None, class_=_classes(node), data_id=node.id)


def _classes(node: Node) -> str:
    words = [
        f"{prefix}-{slug(getattr(node, prefix))}" for prefix in ("kind", "state", "verdict") if getattr(node, prefix)
    ]
    return " ".join(["node", *words, *(["selected"] if node.selected else [])])


def _counted(nodes: int, edges: int) -> str:
    return f"{nodes} {'node' if nodes == 1 else 'nodes'}, {edges} {'connection' if edges == 1 else 'connections'}"
