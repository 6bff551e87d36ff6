"""Write a model as ONNX too, and compare the answers of both on given rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field

from pipelines.package.answers import Answers
from pipelines.package.columns import Column
from pipelines.package.onnxfile import OnnxModel, input_names, need
from pipelines.steps._frames import model_columns, model_frame, need_rows
from pipelines.steps._modelfile import load_model
from pipelines.steps.contract import Port, Step, StepContext, StepError, StepParams, StepResult
from security.measurement import Measurement, Verdict

_OPSETS = {"": 17, "ai.onnx.ml": 3}


class Params(StepParams):
    """How many rows are compared, and how far apart answers may be."""

    max_rows: int = Field(default=10_000, ge=1, description="rows that are compared, from the first on")
    tolerance: float = Field(
        default=1e-4,
        gt=0,
        le=0.01,
        description="largest difference of a probability (ONNX has single precision)",
    )


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Convert and compare. A model that has no ONNX form is INCONCLUSIVE and gives no file; one that answers otherwise
    fails and gives none either. Raises StepError for a model or table that cannot be read."""
    model, table = load_model(inputs["model"]), inputs["table"]
    rows = _rows(model, table, params.max_rows)
    context.progress(0, len(rows), "converting")
    data, why = _converted(model)
    if not data:
        report = {"converts": False, "why": why}
        summary = f"no ONNX form: {why}"
        return StepResult(outputs={"report": report}, verdict=Verdict.INCONCLUSIVE, summary=summary)
    classes = [str(one) for one in model.classes_]
    columns = _columns(model, data)
    asked = OnnxModel(data, columns, task="classification", classes=classes).ask(
        rows.set_axis([column.name for column in columns], axis="columns")
    )
    context.progress(len(rows), len(rows), "compared")
    return _compared(model, rows, asked, data, params)


def _compared(model: Any, rows: pd.DataFrame, asked: Answers, data: bytes, params: Params) -> StepResult:
    own = np.asarray(model.predict(rows)).astype(str)
    agree = int((own == asked.values.astype(str)).sum())
    count = len(rows)
    scores = asked.scores if asked.scores is not None else np.full((count, len(model.classes_)), np.nan)
    apart = float(np.abs(np.asarray(model.predict_proba(rows)) - scores).max())
    good = agree == count and apart <= params.tolerance  # a NaN is not within any tolerance
    shown = apart if np.isfinite(apart) else None
    measurements = (
        Measurement(name="label_agreement", value=agree / count, direction="higher_is_better", n=count),
        Measurement(name="largest_difference", value=shown, direction="lower_is_better", n=count),
    )
    names = dict(zip(input_names(data), map(str, model.feature_names_in_), strict=True))
    report = {
        "converts": True,
        "inputs": names,
        "rows": count,
        "agree": agree,
        "largest_difference": shown,
        "bytes": len(data),
    }
    words = f"answers of {agree:,} of {count:,} rows agree, probabilities differ by at most {apart:.1e}"
    return StepResult(
        outputs={"report": report, **({"onnx": data} if good else {})},
        measurements=measurements,
        verdict=Verdict.PASS if good else Verdict.FAIL,
        summary=words,
    )


def _rows(model: Any, table: pa.Table, most: int) -> pd.DataFrame:
    need_rows(table)
    return model_frame(model, table.slice(0, most))


def _columns(model: Any, data: bytes) -> list[Column]:
    """The inputs of the ONNX file, which the converter names after the columns, in the columns' order."""
    numeric, _ = model_columns(model)
    names = zip(input_names(data), (str(name) for name in model.feature_names_in_), strict=True)
    return [Column(name=one) if own in numeric else Column(name=one, kind="text", values=("",)) for one, own in names]


def _converted(model: Any) -> tuple[bytes, str]:
    """The ONNX bytes, or why there are none. One input for each column; no clock and no random name in them."""
    try:
        first, second = (_conversion(model) for _ in range(2))
    except StepError:
        raise
    except Exception as error:  # the converter raises many kinds: all of them mean that it has no rule
        told = str(error).splitlines()[0][:200] if str(error) else ""
        return b"", f"{type(error).__name__}: {told}"
    if first != second:
        return b"", "the converter gives other bytes each time, so that no digest would name the model"
    return first, ""


def _conversion(model: Any) -> bytes:
    convert, types = need("skl2onnx").convert_sklearn, need("skl2onnx.common.data_types")
    numeric, _ = model_columns(model)
    kinds = [
        (str(name), (types.FloatTensorType if name in numeric else types.StringTensorType)([None, 1]))
        for name in model.feature_names_in_
    ]
    options = {id(model): {"zipmap": False}}
    made = convert(model, "model", initial_types=kinds, target_opset=_OPSETS, options=options)
    return bytes(made.SerializeToString())


STEP = Step(
    id="convert.onnx@1",
    title="Convert the model to ONNX",
    help="Writes the model as ONNX beside skops where there is a rule for it, and compares labels and probabilities on "
    "the given rows. The package of a model version holds the ONNX file if all of them agree.",
    params=Params,
    run=run,
    inputs={
        "model": Port("model", "the model that train.sklearn made"),
        "table": Port("table", "rows to compare on; the label is not needed"),
    },
    outputs={
        "onnx": Port("model", "the same model as ONNX", required=False),
        "report": Port("report", "whether it converts, and how far the answers agree"),
    },
    confined=True,
)
