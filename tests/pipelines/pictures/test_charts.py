"""Charts: sensible ticks, nothing clipped, missing values said, hostile text stays text."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.pictures.charts import DotRow, Limit, Series, curve, dot_plot, paired_histogram, sparkline
from pipelines.pictures.scales import Scale, extent, readable
from pipelines.pictures.svg import text_width
from tests.pipelines.pictures.reading import HOSTILE, SVG, by_class, read, texts

NUMBERS = st.floats(-1e12, 1e12)
SHARES = st.floats(0, 1)


def nothing_is_clipped(root: ET.Element) -> None:
    """Every text and every mark lies inside the picture."""
    width, height = float(root.get("width") or 0), float(root.get("height") or 0)
    for item in root.iter(SVG + "text"):
        x, y, wide = float(item.get("x") or 0), float(item.get("y") or 0), text_width(item.text or "", 12)
        left = x - {"middle": wide / 2, "end": wide}.get(item.get("text-anchor") or "", 0)
        assert left >= -1, item.text
        assert left + wide <= width + 1, item.text
        assert 8 <= y <= height, item.text
    for item in root.iter(SVG + "circle"):
        assert 0 <= float(item.get("cx") or 0) <= width
        assert 0 <= float(item.get("cy") or 0) <= height


ROWS = [
    DotRow("female × Black", 0.55, 0.47, 0.63, 1555, "fail"),
    DotRow("male × White, of an unreasonably long description", 0.871, 0.862, 0.88, 19174, "pass"),
    DotRow("male × Other", None, n=3, verdict="inconclusive"),
]


def test_dot_plot_spells_values_with_interval_and_size() -> None:
    root = read(dot_plot(ROWS, "True-positive rate", limit=Limit(0.8, "at least 0.80"), axis="rate"))
    nothing_is_clipped(root)
    words = texts(root)
    assert {"✗ 0.550 [0.470, 0.630]", "✓ 0.871 [0.862, 0.880]", "? not measured", "19,174", "at least 0.80"} <= set(
        words
    )
    assert len(by_class(root, "point")) == 2
    assert len(by_class(root, "threshold")) == 2
    description = root.get("aria-label") or ""
    assert "from female × Black 0.550" in description
    assert "threshold at least 0.80" in description


def test_dots_stand_where_their_values_are() -> None:
    root = read(dot_plot([DotRow("a", 0.2), DotRow("b", 0.4), DotRow("c", 0.8)], "x", limit=Limit(0.6, "most")))
    a, b, c = (float(dot.get("cx") or 0) for dot in by_class(root, "point"))
    (line,) = (item for item in by_class(root, "threshold") if item.tag == SVG + "line")
    assert c - b == pytest.approx(2 * (b - a), abs=0.05)
    assert float(line.get("x1") or 0) == pytest.approx((b + c) / 2, abs=0.05)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=40), NUMBERS | st.none(), NUMBERS, NUMBERS), max_size=6), st.booleans())
def test_any_dot_plot_is_drawn_inside_its_frame(
    rows: list[tuple[str, float | None, float, float]], fraction: bool
) -> None:
    plot = [DotRow(name, value, min(a, b), max(a, b), 5) for name, value, a, b in rows]
    nothing_is_clipped(read(dot_plot(plot, "x", fraction=fraction)))


@pytest.mark.parametrize("tiny", [5e-324, 1.1e-308, 1e-300, 1e-289, 1e-200])
def test_values_that_hardly_differ_have_an_axis(tiny: float) -> None:
    nothing_is_clipped(read(dot_plot([DotRow("a", 0.0, 0.0, 0.0), DotRow("b", tiny, 0.0, tiny)], "x")))


def test_an_empty_dot_plot_says_so() -> None:
    assert "nothing was measured" in texts(read(dot_plot([], "x")))


def test_curve_has_both_axes_its_diagonal_and_a_key() -> None:
    roc = Series("v7, AUC 0.91", [(0, 0), (0.1, 0.6), (1, 1)], marks=True)
    root = read(curve([roc], "ROC", x_label="false-positive rate", y_label="true-positive rate", diagonal="chance"))
    nothing_is_clipped(root)
    assert {"v7, AUC 0.91", "chance", "false-positive rate", "true-positive rate", "0.0", "0.2", "1.0"} <= set(
        texts(root)
    )
    first, last = (
        (float(p.get("cx") or 0), float(p.get("cy") or 0)) for p in (by_class(root, "point")[i] for i in (0, -1))
    )
    (diagonal,) = (item for item in by_class(root, "diagonal") if item.get("y1") != item.get("y2"))
    ends = [float(diagonal.get(name) or 0) for name in ("x1", "y1", "x2", "y2")]
    assert [*first, *last] == pytest.approx(ends, abs=0.02)
    with pytest.raises(ValueError, match="at most two"):
        curve([roc, roc, roc], "x", x_label="", y_label="")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(SHARES, SHARES), min_size=1, max_size=25), st.sampled_from([320, 640]))
def test_any_histogram_has_bars_as_high_as_its_shares(pairs: list[tuple[float, float]], width: int) -> None:
    bins = [f"{i}–{i + 1} thousand" for i in range(len(pairs))]
    root = read(paired_histogram(bins, [a for a, _ in pairs], [b for _, b in pairs], "x", axis="income", width=width))
    nothing_is_clipped(root)
    bars = [bar for bin_ in by_class(root, "bin") for bar in bin_.iter(SVG + "rect")]
    heights = [float(bar.get("height") or 0) for bar in bars]
    shares = [share for pair in pairs for share in pair]
    if (top := max(shares)) > 1e-12:
        assert heights == pytest.approx([share / top * max(heights) for share in shares], abs=0.02)


def test_a_histogram_that_does_not_add_up_is_refused() -> None:
    with pytest.raises(ValueError, match="same length"):
        paired_histogram(["a"], [1, 2], [1], "x")
    for bad in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="from 0 up"):
            paired_histogram(["a"], [bad], [1], "x")


def test_sparkline_leaves_gaps_and_marks_the_last_value() -> None:
    root = read(sparkline([0.1, 0.2, None, 0.3, math.nan, 0.5, 0.4], "PSI over time"))
    nothing_is_clipped(root)
    assert len(list(root.iter(SVG + "polyline"))) == 2
    assert root.get("aria-label") == "PSI over time. 5 values from 0.100 to 0.500, last 0.400"
    assert "no values yet" in (read(sparkline([], "x")).get("aria-label") or "")


def test_hostile_text_stays_text_in_every_chart() -> None:
    for picture in (
        dot_plot([DotRow(HOSTILE, 1, 0, 2, 3, HOSTILE)], HOSTILE, limit=Limit(1, HOSTILE), axis=HOSTILE),
        curve([Series(HOSTILE, [(0, 0)])], HOSTILE, x_label=HOSTILE, y_label=HOSTILE, diagonal=HOSTILE),
        paired_histogram([HOSTILE], [1], [1], HOSTILE, names=(HOSTILE, HOSTILE), axis=HOSTILE, y_label=HOSTILE),
        sparkline([1], HOSTILE, description=HOSTILE),
    ):
        read(picture)


@given(NUMBERS, st.floats(1e-6, 1e12), st.integers(2, 8))
def test_ticks_are_round_inside_and_told_apart(low: float, span: float, count: int) -> None:
    high = low + max(span, abs(low) * 1e-6)
    scale = Scale(low, high, 0, 100)
    ticks = scale.ticks(count)
    assert len({scale.tick_label(tick, count) for tick in ticks}) == len(ticks)
    slack = (high - low) * 1e-6 + abs(low) * 1e-9
    assert 1 <= len(ticks) <= 2 * count + 2
    assert all(low - slack <= tick <= high + slack for tick in ticks)


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0, 0.13, ["0.00", "0.05", "0.10"]),
        (-4100, 8000, ["-2,500", "0", "2,500", "5,000", "7,500"]),
        (0, 0.11, ["0.000", "0.025", "0.050", "0.075", "0.100"]),
        (0.62, 0.91, ["0.7", "0.8", "0.9"]),
    ],
)
def test_tick_labels_are_what_a_person_would_write(low: float, high: float, labels: list[str]) -> None:
    scale = Scale(low, high, 0, 100)
    assert [scale.tick_label(tick) for tick in scale.ticks()] == labels


def test_ranges_are_never_empty() -> None:
    for values in ([], [0.0], [1.0], [5e9], [math.nan]):
        low, high = extent(values, fraction=True)
        assert low < high


def test_values_read_well() -> None:
    assert [readable(x) for x in (0, 0.8714, 12.34, 12345.6, 0.00001)] == [
        "0.000",
        "0.871",
        "12.3",
        "12,346",
        "1.00e-05",
    ]
