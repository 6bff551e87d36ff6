"""The pictures of a step's report: which there are is a table from the step's name to a function of its report.

A report that does not have the expected shape (another version's, a foreign one) gives no picture, never an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.pictures import charts
from security.measurement import Measurement, Threshold

MAX_HISTOGRAMS = 12
WIDTH = 580  # pixels: two beside each other on a desk, one on a phone
_GROUPS_SHOWN = 40

FOUR_FIFTHS = Threshold(metric="selection_rate_ratio", min=0.8)

Report = Mapping[str, Any]
Thresholds = Sequence[Threshold]


@dataclass(frozen=True)
class ReportPicture:
    """A picture (SVG text), what it shows, and the table behind it."""

    title: str
    svg: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def pictures(uses: str, report: Report | None, params: Mapping[str, Any] | None = None) -> list[ReportPicture]:
    """The pictures of the report of step ``uses`` (``evaluate.slices@1``), in reading order.

    ``params`` are the step's parameters: their thresholds are drawn where they apply.
    """
    make = _PICTURES.get(uses.partition("@")[0])
    if make is None or report is None:
        return []
    try:
        thresholds = [Threshold.model_validate(rule) for rule in (params or {}).get("thresholds", ())]
        return list(make(report, thresholds))
    except (KeyError, TypeError, ValueError, AttributeError):
        return []


def _evaluation(report: Report, thresholds: Thresholds) -> Iterator[ReportPicture]:
    if points := report.get("roc"):
        line = [(point["fpr"], point["tpr"] if "tpr" in point else point["recall"]) for point in points]
        svg = charts.curve(
            [charts.Series("model", line)],
            "ROC curve",
            x_label="false-positive rate",
            y_label="true-positive rate",
            diagonal="chance",
        )
        caption = "How many positives are found for how many false alarms, over all decision thresholds."
        yield ReportPicture("ROC curve", svg, caption, ("False-positive rate", "True-positive rate"), _rows(line))
    if bins := report.get("reliability"):
        yield _reliability(bins)


def _reliability(bins: Sequence[Mapping[str, Any]]) -> ReportPicture:
    points = [(one["predicted"], one["observed"]) for one in bins]
    svg = charts.curve(
        [charts.Series("model", points, marks=True)],
        "Reliability",
        x_label="predicted probability",
        y_label="share observed",
        diagonal="perfect calibration",
    )
    rows = tuple(
        (
            _text(one["predicted"]),
            _text(one["observed"]),
            f"[{one['low']:.3f}, {one['high']:.3f}]",
            f"{one['n']:,}",
        )
        for one in bins
    )
    caption = "Of the rows that were given this probability, how many were positive."
    return ReportPicture("Reliability", svg, caption, ("Predicted", "Observed", "Interval", "Rows"), rows)


def _calibration(report: Report, thresholds: Thresholds) -> Iterator[ReportPicture]:
    yield _reliability(report["reliability"])


def _decision(report: Report, thresholds: Thresholds) -> Iterator[ReportPicture]:
    """ROC, precision against recall, and the cost over the threshold with the one in use named below it."""
    points = report["curve"]
    yield from _evaluation({"roc": sorted(points, key=lambda one: (one["fpr"], one["recall"]))}, thresholds)
    line = [(one["recall"], one["precision"]) for one in points if one["precision"] is not None]
    title, heads = "Precision and recall", ("Recall", "Precision")
    svg = charts.curve([charts.Series("model", line)], title, x_label="recall", y_label="precision")
    caption = "How many of those called positive are, for how many of the positives are found."
    yield ReportPicture(title, svg, caption, heads, _rows(line))
    costs = [(one["threshold"], one["cost"]) for one in points]
    top = max([one["cost"] for one in points]) * 1.05 or 1.0
    title = "Cost of each threshold"
    svg = charts.curve(
        [charts.Series("mean cost of a row", costs)],
        title,
        x_label="decision threshold",
        y_label="mean cost of a row",
        y_range=(0.0, top),
    )
    caption = f"In use: {report['decision_threshold']:.3f}; cheapest on these rows: {report['best_threshold']:.3f}."
    yield ReportPicture(title, svg, caption, ("Threshold", "Cost of a row"), _rows(costs))


def _regression(report: Report, thresholds: Thresholds) -> Iterator[ReportPicture]:
    """Observed against predicted, by tenths of the prediction."""
    points = [(one["predicted"], one["observed"]) for one in report["levels"]]
    ends = [value for point in points for value in point]
    low, high = min(ends), max(ends)
    room = (high - low) * 0.05 or 1.0
    span = (low - room, high + room)
    title = "Observed against predicted"
    svg = charts.curve(
        [charts.Series("model", points, marks=True)],
        title,
        x_label="mean predicted",
        y_label="mean observed",
        diagonal="no bias",
        x_range=span,
        y_range=span,
    )
    rows = tuple((f"{one['predicted']:.4g}", f"{one['observed']:.4g}", f"{one['n']:,}") for one in report["levels"])
    yield ReportPicture(title, svg, "Means over tenths of the rows.", ("Predicted", "Observed", "Rows"), rows)


def _comparison(report: Report, thresholds: Thresholds) -> Iterator[ReportPicture]:
    """What the model gains over each of the others, one plot for each loss."""
    measured = [Measurement.model_validate(one) for one in report["measurements"]]
    for name in dict.fromkeys(one.name for one in measured):
        rows = [(one.slice["against"], one) for one in measured if one.name == name]
        caption = "How much less the model loses on the same rows; above 0 it is better. Paired bootstrap intervals."
        yield _dots(name.replace("_", " "), name, rows, thresholds, caption)


def _stress(report: Report, thresholds: Thresholds) -> Iterator[ReportPicture]:
    """How much more the model errs under each stress, worst first, and the expectations that were broken."""
    measured = [Measurement.model_validate(one) for one in report["measurements"]]
    for name, title in (("error_rise", "Error added by each stress"), ("expectation_broken", "Expectations broken")):
        rows = [(" ".join(one.slice.values()), one) for one in measured if one.name == name]
        worst = sorted(rows, key=lambda row: -math.inf if row[1].value is None else row[1].value)[-_GROUPS_SHOWN:]
        caption = f"Compared with the same {report['rows']:,} rows as they are."
        if worst:
            yield _dots(title, name, worst, thresholds, caption)


def _importance(report: Report, thresholds: Thresholds) -> Iterator[ReportPicture]:
    measured = [Measurement.model_validate(one) for one in report["measurements"]]
    rows = [(one.slice["column"], one) for one in measured if one.name == "importance"]
    caption = f"By how much the {report['loss']} rises when the column is shuffled ({report['repeats']} times)."
    yield _dots("Permutation importance", "importance", rows[:_GROUPS_SHOWN], thresholds, caption)


def _slices(report: Report, thresholds: Thresholds) -> Iterator[ReportPicture]:
    """The gaps between groups, then for each rate and set of columns the groups; the true-positive rate first."""
    measured = [Measurement.model_validate(one) for one in report["measurements"]]
    rates = sorted(report["rates"], key=lambda name: (name != "tpr", name))
    for rate in rates:
        gaps = [one for one in measured if one.name == f"{rate}_gap"]
        if gaps and (rate == "tpr" or _rule(f"{rate}_gap", thresholds)):
            yield _dots(f"Gap in {rate} between groups", f"{rate}_gap", [(_by(one), one) for one in gaps], thresholds)
    sets = sorted((one["columns"] for one in report["attributes"]), key=len, reverse=True)
    for rate in rates:
        for columns in sets:
            groups = [one for one in measured if one.name == rate and set(one.slice) == set(columns)]
            if 0 < len(groups) <= _GROUPS_SHOWN:
                rows = [(", ".join(one.slice[column] for column in columns), one) for one in groups]
                caption = f"Share of {report['rates'][rate]}. Under {report['min_size']} rows nothing is measured."
                yield _dots(f"{rate} by {' × '.join(columns)}", rate, rows, thresholds, caption)


def _fairness(report: Report, thresholds: Thresholds) -> Iterator[ReportPicture]:
    """The ratios of the selection rates against four fifths, then as for groups; their difference where no rule is."""
    measured = [Measurement.model_validate(one) for one in report["measurements"]]
    ratios = [(_by(one), one) for one in measured if one.name == "selection_rate_ratio"]
    if ratios:
        own = [] if _rule("selection_rate_ratio", thresholds) else [FOUR_FIFTHS]
        caption = (
            "Smallest over largest selection rate. Under four fifths is taken for adverse impact (29 CFR 1607.4 D)."
        )
        title = "Selection rate, smallest to largest group"
        yield _dots(title, "selection_rate_ratio", ratios, [*thresholds, *own], caption)
    yield from _slices(report, thresholds)


def _found_slices(report: Report, thresholds: Thresholds) -> Iterator[ReportPicture]:
    """By how much each slice is worse than the other rows, the rule on the worst one drawn."""
    rule = _rule("worst_slice_gap", thresholds)
    dots, rows = [], []
    for one in report["slices"][:_GROUPS_SHOWN]:
        label = ", ".join(f"{column} = {value}" for column, value in one["slice"].items())
        label += "" if one["finding"] else " (may be chance)"
        low, high = one["interval"]
        dots.append(charts.DotRow(label, one["gap"], low, high, one["rows"]))
        figures = (f"{one[name]:.3f}" for name in ("error", "error_elsewhere", "gap"))
        rows.append((label, *figures, f"{one['adjusted_p']:.2g}", f"{one['rows']:,}"))
    title = "Slices that the model errs on more than elsewhere"
    caption = f"Of {report['possible']:,} slices that can be large enough, the best by score. Many share rows."
    axis = "error in the slice minus error elsewhere"
    svg = charts.dot_plot(dots, title, limit=_limit(rule), axis=axis, fraction=False, width=WIDTH)
    heads = ("Slice", "Error", "Elsewhere", "Difference", "Adjusted p", "Rows")
    yield ReportPicture(title, svg, caption, heads, tuple(rows))


def _by(gap: Measurement) -> str:
    return " × ".join(gap.slice)


def _dots(
    title: str,
    metric: str,
    rows: Sequence[tuple[str, Measurement]],
    thresholds: Thresholds,
    caption: str = "Largest minus smallest, with the interval of the difference.",
) -> ReportPicture:
    """Measurements of one name as a dot plot from small to large, judged by the first threshold on that name."""
    rule = _rule(metric, thresholds)
    ordered = sorted(rows, key=lambda row: -math.inf if row[1].value is None else row[1].value)
    dots = [_dot(label, one, str(rule.judge(one)) if rule else "") for label, one in ordered]
    svg = charts.dot_plot(dots, title, limit=_limit(rule), axis=metric, width=WIDTH)
    return ReportPicture(title, svg, caption, ("Group", metric, "Interval", "Rows"), _table(dots))


def _dot(label: str, one: Measurement, verdict: str = "") -> charts.DotRow:
    low, high = (one.interval.low, one.interval.high) if one.interval else (None, None)
    return charts.DotRow(label, one.value, low, high, one.n, verdict)


def _rule(metric: str, thresholds: Thresholds) -> Threshold | None:
    return next((rule for rule in thresholds if rule.metric == metric and rule.slice is None), None)


def _limit(rule: Threshold | None) -> charts.Limit | None:
    """The bound to draw: a threshold's upper one, or its lower one."""
    if rule is None:
        return None
    if rule.max is not None:
        return charts.Limit(rule.max, f"at most {rule.max:g}")
    return charts.Limit(rule.min or 0.0, f"at least {rule.min:g}")


def _table(dots: Sequence[charts.DotRow]) -> tuple[tuple[str, ...], ...]:
    return tuple((dot.label, _text(dot.value), _interval(dot), "" if dot.n is None else f"{dot.n:,}") for dot in dots)


def _drift(report: Report, thresholds: Thresholds) -> Iterator[ReportPicture]:
    """The columns that moved most, as paired histograms."""
    moved = sorted(report["columns"], key=lambda column: -column["psi"])
    for column in moved[:MAX_HISTOGRAMS]:
        bins = [one for one in column["bins"] if one["reference"] or one["current"]]
        names = [_bin(one) for one in bins]
        marks = [_bin(one, short=True) for one in bins]
        svg = charts.paired_histogram(
            marks,
            [one["reference_share"] for one in bins],
            [one["current_share"] for one in bins],
            column["column"],
            axis=column["column"],
            width=WIDTH,
        )
        rows = tuple((name, *_counted(one)) for name, one in zip(names, bins, strict=True))
        heads = ("Bin", "Reference rows", "Current rows", "Reference share", "Current share")
        yield ReportPicture(
            column["column"], svg, f"Population stability index {_text(column['psi'])} nats.", heads, rows
        )


def _counted(one: Mapping[str, Any]) -> tuple[str, ...]:
    counts = (f"{one[side]:,}" for side in ("reference", "current"))
    return (*counts, *(_text(one[f"{side}_share"]) for side in ("reference", "current")))


def _bin(one: Mapping[str, Any], *, short: bool = False) -> str:
    """A bin's label, or the interval it covers; ``short`` names its upper end only."""
    if "label" in one:
        return str(one["label"])
    low, high = one.get("above"), one.get("up_to")
    if low is None and high is None:
        return "all"
    if low is None or (short and high is not None):
        return f"≤ {high:.4g}"
    return f"> {low:.4g}" if high is None else f"{low:.4g} – {high:.4g}"


def _evasion(report: Report, thresholds: Thresholds) -> Iterator[ReportPicture]:
    """What the attack reached against what random changes of the same size reached."""
    names = {"attack_success_rate": "attack", "noise_success_rate": "random changes"}
    found = [Measurement.model_validate(one) for one in report["measurements"] if one["name"] in names]
    found.sort(key=lambda one: (float(one.slice["radius"]), one.name))
    dots = [_dot(f"{names[one.name]} within {one.slice['radius']}", one) for one in found]
    if dots:
        title = "Predictions flipped"
        svg = charts.dot_plot(dots, title, axis="share of attacked rows", width=WIDTH)
        caption = "Radii in training standard deviations. An attack that finds nothing proves nothing."
        yield ReportPicture(title, svg, caption, ("What", "Share", "Interval", "Rows"), _table(dots))


def _text(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"


def _interval(row: charts.DotRow) -> str:
    return "" if row.low is None or row.high is None else f"[{row.low:.3f}, {row.high:.3f}]"


def _rows(points: Sequence[tuple[float, float]]) -> tuple[tuple[str, ...], ...]:
    return tuple((_text(x), _text(y)) for x, y in points)


_PICTURES: Mapping[str, Callable[[Report, Thresholds], Iterator[ReportPicture]]] = {
    "evaluate.classification": _evaluation,
    "evaluate.calibration": _calibration,
    "evaluate.decision": _decision,
    "evaluate.regression": _regression,
    "evaluate.comparison": _comparison,
    "evaluate.stress": _stress,
    "evaluate.importance": _importance,
    "evaluate.slices": _slices,
    "evaluate.fairness": _fairness,
    "evaluate.found_slices": _found_slices,
    "monitor.drift": _drift,
    "attack.evasion": _evasion,
}
