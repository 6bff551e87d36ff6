"""What a model answers to rows of its declared schema, checked against what it was declared to answer."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from pipelines.steps._frames import label_text
from pipelines.steps.contract import StepError

Task = Literal["classification", "regression"]
_SUM_TOLERANCE = 1e-4  # single precision adds a thousand probabilities to within 1e-4


@dataclass(frozen=True)
class Answers:
    """Answers to n rows: ``values`` has shape (n,), texts or numbers; ``scores`` (n, classes) or None."""

    values: np.ndarray[Any, Any]
    scores: np.ndarray[Any, Any] | None = None


Ask = Callable[[pd.DataFrame], Answers]


def check(ask: Ask, rows: pd.DataFrame, *, task: Task, classes: Sequence[str]) -> Answers:
    """Ask twice and check the answers. Raises StepError that says how the model differs from its declaration."""
    first, second = _asked(ask, rows), _asked(ask, rows)
    if first.values.shape != (len(rows),):
        raise StepError(f"the model answered {first.values.shape} values to {len(rows)} rows; one for each is needed")
    if task == "regression":
        _check_numbers(first.values)
    else:
        _check_labels(first, classes)
    if not _same(first, second):
        raise StepError("the model answered differently when it was asked the same again; it must not")
    return first


def texts(labels: Any) -> np.ndarray[Any, Any]:
    """Labels of any kind as the project writes them, an object array of text of shape (n,)."""
    return np.array([label_text(_plain(label)) for label in np.asarray(labels).ravel().tolist()], dtype=object)


def _plain(label: Any) -> Any:
    return label.decode("utf-8", "replace") if isinstance(label, bytes) else label


def _asked(ask: Ask, rows: pd.DataFrame) -> Answers:
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):  # NaN is told below, in words of our own
            warnings.simplefilter("ignore")
            return ask(rows.copy())
    except (StepError, MemoryError):
        raise
    except Exception as error:  # whatever a foreign model does wrong is an answer about it
        first = str(error).splitlines()[0][:200] if str(error) else ""
        raise StepError(
            f"the model failed on rows of its declared schema ({type(error).__name__}: {first}); "
            "declare the columns that it was trained with, in their order"
        ) from error


def _check_numbers(values: np.ndarray[Any, Any]) -> None:
    if not np.issubdtype(values.dtype, np.number):
        raise StepError("the model answers something other than numbers; it was declared as a regression")
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise StepError(f"the model answered NaN or infinity to {bad} of {len(values)} rows of its declared schema")


def _check_labels(answers: Answers, classes: Sequence[str]) -> None:
    strange = sorted(set(answers.values.tolist()) - set(classes))
    if strange:
        raise StepError(
            f"the model answers classes that were not declared: {', '.join(str(one)[:40] for one in strange[:10])}; "
            f"declared are {', '.join(classes)}",
            param="classes",
        )
    scores = answers.scores
    if scores is None:
        return
    if scores.shape != (len(answers.values), len(classes)):
        raise StepError(
            f"the model gives probabilities of {scores.shape[-1]} classes; {len(classes)} were declared",
            param="classes",
        )
    bad = int((~np.isfinite(scores)).any(axis=1).sum())
    if bad:
        raise StepError(f"the model answered NaN or infinity to {bad} of {len(scores)} rows of its declared schema")
    if scores.min() < 0 or scores.max() > 1 + _SUM_TOLERANCE or np.abs(scores.sum(axis=1) - 1).max() > _SUM_TOLERANCE:
        raise StepError("what the model gives as probabilities is outside 0 to 1, or does not add up to 1")


def _same(first: Answers, second: Answers) -> bool:
    if first.scores is not None and (second.scores is None or not np.array_equal(first.scores, second.scores)):
        return False
    return bool(np.array_equal(first.values, second.values))
