"""Order and readiness of steps."""

from __future__ import annotations

from itertools import pairwise

import igraph
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.spec.graph import Edge, Graph, graph, loops
from pipelines.spec.validation import load_spec
from tests.pipelines.spec.example import REGISTRY, TEXT

EXAMPLE = graph(load_spec(TEXT, REGISTRY))


def test_order_readiness_and_reach_of_the_example() -> None:
    assert EXAMPLE.order == ("load", "check", "clean", "split", "train", "judge", "register")
    assert EXAMPLE.ready(()) == ("load",)
    assert EXAMPLE.ready({"load"}, {"check"}) == ()
    assert EXAMPLE.ready({"load", "check", "clean", "split", "train"}) == ("judge", "register")
    assert EXAMPLE.downstream("train") == {"judge", "register"}
    assert EXAMPLE.upstream("train") == {"load", "check", "clean", "split"}
    assert Edge("split", "test", "judge", "table") in EXAMPLE.edges


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    count = draw(st.integers(1, 12))
    pairs = draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=25))
    edges = tuple(Edge(f"n{a}", "x", f"n{b}", "y") for a, b in pairs if a != b)
    return Graph(tuple(f"n{i}" for i in range(count)), edges)


@given(graphs())
def test_loops_and_order_agree_with_igraph(some: Graph) -> None:
    oracle = igraph.Graph(
        n=len(some.nodes), edges=[(int(e.source[1:]), int(e.target[1:])) for e in some.edges], directed=True
    )
    found = loops(some.parents)
    assert bool(found) == (not oracle.is_dag())
    flows = {(edge.source, edge.target) for edge in some.edges}
    for loop in found:
        assert loop[0] == loop[-1]
        assert set(pairwise(loop)) <= flows
    if found:
        with pytest.raises(ValueError, match="loop"):
            _ = some.order
        return
    place = {name: index for index, name in enumerate(some.order)}
    assert sorted(place) == sorted(some.nodes)
    assert all(place[edge.source] < place[edge.target] for edge in some.edges)
    for node in some.nodes:
        reach = {f"n{i}" for i in oracle.subcomponent(int(node[1:]), mode="out")} - {node}
        assert some.downstream(node) == reach


@given(graphs())
def test_running_what_is_ready_ends_with_everything_done(some: Graph) -> None:
    done: set[str] = set()
    while fresh := some.ready(done):
        done.update(fresh)
    assert (done == set(some.nodes)) == (not loops(some.parents))
