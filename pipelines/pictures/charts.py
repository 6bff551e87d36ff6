"""Small charts from data: dots with intervals, curves, paired histograms, sparklines.

All sizes are pixels at the chart's own width; the page may scale it. A value that is missing is said to be missing,
never drawn as zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipelines.pictures.scales import Scale, extent, readable
from pipelines.pictures.svg import (
    Svg,
    document,
    element,
    finite,
    group,
    label,
    number,
    shortened,
    slug,
    text,
    text_width,
)

FONT = 12.0
_DESCENT = 4.0  # from the middle of a line of text to its baseline
_SIGNS = {"pass": "✓ ", "fail": "✗ ", "inconclusive": "? "}
_SERIES = ("series-a", "series-b")

Point = tuple[float, float]


@dataclass(frozen=True)
class DotRow:
    """One line of a dot plot: a value with its interval and how many observations it rests on."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    verdict: str = ""


@dataclass(frozen=True)
class Limit:
    """A threshold to draw: its value and how it reads, such as ``at least 0.80``."""

    value: float
    label: str


@dataclass(frozen=True)
class Series:
    """A named line through points; ``marks`` draws each point too."""

    label: str
    points: Sequence[Point]
    marks: bool = False


@dataclass(frozen=True)
class _Frame:
    """The rectangle between the axes and the scales along it."""

    x: Scale
    y: Scale

    def horizontal(self, name: str, ticks: int = 5) -> Svg:
        """The axis below with grid lines up through the frame."""
        parts = [element("line", x1=self.x.start, x2=self.x.end, y1=self.y.start, y2=self.y.start, class_="axis")]
        for value in self.x.ticks(ticks):
            x = self.x(value)
            parts += [
                element("line", x1=x, x2=x, y1=self.y.start, y2=self.y.end, class_="grid"),
                label(self.x.tick_label(value, ticks), x, self.y.start + 18, "tick", "middle"),
            ]
        if name:
            parts.append(label(name, (self.x.start + self.x.end) / 2, self.y.start + 38, "label", "middle"))
        return group(parts, class_="axis-x")

    def vertical(self, name: str, ticks: int = 5) -> Svg:
        """The axis on the left with grid lines across the frame; its name stands above it, to be read upright."""
        parts = [element("line", x1=self.x.start, x2=self.x.start, y1=self.y.start, y2=self.y.end, class_="axis")]
        for value in self.y.ticks(ticks):
            y = self.y(value)
            parts += [
                element("line", x1=self.x.start, x2=self.x.end, y1=y, y2=y, class_="grid"),
                label(self.y.tick_label(value, ticks), self.x.start - 8, y + _DESCENT, "tick", "end"),
            ]
        if name:
            parts.append(label(name, 0, self.y.end - 12, "label"))
        return group(parts, class_="axis-y")

    def room_for_ticks(self, ticks: int) -> float:
        """How wide the numbers beside the vertical axis are."""
        return max(text_width(self.y.tick_label(value, ticks), FONT) for value in self.y.ticks(ticks))


def dot_plot(
    rows: Sequence[DotRow],
    title: str,
    *,
    description: str = "",
    limit: Limit | None = None,
    axis: str = "",
    fraction: bool = True,
    width: float = 720,
) -> str:
    """Values as dots with their intervals, one row each, the numbers beside them, and the threshold as a line.

    ``fraction`` keeps the axis within 0 and 1 where the data is. Rows without a value say so.
    """
    numbers = [value for row in rows for value in (row.value, row.low, row.high) if value is not None and finite(value)]
    low, high = extent([*numbers, *([limit.value] if limit else [])], fraction=fraction)
    names = min(max([text_width(row.label, FONT) + 4 for row in rows], default=0.0), width * 0.34)
    names = max(names, 36.0)  # room for half of the first tick's number
    spelled = [_SIGNS.get(row.verdict, "") + _spelled(row) for row in rows]
    heading = "value [interval]" if any("[" in value for value in spelled) else "value"
    counts = ["" if row.n is None else f"{row.n:,}" for row in rows]
    count_width = max([text_width(count, FONT) for count in (*counts, "n")], default=0.0)
    value_width = max([text_width(value, FONT) for value in (*spelled, heading)], default=0.0)
    top, step = 44.0, 28.0
    bottom = top + step * max(len(rows), 1)
    right = width - count_width - value_width - 32
    frame = _Frame(Scale(low, high, names + 16, right), Scale(0, 1, bottom, top))
    parts = [frame.horizontal(axis), label(heading, width - count_width - 16, 14, "label", "end")]
    parts.append(label("n", width, 14, "label", "end"))
    parts += _limit_line(limit, frame, width) if limit else []
    if not rows:
        parts.append(label("nothing was measured", names + 28, top + step / 2 + _DESCENT, "label"))
    for place, row in enumerate(rows):
        y = top + step * (place + 0.5)
        parts.append(_dot_row(row, frame, y, names))
        parts.append(label(spelled[place], width - count_width - 16, y + _DESCENT, "value", "end"))
        parts.append(label(counts[place], width, y + _DESCENT, "value", "end"))
    return document(
        parts,
        width=width,
        height=bottom + (48 if axis else 28),
        title=title,
        description=description or _dots_in_words(rows, limit),
        class_="chart dot-plot",
    )


def curve(
    series: Sequence[Series],
    title: str,
    *,
    x_label: str,
    y_label: str,
    description: str = "",
    diagonal: str = "",
    x_range: Point = (0.0, 1.0),
    y_range: Point = (0.0, 1.0),
    width: float = 440,
    height: float = 440,
) -> str:
    """One or two lines in a frame: a ROC curve, a reliability diagram, a quantity over time.

    ``diagonal`` names the line from corner to corner (chance, perfect calibration); empty draws none.

    :raises ValueError: more than two series, which could not be told apart.
    """
    if len(series) > len(_SERIES):
        raise ValueError("a chart shows at most two lines")
    entries = [(one.label, name, "line") for one, name in zip(series, _SERIES, strict=False)]
    entries += [(diagonal, "diagonal", "diagonal")] if diagonal else []
    keys, below = _legend(entries, width)
    frame = _frame(x_range, y_range, below + 40, width, height, bottom=48)
    parts = [*keys, frame.horizontal(x_label), frame.vertical(y_label)]
    if diagonal:
        ends = (frame.x.start, frame.y.start, frame.x.end, frame.y.end)
        parts.append(element("line", x1=ends[0], y1=ends[1], x2=ends[2], y2=ends[3], class_="diagonal"))
    parts += [_line(one, name, frame) for one, name in zip(series, _SERIES, strict=False)]
    words = description or "; ".join(f"{one.label}: {len(one.points)} points" for one in series)
    return document(parts, width=width, height=height, title=title, description=words, class_="chart curve")


def paired_histogram(
    bins: Sequence[str],
    reference: Sequence[float],
    current: Sequence[float],
    title: str,
    *,
    names: tuple[str, str] = ("reference", "current"),
    axis: str = "",
    y_label: str = "share of rows",
    description: str = "",
    width: float = 640,
    height: float = 260,
) -> str:
    """Two distributions over the same bins, bar beside bar. Heights are shares (0 to 1) or counts.

    :raises ValueError: the three sequences differ in length, or a height is negative or not a number.
    """
    heights = [*reference, *current]
    if not len(bins) == len(reference) == len(current):
        raise ValueError("bins, reference and current have the same length")
    if not all(finite(value) and value >= 0 for value in heights):
        raise ValueError("a bar's height is a number from 0 up")
    keys, below = _legend([(name, part, "bar") for name, part in zip(names, _SERIES, strict=True)], width)
    top = max([*heights, 0.0])
    top = top if top > 1e-12 else 1.0
    frame = _frame(
        (0, max(len(bins), 1)), (0, top * 1.05), below + 40, width, height, bottom=48 if axis else 28, ticks=4
    )
    parts = [*keys, frame.vertical(y_label, 4)]
    for place, values in enumerate(zip(reference, current, strict=True)):
        parts.append(_pair(place, values, frame, f"{bins[place]}: {names[0]} %s, {names[1]} %s"))
    parts.append(element("line", x1=frame.x.start, x2=frame.x.end, y1=frame.y.start, y2=frame.y.start, class_="axis"))
    parts += _bin_labels(bins, frame)
    if axis:
        parts.append(label(axis, (frame.x.start + frame.x.end) / 2, height - 8, "label", "middle"))
    words = description or f"{names[0]} and {names[1]} over {len(bins)} bins"
    return document(parts, width=width, height=height, title=title, description=words, class_="chart paired-histogram")


def sparkline(
    values: Sequence[float | None], title: str, *, description: str = "", width: float = 120, height: float = 28
) -> str:
    """A line the size of a word; gaps where values are missing, a dot on the last one."""
    known = [value for value in values if value is not None and finite(value)]
    low, high = extent(known, room=0.0)
    x, y = Scale(0, max(len(values) - 1, 1), 3, width - 3), Scale(low, high, height - 4, 4)
    pieces: list[list[Point]] = [[]]
    for place, value in enumerate(values):
        if value is not None and finite(value):
            pieces[-1].append((x(place), y(value)))
        elif pieces[-1]:
            pieces.append([])
    drawn = [piece for piece in pieces if piece]
    parts = [element("line", x1=3, x2=width - 3, y1=height - 2, y2=height - 2, class_="baseline")]
    parts += [element("polyline", points=_points(piece)) for piece in drawn if len(piece) > 1]
    parts += [
        element("circle", cx=piece[0][0], cy=piece[0][1], r=1.5, class_="point") for piece in drawn if len(piece) == 1
    ]
    if drawn:
        parts.append(element("circle", cx=drawn[-1][-1][0], cy=drawn[-1][-1][1], r=2.5, class_="point"))
    words = description or (
        f"{len(known)} values from {readable(min(known))} to {readable(max(known))}, last {readable(known[-1])}"
        if known
        else "no values yet"
    )
    return document(parts, width=width, height=height, title=title, description=words, class_="sparkline")


def _frame(x: Point, y: Point, top: float, width: float, height: float, *, bottom: float, ticks: int = 5) -> _Frame:
    """A frame that leaves room for the numbers on its left and half a number on its right."""
    vertical = Scale(*y, height - bottom, top)
    left = _Frame(Scale(0, 1, 0, 1), vertical).room_for_ticks(ticks) + 12
    return _Frame(Scale(*x, left, width - 16), vertical)


def _limit_line(limit: Limit, frame: _Frame, width: float) -> list[Svg]:
    x, wide = frame.x(limit.value), text_width(limit.label, FONT)
    centre = min(max(x, wide / 2), width - wide / 2)
    return [
        element("line", x1=x, x2=x, y1=frame.y.start, y2=frame.y.end - 6, class_="threshold"),
        label(limit.label, centre, frame.y.end - 12, "threshold", "middle"),
    ]


def _dot_row(row: DotRow, frame: _Frame, y: float, names: float) -> Svg:
    parts = [
        element("title", text(_row_in_words(row))),
        label(shortened(row.label, names, FONT), 0, y + _DESCENT, "row-label"),
    ]
    if row.low is not None and row.high is not None and finite(row.low) and finite(row.high):
        low, high = frame.x(row.low), frame.x(row.high)
        parts.append(element("path", d=f"M{number(low)} {number(y)}H{number(high)}", class_="interval"))
        ends = "".join(f"M{number(x)} {number(y - 4)}v8" for x in (low, high))
        parts.append(element("path", d=ends, class_="interval"))
    if row.value is not None and finite(row.value):
        verdict = f" verdict-{slug(row.verdict)}" if row.verdict else ""
        parts.append(element("circle", cx=frame.x(row.value), cy=y, r=5, class_=f"point{verdict}"))
    return group(parts, class_="row")


def _row_in_words(row: DotRow) -> str:
    count = "" if row.n is None else f", n = {row.n:,}"
    return f"{row.label}: {_spelled(row)}{count}" + (f" ({row.verdict})" if row.verdict else "")


def _spelled(row: DotRow) -> str:
    if row.value is None or not finite(row.value):
        return "not measured"
    if row.low is None or row.high is None:
        return readable(row.value)
    return f"{readable(row.value)} [{readable(row.low)}, {readable(row.high)}]"


def _dots_in_words(rows: Sequence[DotRow], limit: Limit | None) -> str:
    """The text alternative: what a person would say the picture shows."""
    known = [row for row in rows if row.value is not None and finite(row.value)]
    if not known:
        return "nothing was measured"
    lowest, highest = (choose(known, key=lambda row: row.value or 0.0) for choose in (min, max))
    words = f"{len(rows)} rows, from {lowest.label} {_spelled(lowest)} to {highest.label} {_spelled(highest)}"
    return words + (f"; threshold {limit.label}" if limit else "")


def _legend(entries: Iterable[tuple[str, str, str]], width: float) -> tuple[list[Svg], float]:
    """Keys in lines from the left, and how far down they reach. An entry is its name, series class and mark."""
    parts: list[Svg] = []
    x, y = 0.0, 8.0
    for name, series, mark in entries:
        shown = shortened(name, width - 30, FONT)
        wide = 26 + text_width(shown, FONT)
        if x and x + wide > width:
            x, y = 0.0, y + 20
        key = (
            element("rect", x=x, y=y - 5, width=14, height=10, class_=f"bar {series}")
            if mark == "bar"
            else element("line", x1=x, x2=x + 18, y1=y, y2=y, class_=series if mark == "diagonal" else f"line {series}")
        )
        parts += [key, label(shown, x + 24, y + _DESCENT, "legend")]
        x += wide + 20
    return parts, y


def _line(series: Series, name: str, frame: _Frame) -> Svg:
    placed = [(frame.x(x), frame.y(y)) for x, y in series.points if finite(x) and finite(y)]
    parts = [element("title", text(series.label)), element("polyline", points=_points(placed), class_="line")]
    if series.marks:
        parts += [element("circle", cx=x, cy=y, r=3.5, class_="point") for x, y in placed]
    return group(parts, class_=name)


def _points(placed: Iterable[Point]) -> str:
    return " ".join(f"{number(x)},{number(y)}" for x, y in placed)


def _pair(place: int, values: tuple[float, float], frame: _Frame, words: str) -> Svg:
    slot = frame.x(1) - frame.x(0)
    wide = slot * 0.38
    parts = [element("title", text(words % tuple(readable(value) for value in values)))]
    for side, (value, name) in enumerate(zip(values, _SERIES, strict=True)):
        y = frame.y(value)
        x = frame.x(place) + slot * 0.12 + side * wide
        parts.append(element("rect", x=x, y=y, width=wide, height=frame.y.start - y, class_=f"bar {name}"))
    return group(parts, class_="bin")


def _bin_labels(bins: Sequence[str], frame: _Frame) -> list[Svg]:
    """As many labels as fit beside each other, the first always among them, each short enough for its place."""
    slot = frame.x(1) - frame.x(0)
    widest = min(max([text_width(name, FONT - 1) for name in bins], default=0.0), 96.0) + 10
    every = 1 if slot >= 56 else max(1, -int(-widest // slot))
    parts = []
    for place in range(0, len(bins), every):
        shown = shortened(bins[place], slot * every - 6, FONT - 1)
        half, centre = text_width(shown, FONT) / 2, frame.x(place) + slot / 2
        if place and centre + half > frame.x.end + 14:  # it would be cut off
            continue
        parts.append(label(shown, max(centre, half), frame.y.start + 18, "tick", "middle"))
    return parts
