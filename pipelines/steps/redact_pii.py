"""``redact.pii@1``: personal data out of a table, column by column as declared, with a look for what was forgotten."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field

from pipelines.steps import _residual
from pipelines.steps._tables import mark_personal, plain, require_columns, require_rows
from pipelines.steps.contract import Port, Step, StepContext, StepError, StepParams, StepResult
from security.measurement import Measurement, Verdict
from security.privacy.anonymity import anonymity_measurements
from security.privacy.detector import PATTERN_ENTITIES, Detector, ModelNotInstalledError
from security.privacy.identity import find_identity, label
from security.privacy.masking import Tokeniser, WeakSecretError, generalised, masked
from security.privacy.spans import merge, write_over

Action = Literal["drop", "mask", "token", "generalise", "scan"]


class Params(StepParams):
    columns: dict[str, Action] = Field(
        min_length=1,
        description="what happens to each personal column: drop, mask (a fixed text), token (keyed, the same value "
        "gives the same token), generalise (numbers to bands of ten, dates to years, text to three characters) or "
        "scan (free text: each finding becomes <ENTITY>)",
    )
    identity_columns: tuple[str, ...] = Field(
        default=(), description="columns whose own value, and its words, are removed from the scanned text of the row"
    )
    entities: tuple[str, ...] = Field(default=PATTERN_ENTITIES, description="kinds of personal data to look for")
    score_threshold: float = Field(default=0.4, ge=0, le=1, description="findings with a lower score are ignored")
    spacy_model: str | None = Field(
        default=None, description="an installed spaCy model that finds names and places; none is ever downloaded"
    )
    scan_others: bool = Field(
        default=True, description="look into all other columns too: personal data there fails the step"
    )
    sample_rows: int | None = Field(
        default=None, ge=1, description="look into this many rows of the other columns, drawn by the seed; all if empty"
    )
    keep: tuple[str, ...] = Field(
        default=(),
        description="columns whose name sounds personal and that a person decided to keep; still looked into",
    )
    quasi_identifiers: tuple[str, ...] = Field(
        default=(), description="columns of the result over which k-anonymity is measured"
    )


@dataclass
class _Work:
    """One call's inputs and what was found so far: counts by (column, entity) and the rows that changed."""

    table: pa.Table
    params: Params
    context: StepContext
    detector: Detector
    found: Counter[tuple[str, str]] = field(default_factory=Counter)
    touched: set[int] = field(default_factory=set)


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Redact ``table`` and report counts by column and entity, never a text.

    PASS: all other columns were looked into and nothing was found. FAIL: something was found there, or in a scanned
    column after redaction. INCONCLUSIVE: nobody looked, or free text was scanned with neither a model nor identity
    columns, so that names in it are not covered.
    Raises StepError for missing columns, a missing model or secret, unknown entities, a type that cannot be coarser.
    """
    table: pa.Table = inputs["table"]
    require_rows(table)
    for param in ("columns", "identity_columns", "keep"):
        require_columns(table, getattr(params, param), param=param)
    started = time.monotonic()
    work = _Work(table, params, context, _detector(params))
    redacted = _redacted(work)
    residual = _residual.look(table, redacted, params, context, work.detector)
    context.log(f"{table.num_rows / max(time.monotonic() - started, 1e-9):.0f} rows per second")
    verdict = _verdict(params, residual)
    return StepResult(
        outputs={"table": redacted, "report": _report(work, residual)},
        measurements=_measurements(redacted, work, residual),
        verdict=verdict,
        summary=_summary(work, residual, verdict),
    )


def _detector(params: Params) -> Detector:
    try:
        return Detector(entities=params.entities, threshold=params.score_threshold, spacy_model=params.spacy_model)
    except ModelNotInstalledError as error:
        raise StepError(str(error), param="spacy_model") from None
    except ValueError as error:
        raise StepError(str(error), param="entities") from None


def _redacted(work: _Work) -> pa.Table:
    result = work.table
    for name, action in work.params.columns.items():
        position = result.column_names.index(name)
        if action == "drop":
            result = result.remove_column(position)
        else:
            result = result.set_column(position, name, _changed(work, name, action))
    if result.num_columns == 0:
        raise StepError("every column is dropped; nothing is left to pass on", param="columns")
    # a token still stands for one person, and free text may name others: both stay marked for later steps
    kept = [name for name, action in work.params.columns.items() if action in ("token", "scan")]
    return mark_personal(plain(result), kept)


def _changed(work: _Work, name: str, action: Action) -> pa.ChunkedArray:
    values = work.table.column(name)
    if action == "mask":
        return masked(values)
    if action == "scan":
        return _scanned(work, name)
    try:
        if action == "generalise":
            return generalised(values)
        return Tokeniser(work.context.secret).column(label(name), values)
    except WeakSecretError as error:
        raise StepError(f"column {name!r}: {error}", param="columns") from None
    except TypeError as error:
        raise StepError(f"column {name!r}: {error}; mask or drop it", param="columns") from None


def _scanned(work: _Work, name: str) -> pa.ChunkedArray:
    """Each text with the detector's findings and the row's own identity written over."""
    texts = work.table.column(name).cast(pa.string()).to_pylist()
    identities = _residual.identities(work.table, [column for column in work.params.identity_columns if column != name])
    known: dict[str, list[Any]] = {}
    result: list[str | None] = []
    for row, text in enumerate(texts):
        if row % 500 == 0:
            work.context.progress(row, len(texts), f"redacting {name}")
        if not text:
            result.append(text)
            continue
        if text not in known:
            known[text] = _residual.find(work.detector, text, name, row)
        spans = merge([*known[text], *find_identity(text, identities(row))])
        work.found.update((name, span.entity) for span in spans)
        if spans:
            work.touched.add(row)
        result.append(write_over(text, spans))
    work.context.progress(len(texts), len(texts), f"redacted {name}")
    return pa.chunked_array([pa.array(result, pa.string())])


def _names_uncovered(params: Params) -> bool:
    """Free text is scanned and nothing there could find a name."""
    return "scan" in params.columns.values() and not params.spacy_model and not params.identity_columns


def _verdict(params: Params, residual: _residual.Residual) -> Verdict:
    if residual.total:
        return Verdict.FAIL
    if not params.scan_others or _names_uncovered(params):
        return Verdict.INCONCLUSIVE
    return Verdict.PASS


def _report(work: _Work, residual: _residual.Residual) -> dict[str, Any]:
    params, detector, rows = work.params, work.detector, work.table.num_rows
    return {
        "rows": rows,
        "rows_with_findings": len(work.touched),
        "share_of_rows_with_findings": len(work.touched) / rows,
        "columns": dict(params.columns),
        "identity_columns": list(params.identity_columns),
        "found": [
            {"column": column, "entity": entity, "count": n} for (column, entity), n in sorted(work.found.items())
        ],
        "residual": residual.as_report(),
        "detector": {
            "version": detector.version,
            "entities": list(detector.entities),
            "score_threshold": params.score_threshold,
            "spacy_model": params.spacy_model,
        },
        "not_covered": detector.not_covered,
    }


def _measurements(redacted: pa.Table, work: _Work, residual: _residual.Residual) -> tuple[Measurement, ...]:
    params = work.params
    counts = [
        Measurement(
            name="entities_found",
            value=n,
            unit="findings",
            n=redacted.num_rows,
            slice={"column": column, "entity": entity},
        )
        for (column, entity), n in sorted(work.found.items())
    ]
    left = Measurement(
        name="residual_findings",
        value=residual.total if params.scan_others else None,
        unit="findings",
        direction="lower_is_better",
        n=residual.rows,
        note="" if params.scan_others else "scan_others is off: the other columns were not looked into",
    )
    require_columns(redacted, params.quasi_identifiers, param="quasi_identifiers")
    anonymity = anonymity_measurements(redacted, params.quasi_identifiers) if params.quasi_identifiers else ()
    return (*counts, left, *anonymity)


def _summary(work: _Work, residual: _residual.Residual, verdict: Verdict) -> str:
    text = f"{work.found.total()} findings in {len(work.touched)} rows removed"
    if residual.total:
        columns = sorted({finding["column"] for finding in residual.as_report()["findings"]})
        return f"{text}; personal data remains in {', '.join(columns)}: declare the column, or keep it on purpose"
    return f"{text}; nothing else found" if verdict is Verdict.PASS else f"{text}; names or other columns not covered"


STEP = Step(
    id="redact.pii@1",
    title="Redact personal data",
    help="Drops, masks, tokenises, coarsens or scans personal columns, and fails if personal data remains elsewhere.",
    params=Params,
    run=run,
    inputs={"table": Port("table", "rows with personal data")},
    outputs={
        "table": Port("table", "the same rows without it"),
        "report": Port("report", "what was found where, as counts, and what is not covered"),
    },
    evidence=("pii_report",),
    about=("table",),
    blocking=True,
    keyed=True,
)
