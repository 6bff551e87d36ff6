"""``validate.schema@1``: a table against declared columns and keys; says which rows fail, never what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from pipelines.steps._profile import profile
from pipelines.steps._rules import Outcome, check_column, check_keys
from pipelines.steps._tables import ColumnType, mark_personal
from pipelines.steps.contract import Port, Step, StepContext, StepParams, StepResult
from security.measurement import Measurement, Verdict

Value = bool | int | float | str


class ColumnRule(BaseModel):
    """What one column must be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: ColumnType | None = Field(default=None, description="type of the column; not checked if empty")
    required: bool = Field(default=True, description="the column must be there")
    nullable: bool = Field(default=False, description="values may be missing (not-a-number counts as missing)")
    min: int | float | str | None = Field(default=None, description="smallest value; dates and times as ISO 8601 text")
    max: int | float | str | None = Field(default=None, description="largest value; dates and times as ISO 8601 text")
    allowed: tuple[Value, ...] | None = Field(default=None, min_length=1, description="the only values it may have")
    pattern: str | None = Field(
        default=None, max_length=1000, description="RE2 regular expression that the whole text must match"
    )
    max_length: int | None = Field(default=None, ge=0, description="most characters a text may have")
    unique: bool = Field(default=False, description="no value occurs twice; missing values do not count")
    personal: bool = Field(default=False, description="holds personal data: the profile says only how many are missing")


class Params(StepParams):
    columns: dict[str, ColumnRule] = Field(default_factory=dict, description="rules of each column")
    unique_keys: tuple[tuple[str, ...], ...] = Field(
        default=(), description="sets of columns whose combined values may not occur twice"
    )
    min_rows: int = Field(default=1, ge=0, description="fewer rows fail")
    max_rows: int | None = Field(default=None, ge=0, description="more rows fail")
    allow_extra: bool = Field(default=False, description="columns without a rule may be there")
    stop_on_failure: bool = Field(
        default=True,
        description="a broken rule fails the step and stops the run; if off, the verdict is inconclusive and the run "
        "goes on, but no gate accepts it",
    )


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Check every rule; the rows pass through unchanged, columns declared personal are marked so for later steps.

    PASS: there are rules and all hold. FAIL: one is broken (INCONCLUSIVE with ``stop_on_failure`` off). INCONCLUSIVE:
    no column or key has a rule. Raises StepError for a rule that cannot be: a bad pattern, a bound of another type.
    """
    table: pa.Table = inputs["table"]
    outcomes = _whole_table(table, params)
    for index, (name, rule) in enumerate(params.columns.items()):
        context.progress(index, len(params.columns), f"checking {name}")
        outcomes += _column(table, name, rule)
    outcomes += [check_keys(table, key) for key in params.unique_keys]
    broken = [outcome for outcome in outcomes if not outcome.passed]
    failing = int(np.any([outcome.mask for outcome in outcomes if outcome.mask is not None], axis=0).sum())
    personal = {name for name, rule in params.columns.items() if rule.personal}
    report = {
        "rows": table.num_rows,
        "rows_failing": failing,
        "rules": [outcome.as_report() for outcome in outcomes],
        "profile": profile(table, personal=personal),
    }
    return StepResult(
        outputs={"table": mark_personal(table, personal), "report": report},
        measurements=_measurements(table, outcomes, broken, failing),
        verdict=_verdict(params, broken),
        summary=_summary(outcomes, broken),
    )


def _whole_table(table: pa.Table, params: Params) -> list[Outcome]:
    rows = table.num_rows
    outcomes = [Outcome("", "min_rows", rows >= params.min_rows, expected=params.min_rows, note=f"{rows} rows")]
    if params.max_rows is not None:
        outcomes.append(Outcome("", "max_rows", rows <= params.max_rows, expected=params.max_rows, note=f"{rows} rows"))
    if not params.allow_extra:
        extra = [name for name in table.column_names if name not in params.columns]
        note = f"without a rule: {', '.join(extra)}" if extra else ""
        outcomes.append(Outcome("", "extra_columns", not extra or not params.columns, failing=len(extra), note=note))
    return outcomes


def _column(table: pa.Table, name: str, rule: ColumnRule) -> list[Outcome]:
    if name not in table.column_names:
        return [Outcome(name, "required", not rule.required, note="the column is missing")]
    return check_column(name, table.column(name), rule)


def _verdict(params: Params, broken: list[Outcome]) -> Verdict:
    if broken:
        return Verdict.FAIL if params.stop_on_failure else Verdict.INCONCLUSIVE
    return Verdict.PASS if params.columns or params.unique_keys else Verdict.INCONCLUSIVE


def _measurements(
    table: pa.Table, outcomes: list[Outcome], broken: list[Outcome], failing: int
) -> tuple[Measurement, ...]:
    rows = table.num_rows
    return (
        Measurement(name="rows", value=rows, unit="rows", n=rows),
        Measurement(name="rules_checked", value=len(outcomes), unit="rules", n=rows),
        Measurement(name="rules_broken", value=len(broken), unit="rules", direction="lower_is_better", n=rows),
        Measurement(name="rows_failing", value=failing, unit="rows", direction="lower_is_better", n=rows),
    )


def _summary(outcomes: list[Outcome], broken: list[Outcome]) -> str:
    if not broken:
        return f"{len(outcomes)} rules hold"
    named = ", ".join(f"{outcome.column} {outcome.rule}".strip() for outcome in broken[:5])
    return f"{len(broken)} of {len(outcomes)} rules broken: {named}{', …' if len(broken) > 5 else ''}"


STEP = Step(
    id="validate.schema@1",
    title="Check the schema",
    help="Checks types, missing values, ranges, sets, patterns and uniqueness; a broken rule stops the run.",
    params=Params,
    run=run,
    inputs={"table": Port("table", "the rows to check")},
    outputs={
        "table": Port("table", "the same rows, unchanged"),
        "report": Port("report", "each rule with its failing rows by number, and a profile of each column"),
    },
    evidence=("data_profile",),
    about=("table",),
    blocking=True,
)
