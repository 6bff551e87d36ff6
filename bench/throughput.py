"""Rows per second of each step on adult.csv, beside the plain library call that does the same without a verdict."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from bench.adult import FIT, GROUPED, MAILS, NEIGHBOURS_OF, NUMBERS, POSITIVE, TARGET, Adult
from pipelines.steps import registry
from pipelines.steps.contract import StepContext

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 3
ATTACKED = 10  # rows
JUDGING = {"target": TARGET, "positive": POSITIVE}
AGES = {"age": {"type": "int64", "min": 0, "max": 120, "nullable": False}}

Inputs = Mapping[str, Any]


def _file(data: Adult) -> Inputs:
    return {"file": data.path}


def _all(data: Adult) -> Inputs:
    return {"table": data.table}


def _notes(data: Adult) -> Inputs:
    return {"table": data.notes}


def _train(data: Adult) -> Inputs:
    return {"table": data.halves[0]}


def _judged(data: Adult) -> Inputs:
    return {"model": data.model, "table": data.halves[1]}


def _both(data: Adult) -> Inputs:
    return {"reference": data.halves[0], "current": data.halves[1]}


@dataclass(frozen=True)
class Case:
    """A step with its parameters and inputs, and its peer: a plain call and what it is.

    ``rows``: how many it works on, where it is not all of its table.
    """

    uses: str
    params: Mapping[str, Any]
    inputs: Callable[[Adult], Inputs]
    peer: Callable[[Adult], Any]
    peer_name: str
    rows: int | None = None


CASES = (
    Case("extract.csv@1", {"path": "adult.csv"}, _file, Adult.plain_read, "pandas.read_csv"),
    Case("validate.schema@1", {"columns": AGES, "allow_extra": True}, _all, Adult.plain_describe, "pandas describe"),
    Case("redact.pii@1", {"columns": {"note": "scan"}}, _notes, Adult.plain_mails,
         "one Presidio recogniser (e-mail only)", len(MAILS)),
    Case("transform.sql@1", {"query": GROUPED}, _all, Adult.plain_sql, "DuckDB, nothing locked"),
    Case("split.holdout@1", {"fraction": 0.5, "stratify": TARGET}, _all, Adult.plain_split,
         "scikit-learn train_test_split"),
    Case("train.sklearn@1", FIT, _train, Adult.plain_fit, "the same pipeline, fitted by hand"),
    Case("evaluate.classification@1", JUDGING, _judged, Adult.plain_metrics, "two scikit-learn metrics, no intervals"),
    Case("evaluate.slices@1", {**JUDGING, "groups": ["sex", "race"]}, _judged, Adult.plain_groups,
         "pandas group means, no intervals"),
    Case("attack.evasion@1", {"target": TARGET, "samples": ATTACKED, "immutable": ["age"]}, _judged,
         Adult.plain_prediction, "one prediction", ATTACKED),
    Case("check.poisoning@1", {"target": TARGET, "exclude": ["fnlwgt"], "max_rows": NEIGHBOURS_OF}, _train,
         Adult.plain_neighbours, "scikit-learn nearest neighbours alone", NEIGHBOURS_OF),
    Case("monitor.drift@1", {"columns": NUMBERS}, _both, Adult.plain_drift, "SciPy ks_2samp, no intervals"),
)  # fmt: skip


def measure() -> list[dict[str, Any]]:
    """One row per step: median seconds, rows per second, and the ratio of the peer's time to ours (1 is as fast)."""
    path = Path(os.environ.get("COUNTERSIGN_DATA", ROOT.parent / "shared" / "data")) / "adult.csv"
    if not path.is_file():
        return [{"case": "adult.csv", "error": "not here; set COUNTERSIGN_DATA to the folder that holds it"}]
    data = Adult(path)
    with tempfile.TemporaryDirectory() as folder:
        return [_row(case, data, Path(folder)) for case in CASES]


def _row(case: Case, data: Adult, folder: Path) -> dict[str, Any]:
    step = registry()[case.uses]
    params, inputs = step.params.model_validate(case.params), case.inputs(data)
    case.peer(data)  # what is prepared when first asked for is not measured
    ours, theirs = [], []
    for repeat in range(REPEATS):
        context = StepContext(seed=1, scratch=folder, secret=bytes(32), seconds=600)
        ours.append(_seconds(lambda context=context: step.run(inputs, params, context)))
        theirs.append(_seconds(lambda: case.peer(data)))
        if repeat == 0 and ours[0] > 60:
            break
    own, peer = statistics.median(ours), statistics.median(theirs)
    rows = case.rows or _rows(inputs) or len(data.frame)
    return {
        "case": case.uses,
        "rows": rows,
        "seconds": round(own, 3),
        "rows_per_second": round(rows / own),
        "peer": case.peer_name,
        "peer_seconds": round(peer, 3),
        "ratio": round(peer / own, 2),
    }


def _rows(inputs: Inputs) -> int:
    return max((given.num_rows for given in inputs.values() if isinstance(given, pa.Table)), default=0)


def _seconds(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
