"""Graphs: nothing overlaps, nothing is clipped, lines keep off boxes, hostile text stays text."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.pictures.layered import BOX_HEIGHT, BOX_WIDTH, Drawing, Edge, Node, draw, layout
from tests.pipelines.pictures.reading import HOSTILE, SVG, by_class, read, texts


def nodes(count: int) -> list[Node]:
    return [Node(f"n{i}", f"step {i}", "x.y@1") for i in range(count)]


@st.composite
def drawings(draw_: st.DrawFn) -> Drawing:
    count = draw_(st.integers(0, 14))
    ends = st.integers(0, max(count - 1, 0))
    pairs = draw_(st.lists(st.tuples(ends, ends), max_size=30)) if count else []
    return layout(nodes(count), [Edge(f"n{a}", f"n{b}") for a, b in pairs])


def check(drawing: Drawing) -> None:
    """What must hold for every drawing."""
    boxes = list(drawing.boxes.values())
    for place, (x, y) in enumerate(boxes):
        assert x >= 0
        assert y >= 0
        assert x + BOX_WIDTH <= drawing.width
        assert y + BOX_HEIGHT <= drawing.height
        for other_x, other_y in boxes[:place]:
            assert abs(x - other_x) >= BOX_WIDTH or abs(y - other_y) >= BOX_HEIGHT + 10
    for route in drawing.routes:
        for x, y in route:
            assert 0 <= x <= drawing.width
            assert 0 <= y <= drawing.height
        for (x1, y1), (x2, y2) in zip(route[1:-1:2], route[2:-1:2], strict=True):  # straight across a column
            assert y1 == y2
            for x, y in boxes:
                assert max(x1, x2) <= x or min(x1, x2) >= x + BOX_WIDTH or not y < y1 < y + BOX_HEIGHT


@settings(max_examples=150, deadline=None)
@given(drawings())
def test_boxes_are_apart_and_inside_and_no_line_runs_through_one(drawing: Drawing) -> None:
    check(drawing)
    read(drawing.svg("graph"))


def test_acyclic_graphs_run_from_left_to_right() -> None:
    chance = random.Random(3)
    edges = [Edge(f"n{chance.randrange(i)}", f"n{i}") for i in range(1, 60) for _ in range(2)]
    drawing = layout(nodes(60), edges)
    for edge in drawing.edges:
        assert drawing.boxes[edge.source][0] + BOX_WIDTH < drawing.boxes[edge.target][0]


def test_three_hundred_nodes_are_drawn_the_same_every_time() -> None:
    chance = random.Random(7)
    edges = [Edge(f"n{chance.randrange(max(0, i - 15), i)}", f"n{i}") for i in range(1, 280) for _ in range(2)]
    drawing = layout(nodes(300), edges)
    check(drawing)
    picture = drawing.svg("many")
    assert picture == draw(nodes(300), edges, "many")
    root = read(picture)
    assert len(by_class(root, "node")) == 300
    assert len(by_class(root, "edge")) == len(set(edges))


def test_a_chain_is_a_straight_line() -> None:
    drawing = layout(nodes(6), [Edge(f"n{i}", f"n{i + 1}") for i in range(5)])
    assert len({round(y, 6) for _, y in drawing.boxes.values()}) == 1


def test_a_cycle_is_drawn_with_one_line_backwards() -> None:
    drawing = layout(nodes(3), [Edge("n0", "n1"), Edge("n1", "n2"), Edge("n2", "n0")])
    check(drawing)
    assert sorted(route[0][0] < route[-1][0] for route in drawing.routes) == [False, True, True]


def test_lines_to_nowhere_and_to_oneself_are_left_out_and_none_is_drawn_twice() -> None:
    drawing = layout(nodes(2), [Edge("n0", "n1"), Edge("n0", "n1"), Edge("n0", "n0"), Edge("n0", "gone")])
    assert drawing.edges == (Edge("n0", "n1"),)


def test_two_nodes_of_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="share an id"):
        layout([Node("a", "A"), Node("a", "B")], [])


def test_hostile_text_stays_text() -> None:
    node = Node(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, "/x?a=1&b=%22", HOSTILE)
    root = read(draw([node, Node("b", "B")], [Edge(HOSTILE, "b", HOSTILE)], HOSTILE, HOSTILE))
    (box,) = (group for group in by_class(root, "node") if "kind-" in (group.get("class") or ""))
    assert re.fullmatch(r"[a-z0-9_ -]+", box.get("class") or "")
    assert [link.get("href") for link in root.iter(SVG + "a")] == ["/x?a=1&b=%22"]


@pytest.mark.parametrize(
    "href", ["javascript:alert(1)", "//evil.example/", "/\\evil.example", "data:text/html,x", "x", "/a\nb"]
)
def test_links_that_could_run_code_or_leave_unseen_are_refused(href: str) -> None:
    with pytest.raises(ValueError, match="a link in a picture"):
        draw([Node("a", "A", href=href)], [], "graph")


def test_long_labels_are_cut_and_kept_whole_in_the_tooltip() -> None:
    name = "redacted applications of the second quarter, all branches"
    root = read(draw([Node("a", name, "一" * 40)], [], "graph"))
    label, subtitle = texts(root)
    assert label.endswith("…")
    assert name.startswith(label[:-1])
    assert len(subtitle) < 20
    assert any(name in (title.text or "") for title in root.iter(SVG + "title"))


def test_states_kinds_and_verdicts_are_classes_with_a_sign_beside_the_colour() -> None:
    root = read(draw([Node("a", "A", state="failed", kind="Model", verdict="fail", selected=True)], [], "graph"))
    (box,) = by_class(root, "node")
    assert (box.get("class"), box.get("data-id")) == ("node kind-model state-failed verdict-fail selected", "a")
    assert box.get("id") == "asked"
    assert "✗" in texts(root)


def test_a_picture_with_links_can_be_walked_through_and_one_without_is_an_image() -> None:
    assert read(draw([Node("a", "A")], [], "graph")).get("role") == "img"
    assert read(draw([Node("a", "A", href="/a")], [], "graph")).get("role") == "group"


def test_nothing_at_all_is_still_a_picture() -> None:
    assert read(draw([], [], "graph")).get("aria-label") == "graph. 0 nodes, 0 connections"
