"""One sample call of every step, and calls that must be refused: what the contract test runs on.

``CASES`` maps a step id to a function of a scratch folder. A step without a case fails the contract test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from security.canonical import sha256
from tests.pipelines.steps.ml_cases import ML_CASES
from tests.support import foreign_models

Inputs = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A call that works (``inputs``, ``params``), calls that end in StepError, parameters that never start."""

    inputs: Inputs
    params: dict[str, Any]
    refused: list[tuple[Inputs, dict[str, Any]]]
    bad_params: list[dict[str, Any]] = field(default_factory=list)


def people() -> pa.Table:
    """Sixty made-up rows with a label, a group and a note."""
    rows = range(60)
    return pa.table(
        {
            "name": [f"Ada Example{row}" for row in rows],
            "note": [f"Ada wrote from ada{row}@example.org, call (312) 555-01{row:02d}" for row in rows],
            "age": [20 + row % 50 for row in rows],
            "amount": [100.5 * row for row in rows],
            "household": [f"h{row // 3}" for row in rows],
            "label": [int(row % 3 == 0) for row in rows],
        }
    )


def _file(folder: Path, name: str, content: bytes) -> Inputs:
    path = folder / name
    path.write_bytes(content)
    return {"file": path}


def _csv(folder: Path) -> Case:
    return Case(
        inputs=_file(folder, "good.csv", b"a,b\n1,x\n2,y\n"),
        params={"path": "good.csv", "types": {"a": "int64"}},
        refused=[(_file(folder, "ragged.csv", b"a,b\n1\n"), {"path": "ragged.csv"})],
        bad_params=[{}, {"path": "x", "delimiter": ";;"}, {"path": "x", "surprise": 1}],
    )


def _parquet(folder: Path) -> Case:
    pq.write_table(people(), folder / "good.parquet")
    return Case(
        inputs={"file": folder / "good.parquet"},
        params={"path": "good.parquet"},
        refused=[(_file(folder, "bad.parquet", b"PAR1 not really PAR1"), {"path": "bad.parquet"})],
        bad_params=[{}, {"path": "x", "max_rows": 0}],
    )


def _validate(folder: Path) -> Case:
    return Case(
        inputs={"table": people()},
        params={"columns": {"age": {"type": "int64", "min": 18}}, "allow_extra": True},
        refused=[({"table": people()}, {"columns": {"name": {"pattern": "(unclosed"}}, "allow_extra": True})],
        bad_params=[{"columns": {"age": {"minimum": 1}}}, {"columns": {"age": {"type": "int"}}}],
    )


def _redact(folder: Path) -> Case:
    return Case(
        inputs={"table": people()},
        params={"columns": {"name": "token", "note": "scan", "age": "generalise"}, "identity_columns": ["name"]},
        refused=[
            ({"table": people()}, {"columns": {"nobody": "drop"}}),
            ({"table": people()}, {"columns": {"note": "scan"}, "spacy_model": "xx_not_installed_sm"}),
        ],
        bad_params=[{}, {"columns": {"name": "burn"}}],
    )


def _sql(folder: Path) -> Case:
    return Case(
        inputs={"table": people()},
        params={"query": "SELECT household, sum(amount) AS total, count(*) AS n FROM input GROUP BY ALL"},
        refused=[
            ({"table": people()}, {"query": "SELECT * FROM read_text('/etc/hostname')"}),
            ({"table": people()}, {"query": "SELECT random() AS r"}),
        ],
        bad_params=[{}, {"query": ""}],
    )


def _split(folder: Path) -> Case:
    return Case(
        inputs={"table": people()},
        params={"fraction": 0.3, "stratify": "label", "group": "household"},
        refused=[({"table": people()}, {"stratify": "nothing"}), ({"table": people().slice(0, 0)}, {})],
        bad_params=[{"fraction": 0}, {"fraction": 1}],
    )


def _import(folder: Path) -> Case:
    digest = {"sha256": sha256(foreign_models.logistic())}
    declared = {"columns": foreign_models.COLUMNS, "classes": ["no", "yes"], "training_sha256": "a" * 64}
    return Case(
        inputs=_file(folder, "model.skops", foreign_models.logistic()),
        params={**digest, **declared},
        refused=[
            (_file(folder, "pickle.skops", b"\x80\x04N."), {**declared, "sha256": sha256(b"\x80\x04N.")}),
            (_file(folder, "other.skops", foreign_models.logistic()), {**declared, "sha256": "b" * 64}),
        ],
        bad_params=[{}, {**digest, **declared, "classes": []}, {**digest, **declared, "classes": ["no", "no"]}],
    )


def _external(folder: Path) -> Case:
    data = b"a model"
    scan = {"sha256": sha256(data), "training": {"sha256": "a" * 64, "in_vault": True}}
    params = {"model": "risk", "supplier": "Somebody", "lineage": "From loans."}
    return Case(
        inputs={"model": data, "scan": scan},
        params=params,
        refused=[({"model": b"another", "scan": scan}, params)],
        bad_params=[{}, {**params, "model": "Not A Slug"}, {**params, "supplier": ""}],
    )


CASES: dict[str, Callable[[Path], Case]] = {
    "extract.csv@1": _csv,
    "extract.parquet@1": _parquet,
    "validate.schema@1": _validate,
    "redact.pii@1": _redact,
    "transform.sql@1": _sql,
    "split.holdout@1": _split,
    "import.model@1": _import,
    "register.external@1": _external,
    **{name: lambda folder, make=make: Case(**make()) for name, make in ML_CASES.items()},
}
