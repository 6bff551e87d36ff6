"""Compare two tables column by column: population stability index, a test with its effect size, adjusted p-values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field
from scipy import stats

from pipelines.steps._bootstrap import percentile_interval
from pipelines.steps._frames import is_number, is_text, need_rows, numbers, texts
from pipelines.steps._tables import personal_columns
from pipelines.steps.contract import Port, Step, StepContext, StepError, StepParams, StepResult
from security.measurement import Measurement, Threshold, judge

Array = np.ndarray[Any, Any]
MISSING, OTHER = "(missing)", "(other)"


class Params(StepParams):
    """Which columns to compare, how finely, and how far apart they may be."""

    columns: tuple[str, ...] = Field(default=(), description="columns to compare; all common non-personal when empty")
    exclude: tuple[str, ...] = Field(default=(), description="columns left out")
    categorical: tuple[str, ...] = Field(default=(), description="numeric columns to treat as categories")
    bins: int = Field(default=10, ge=2, le=100, description="quantile bins of the reference, for the index")
    max_categories: int = Field(default=50, ge=2, le=500, description="the most frequent categories; the rest is one")
    draws: int = Field(default=500, ge=100, le=10_000, description="resamples for the interval of the index")
    level: float = Field(default=0.95, gt=0.5, lt=1, description="confidence level of the intervals")
    min_rows: int = Field(default=100, ge=10, description="a table with fewer rows is inconclusive")
    thresholds: tuple[Threshold, ...] = Field(
        default=(Threshold(metric="psi", max=0.2),), description="rules on the measurements"
    )


@dataclass(frozen=True)
class Comparison:
    """One column: its bins with counts on both sides, its distance and the p-value of its test."""

    column: str
    kind: Literal["numeric", "categorical"]
    bins: list[dict[str, Any]]
    reference: Array
    current: Array
    effect: float | None
    p_value: float | None


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Compare. Raises StepError when there is no column, or none of the same kind, to compare."""
    reference, current = inputs["reference"], inputs["current"]
    need_rows(reference)
    need_rows(current)
    names = _columns(reference, current, params)
    compared = []
    for done, name in enumerate(names):
        context.progress(done, len(names), f"column {name}")
        compare = _categorical if name in params.categorical or not _numeric(reference, name) else _numbers
        compared.append(compare(name, reference.column(name), current.column(name), params))
    small = min(reference.num_rows, current.num_rows) < params.min_rows
    generator = np.random.default_rng(context.subseed("psi"))
    adjusted = adjust([c.p_value for c in compared])
    measurements: list[Measurement] = []
    for comparison, p_value in zip(compared, adjusted, strict=True):
        measurements += _measurements(
            comparison, p_value, n=current.num_rows, small=small, params=params, generator=generator
        )
    report = {
        "rows": {"reference": reference.num_rows, "current": current.num_rows},
        "columns": [_picture(c, m) for c, m in zip(compared, adjusted, strict=True)],
        "only_in_reference": sorted(set(reference.column_names) - set(current.column_names)),
        "only_in_current": sorted(set(current.column_names) - set(reference.column_names)),
        "measurements": [m.model_dump(mode="json") for m in measurements],
    }
    context.progress(len(names), len(names), "compared")
    verdict = judge(measurements, params.thresholds)
    return StepResult({"report": report}, tuple(measurements), verdict, _summary(compared, params))


def _numeric(table: pa.Table, name: str) -> bool:
    return is_number(table.schema.field(name).type)


def _columns(reference: pa.Table, current: pa.Table, params: Params) -> list[str]:
    personal = {*personal_columns(reference), *personal_columns(current)}
    common = [n for n in reference.column_names if n in current.column_names]
    for name in params.columns:
        if name not in common:
            raise StepError(
                f"column {name!r} is not in both tables; common are {', '.join(common) or 'none'}", param="columns"
            )
        if name in personal:
            raise StepError(f"{name!r} is flagged as personal data; its values would be shown", param="columns")
    names = [n for n in (params.columns or common) if n not in params.exclude and n not in personal]
    kinds = {n: (reference.schema.field(n).type, current.schema.field(n).type) for n in names}
    changed = [n for n, (a, b) in kinds.items() if is_number(a) != is_number(b) or is_text(a) != is_text(b)]
    if changed:
        raise StepError(f"columns changed their kind between the tables: {', '.join(changed)}", param="columns")
    usable = [n for n in names if is_number(kinds[n][0]) or is_text(kinds[n][0])]
    usable = [n for n in usable if not any(_names_rows(t.column(n)) for t in (reference, current))]
    odd = [n for n in params.columns if n not in usable]
    if odd or not usable:
        raise StepError(
            "nothing to compare: columns must be common, not personal, numbers, booleans or text, and text must "
            f"repeat ({', '.join(odd) or 'none is'})",
            param="columns",
        )
    return usable


def _names_rows(column: pa.ChunkedArray) -> bool:
    """Text that hardly repeats (names, notes, identifiers): it has no distribution, and its values stay unseen."""
    return is_text(column.type) and pc.count_distinct(column).as_py() > max(20, len(column) / 2)


def _numbers(name: str, reference: pa.ChunkedArray, current: pa.ChunkedArray, params: Params) -> Comparison:
    """Quantile bins of the reference (open at both ends) and one for missing values; Kolmogorov–Smirnov."""
    a, b = numbers(reference), numbers(current)
    known_a, known_b = a[np.isfinite(a)], b[np.isfinite(b)]
    edges = np.unique(np.quantile(known_a, np.linspace(0, 1, params.bins + 1)[1:-1])) if len(known_a) else np.array([])
    counts = [
        np.r_[np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1), len(all_) - len(known)]
        for known, all_ in ((known_a, a), (known_b, b))
    ]
    limits = [None, *edges.tolist(), None]
    bins: list[dict[str, Any]] = [{"above": limits[i], "up_to": limits[i + 1]} for i in range(len(edges) + 1)]
    bins.append({"label": MISSING})
    effect = p_value = None
    if len(known_a) and len(known_b):
        test = stats.ks_2samp(known_a, known_b, method="asymp")
        effect, p_value = float(test.statistic), float(test.pvalue)
    return Comparison(name, "numeric", bins, counts[0], counts[1], effect, p_value)


def _categorical(name: str, reference: pa.ChunkedArray, current: pa.ChunkedArray, params: Params) -> Comparison:
    """The most frequent categories of both tables, the rest as one; chi-squared with Cramér's V."""
    tallies = [_tally(column) for column in (reference, current)]
    total = tallies[0] + tallies[1]
    ranked = sorted(total, key=lambda label: (-total[label], label))
    shown = ranked[: params.max_categories]
    rest = [sum(tally[label] for label in ranked[params.max_categories :]) for tally in tallies]
    counts = [np.array([tally[label] for label in shown]) for tally in tallies]
    bins = [{"label": label} for label in shown]
    if sum(rest):
        bins.append({"label": OTHER})
        counts = [np.r_[count, r] for count, r in zip(counts, rest, strict=True)]
    effect, p_value = 0.0, 1.0
    if len(bins) > 1:
        table = np.array(counts)
        test = stats.chi2_contingency(table, correction=False)
        effect, p_value = float(np.sqrt(test.statistic / table.sum())), float(test.pvalue)
    return Comparison(name, "categorical", bins, counts[0], counts[1], effect, p_value)


def _tally(column: pa.ChunkedArray) -> Counter[str]:
    if is_text(column.type):
        return Counter(MISSING if v is None else str(v) for v in texts(column).tolist())
    return Counter(MISSING if np.isnan(v) else f"{v:g}" for v in numbers(column).tolist())


def stability_index(reference: Array, current: Array) -> Array:
    """The population stability index Σ (q − p) ln(q / p) of counts, shape (…, bins) → (…), in nats.

    Half a row is added to every bin (Jeffreys' prior), so that an empty bin gives a finite number. It is the
    symmetrised Kullback–Leibler divergence (Siddiqi 2006); with no drift at all its mean is about
    (bins − 1) · (1/n + 1/m).
    """
    p = (reference + 0.5) / (reference + 0.5).sum(axis=-1, keepdims=True)
    q = (current + 0.5) / (current + 0.5).sum(axis=-1, keepdims=True)
    return np.asarray(((q - p) * np.log(q / p)).sum(axis=-1))


def adjust(p_values: list[float | None]) -> list[float | None]:
    """Benjamini and Hochberg's (1995) adjusted p-values over those that exist, in the same places."""
    places = [i for i, p in enumerate(p_values) if p is not None]
    found = [p for p in p_values if p is not None]
    adjusted: list[float | None] = [None] * len(p_values)
    for place, value in zip(places, stats.false_discovery_control(found) if found else [], strict=True):
        adjusted[place] = float(value)
    return adjusted


def _measurements(
    c: Comparison, p_value: float | None, *, n: int, small: bool, params: Params, generator: np.random.Generator
) -> list[Measurement]:
    where = {"column": c.column}
    note = f"inconclusive: fewer than {params.min_rows} rows on one side" if small else ""
    sides = [generator.multinomial(s.sum(), s / s.sum(), size=params.draws) for s in (c.reference, c.current)]
    interval = percentile_interval(stability_index(sides[0], sides[1]), params.level)
    index = float(stability_index(c.reference, c.current))
    effect_name = "ks_statistic" if c.kind == "numeric" else "cramers_v"
    shares = [s[-1] / s.sum() if c.kind == "numeric" else _missing_share(c, s) for s in (c.reference, c.current)]
    gone = "" if c.effect is not None else "no value on one side"
    return [
        Measurement(
            name="psi",
            value=None if small else index,
            unit="nats",
            direction="lower_is_better",
            n=n,
            interval=None if small else interval,
            slice=where,
            note=note or "the interval is the multinomial bootstrap's, biased upwards in small samples",
        ),
        Measurement(
            name=effect_name,
            value=None if small else c.effect,
            unit="distance" if c.kind == "numeric" else "association",
            direction="lower_is_better",
            n=n,
            slice=where,
            note=note or gone,
        ),
        Measurement(name="p_value_adjusted", value=p_value, unit="probability", n=n, slice=where, note=_test(c)),
        Measurement(name="missing_share_change", value=float(shares[1] - shares[0]), n=n, slice=where),
    ]


def _test(c: Comparison) -> str:
    test = "two-sample Kolmogorov–Smirnov, asymptotic" if c.kind == "numeric" else "chi-squared"
    return f"{test}, Benjamini–Hochberg over columns; not a distance: with many rows a tiny change has a tiny p-value"


def _missing_share(c: Comparison, counts: Array) -> float:
    missing = [i for i, b in enumerate(c.bins) if b.get("label") == MISSING]
    return float(counts[missing].sum() / counts.sum())


def _picture(c: Comparison, p_value: float | None) -> dict[str, Any]:
    """Paired histograms: the bins with counts and shares of both tables."""
    reference, current = c.reference / c.reference.sum(), c.current / c.current.sum()
    rows = [
        {
            **b,
            "reference": int(c.reference[i]),
            "current": int(c.current[i]),
            "reference_share": float(reference[i]),
            "current_share": float(current[i]),
        }
        for i, b in enumerate(c.bins)
    ]
    index = float(stability_index(c.reference, c.current))
    return {
        "column": c.column,
        "kind": c.kind,
        "psi": index,
        "effect": c.effect,
        "p_value_adjusted": p_value,
        "bins": rows,
    }


def _summary(compared: list[Comparison], params: Params) -> str:
    worst = max(compared, key=lambda c: float(stability_index(c.reference, c.current)))
    index = float(stability_index(worst.reference, worst.current))
    return f"{len(compared)} columns compared; the largest stability index is {index:.3f} ({worst.column})"


STEP = Step(
    id="monitor.drift@1",
    title="Compare with a reference",
    help="Population stability index per column (quantile bins of the reference), Kolmogorov–Smirnov's D or "
    "chi-squared with Cramér's V, and p-values adjusted over the columns. By default an index above 0.2 fails.",
    params=Params,
    run=run,
    inputs={
        "reference": Port("table", "what the model was trained on, or an earlier batch"),
        "current": Port("table", "the batch in question"),
    },
    outputs={"report": Port("report", "paired histograms per column")},
    evidence=("drift_report",),
    about=("current",),
)
