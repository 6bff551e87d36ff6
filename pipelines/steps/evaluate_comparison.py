"""Is the model worth having? Against guessing, a simple model and the version in use, on the same rows, paired."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field
from scipy.stats import binomtest
from threadpoolctl import threadpool_limits

from pipelines.steps._bootstrap import bootstrap, percentile_interval
from pipelines.steps._estimators import ESTIMATORS, build
from pipelines.steps._fitting import fit
from pipelines.steps._frames import class_names, frame, known_labels, labels, model_columns, need_rows
from pipelines.steps._groups import probabilities
from pipelines.steps._metrics import surprise
from pipelines.steps._modelfile import load_model
from pipelines.steps._quantities import is_classifier, predictions, quantities
from pipelines.steps._regressors import REGRESSORS
from pipelines.steps.contract import Port, Step, StepContext, StepError, StepParams, StepResult
from security.measurement import Measurement, Threshold, judge

Array = np.ndarray[Any, Any]
Losses = Mapping[str, Array]  # name → the loss of every row, (rows,)
UNITS = {"accuracy": "fraction", "log_loss": "nats", "brier": "fraction",
         "absolute_error": "target", "squared_error": "target squared"}  # fmt: skip


class Params(StepParams):
    """Against what to compare, and by how much the model must be better."""

    target: str = Field(description="column that holds the label or the number to predict")
    simple: Literal["logistic_regression", "decision_tree", "ridge", "none"] = Field(
        default="logistic_regression",
        description="the simple model that is fitted on the training rows (ridge for numbers, whatever is named)",
    )
    bootstrap: int = Field(default=1000, ge=100, le=10_000, description="resamples for the intervals")
    level: float = Field(default=0.95, gt=0.5, lt=1, description="confidence level of the intervals")
    thresholds: tuple[Threshold, ...] = Field(
        default=(), description="rules, such as {metric: log_loss_gain, slice: {against: champion}, min: 0, on: low}"
    )


def run(inputs: Mapping[str, Any], params: Params, context: StepContext) -> StepResult:
    """Compare. Raises StepError when models and tables do not fit together, or there is nothing to compare with."""
    table: pa.Table = inputs["table"]
    need_rows(table, 2)
    if "training" not in inputs and "champion" not in inputs:
        raise StepError("there is nothing to compare with: connect training (for the baselines), champion, or both")
    model = load_model(inputs["model"])
    measurements: list[Measurement] = []
    compared = []
    with threadpool_limits(1):
        own = _losses(model, table, params.target)
        for name, losses in _others(model, inputs, params, context):
            found = list(_gains(name, own, losses, params, context))
            measurements += found
            compared.append({"against": name, "losses": {k: float(v.mean()) for k, v in losses.items()}})
            context.progress(len(compared), 3, f"compared with {name}")
    report = {
        "rows": table.num_rows,
        "losses": {name: float(values.mean()) for name, values in own.items()},
        "compared": compared,
        "measurements": [m.model_dump(mode="json") for m in measurements],
    }
    return StepResult(
        {"report": report}, tuple(measurements), judge(measurements, params.thresholds), _summary(measurements)
    )


def _losses(model: Any, table: pa.Table, target: str) -> Losses:
    """Per row: what each loss says. ``accuracy`` is 1 for a wrong label, so that less is better everywhere."""
    if not is_classifier(model):
        residual = predictions(model, table) - quantities(table, target)
        return {"absolute_error": np.abs(residual), "squared_error": residual**2}
    truth = known_labels(class_names(model), labels(table, target))
    scores = probabilities(model, table)
    right = np.arange(scores.shape[1]) == truth[:, None]
    halved = 2 if scores.shape[1] == 2 else 1  # of two classes one is judged, as is usual
    return {
        "accuracy": (scores.argmax(axis=1) != truth).astype(np.float64),
        "log_loss": surprise(scores[np.arange(len(truth)), truth]),
        "brier": ((scores - right) ** 2).sum(axis=1) / halved,
    }


def _others(
    model: Any, inputs: Mapping[str, Any], params: Params, context: StepContext
) -> Iterator[tuple[str, Losses]]:
    """What guessing, the simple model and the champion lose on the same rows."""
    table: pa.Table = inputs["table"]
    if "training" in inputs:
        among = ESTIMATORS if is_classifier(model) else REGRESSORS
        yield "guessing", _losses(_baseline("dummy", model, inputs["training"], params, context), table, params.target)
        if params.simple != "none":
            name = params.simple if params.simple in among else ("ridge" if among is REGRESSORS else "")
            if not name:
                raise StepError(f"{params.simple} predicts no label; name another simple model", param="simple")
            fitted = _baseline(name, model, inputs["training"], params, context)
            yield name.replace("_", " "), _losses(fitted, table, params.target)
    if "champion" in inputs:
        champion = load_model(inputs["champion"])
        if is_classifier(champion) != is_classifier(model):
            raise StepError("the champion and the model answer different questions: a label and a number")
        if is_classifier(model) and sorted(class_names(champion)) != sorted(class_names(model)):
            raise StepError("the champion knows other labels than the model; their errors cannot be compared")
        yield "champion", _losses(champion, table, params.target)


def _baseline(name: str, model: Any, training: pa.Table, params: Params, context: StepContext) -> Any:
    """An estimator of the table, with its defaults, fitted on the features that the model uses."""
    need_rows(training, 2)
    numeric, categorical = model_columns(model)
    classifier = is_classifier(model)
    truth = labels(training, params.target) if classifier else quantities(training, params.target)
    if classifier and sorted(set(truth.tolist())) != sorted(class_names(model)):
        raise StepError("the training rows have other labels than the model knows; connect those it was trained on")
    missing = [n for n in (*numeric, *categorical) if n not in training.column_names]
    if missing:
        raise StepError(f"the training rows lack columns that the model needs: {', '.join(missing)}")
    made = build(name, {}, numeric=numeric, categorical=categorical, seed=context.subseed(name),
                 among=ESTIMATORS if classifier else REGRESSORS)  # fmt: skip
    fit(made, frame(training, [str(n) for n in model.feature_names_in_]), truth)
    return made


def _gains(name: str, own: Losses, other: Losses, params: Params, context: StepContext) -> Iterator[Measurement]:
    """How much less the model loses, on average over the same rows; the rows are resampled in pairs."""
    gains = {loss: other[loss] - own[loss] for loss in own}
    rows = len(next(iter(gains.values())))
    draws = bootstrap(
        lambda weights: {loss: weights @ gain / rows for loss, gain in gains.items()},
        rows,
        params.bootstrap,
        context.subseed(f"against {name}"),
    )
    for loss, gain in gains.items():
        yield Measurement(
            name=f"{loss}_gain",
            value=float(gain.mean()),
            unit=UNITS[loss],
            direction="higher_is_better",
            n=rows,
            interval=percentile_interval(draws[loss], params.level),
            slice={"against": name},
            note=_mcnemar(gain) if loss == "accuracy" else "",
        )


def _mcnemar(gain: Array) -> str:
    """McNemar's exact test (1947) over the rows that one of the two gets right and the other does not."""
    better, worse = int((gain > 0).sum()), int((gain < 0).sum())
    if better + worse == 0:
        return "both are right on the same rows"
    p = float(binomtest(better, better + worse).pvalue)
    return f"right on {better:,} rows that the other misses, wrong on {worse:,} that it gets; McNemar's p = {p:.2g}"


def _summary(measurements: list[Measurement]) -> str:
    first = measurements[0].name
    told = [f"{m.value:+.3g} against {m.slice['against']}" for m in measurements if m.name == first]
    return f"{first.replace('_', ' ')}: {', '.join(told)}"


STEP = Step(
    id="evaluate.comparison@1",
    title="Compare with baselines and the champion",
    help="What the model gains over guessing (the majority or the mean), a simple model fitted on the training rows, "
    "and the version in use (champion), on the same rows: differences of accuracy, log loss and Brier score, or of "
    "absolute and squared error, with paired bootstrap intervals; McNemar's exact test of the labels.",
    params=Params,
    run=run,
    inputs={
        "model": Port("model", "the model to judge"),
        "table": Port("table", "rows that no model was trained on"),
        "training": Port("table", "rows to fit the baselines on", required=False, learned_from=True),
        "champion": Port("model", "the version in use", required=False),
    },
    outputs={"report": Port("report", "losses of all and gains over each")},
    evidence=("challenger_comparison",),
    about=("model",),
)
