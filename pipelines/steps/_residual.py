"""The look for personal data that stayed in a redacted table: in columns nobody declared and in scanned text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.steps.contract import StepContext, StepError
from security.privacy.detector import Detector
from security.privacy.identity import find_identity
from security.privacy.spans import Span

# No recogniser finds a bare name without a model, so the name of a forgotten column is the only warning there is.
_TELLING_NAMES = (
    (
        "PERSON",
        r"((full|first|last|middle|given|family|maiden|sur|user|customer|applicant|client|patient)_?)?name|surname",
    ),
    ("EMAIL_ADDRESS", r"e_?mail(_?address)?"),
    ("PHONE_NUMBER", r"(tele)?phone(_?(number|no))?|mobile(_?(number|no))?|cell(_?phone)?|fax"),
    ("US_SSN", r"ssn|social_?security(_?(number|no))?"),
    ("CREDIT_CARD", r"(credit_?)?card_?(number|no)|pan"),
    ("IBAN_CODE", r"iban|account_?(number|no)"),
    ("ADDRESS", r"((home|street|postal|mailing|billing)_?)?address|street"),
    ("DATE_OF_BIRTH", r"dob|birth_?da(te|y)|date_?of_?birth"),
    ("PASSPORT", r"passport(_?(number|no))?"),
)
_LONG_NUMBER = 10**11
_MOST_ROWS = 20


class Looking(Protocol):
    """The parameters of redact.pii that decide where to look."""

    @property
    def columns(self) -> dict[str, Any]: ...
    @property
    def identity_columns(self) -> tuple[str, ...]: ...
    @property
    def scan_others(self) -> bool: ...
    @property
    def sample_rows(self) -> int | None: ...
    @property
    def keep(self) -> tuple[str, ...]: ...


@dataclass
class Residual:
    """What was found: counts by (column, entity), the first rows of each, and how many rows were looked at."""

    rows: int = 0
    sampled: bool = False
    looked_into: list[str] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    first_rows: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return self.counts.total()

    def add(self, column: str, entity: str, rows: Iterable[int], count: int) -> None:
        """Note ``count`` findings; ``rows`` are 0-based."""
        self.counts[column, entity] += count
        numbers = self.first_rows.setdefault((column, entity), [])
        numbers.extend(row + 1 for row in rows)
        del numbers[_MOST_ROWS:]

    def as_report(self) -> dict[str, Any]:
        """JSON without any text of a cell."""
        findings = [
            {"column": column, "entity": entity, "count": count, "rows": self.first_rows[column, entity]}
            for (column, entity), count in sorted(self.counts.items())
        ]
        return {
            "rows": self.rows,
            "sampled": self.sampled,
            "looked_into": self.looked_into,
            "total": self.total,
            "findings": findings,
        }


def identities(table: pa.Table, columns: Sequence[str]) -> Callable[[int], dict[str, str | None]]:
    """A function from a 0-based row to its identity values as text."""
    values = {name: table.column(name).cast(pa.string()).to_pylist() for name in columns}
    return lambda row: {name: column[row] for name, column in values.items()}


def find(detector: Detector, text: str, column: str, row: int) -> list[Span]:
    """The detector's spans; StepError naming column and row for a text that is too long."""
    try:
        return detector.find(text)
    except ValueError as error:
        raise StepError(
            f"column {column!r}, row {row + 1}: {error}; cut it before", details={"column": column, "row": row + 1}
        ) from None


def look(table: pa.Table, redacted: pa.Table, params: Looking, context: StepContext, detector: Detector) -> Residual:
    """Look into every undeclared column and again into scanned ones; does nothing when ``scan_others`` is off."""
    residual = Residual()
    if not params.scan_others:
        return residual
    rows = _rows(redacted.num_rows, params, context)
    residual.rows, residual.sampled = len(rows), len(rows) < redacted.num_rows
    own = identities(table, params.identity_columns)
    for name in redacted.column_names:
        action = params.columns.get(name)
        if action is None:
            _check_name(residual, name, params, redacted.num_rows)
        texts = _texts(redacted.column(name)) if action in (None, "scan") else None
        if texts is not None:
            residual.looked_into.append(name)
            context.progress(0, len(rows), f"looking into {name}")
            _look_into(residual, name, texts, rows, own=own, detector=detector)
    return residual


def _rows(total: int, params: Looking, context: StepContext) -> Sequence[int]:
    if params.sample_rows is None or params.sample_rows >= total:
        return range(total)
    return sorted(context.random("residual").sample(range(total), params.sample_rows))


def _check_name(residual: Residual, name: str, params: Looking, rows: int) -> None:
    if name in params.keep:
        return
    plain = re.sub(r"[\W_]+", "_", re.sub(r"([a-z])([A-Z])", r"\1_\2", name)).lower().strip("_")
    for entity, shape in _TELLING_NAMES:
        if re.fullmatch(shape, plain):
            residual.add(name, f"{entity} (by the column's name)", [], rows)


def _texts(column: pa.ChunkedArray) -> list[str | None] | None:
    """The column as texts if it can hold an entity: text, or whole numbers long enough for a card."""
    kind = column.type
    if pa.types.is_integer(kind) and (pc.max(column).as_py() or 0) >= _LONG_NUMBER:
        column = column.cast(pa.string())
    return column.to_pylist() if pa.types.is_string(column.type) or pa.types.is_large_string(column.type) else None


def _look_into(
    residual: Residual,
    name: str,
    texts: list[str | None],
    rows: Sequence[int],
    *,
    own: Callable[[int], dict[str, str | None]],
    detector: Detector,
) -> None:
    known: dict[str, list[Span]] = {}
    for row in rows:
        text = texts[row]
        if not text:
            continue
        if text not in known:
            known[text] = find(detector, text, name, row)
        identity = {column: value for column, value in own(row).items() if column != name}
        for span in [*known[text], *find_identity(text, identity, parts=False)]:
            residual.add(name, span.entity, [row], 1)
