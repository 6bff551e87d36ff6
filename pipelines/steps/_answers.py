"""What a model answers to rows that were changed on purpose: its output, its loss per row, and where it is silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pipelines.steps._frames import Label, class_names, known_labels, labels, model_frame, positive_class
from pipelines.steps._metrics import surprise
from pipelines.steps._modelfile import load_model
from pipelines.steps._quantities import is_classifier, quantities
from pipelines.steps.contract import StepContext

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Asked:
    """A model with rows and the truth about them: class positions, or numbers where ``classes`` is empty."""

    model: Any
    frame: pd.DataFrame
    truth: Array
    classes: list[str]

    def answers(self, frame: pd.DataFrame) -> Array:
        """Probabilities (rows, classes) or numbers (rows, 1); NaN in rows that the model does not answer."""
        try:
            ask = self.model.predict_proba if self.classes else self.model.predict
            found = np.asarray(ask(frame), dtype=np.float64).reshape(len(frame), -1)
        except (ValueError, TypeError, ArithmeticError):  # what scikit-learn raises for values it cannot take
            return np.full((len(frame), max(len(self.classes), 1)), np.nan)
        sound = np.isfinite(found).all(axis=1)
        if self.classes:
            sound &= (found >= 0).all(axis=1) & (found <= 1).all(axis=1)
        found[~sound] = np.nan
        return found

    def error(self, answers: Array) -> Array:
        """Per row: 1 for a wrong label, or how far a number is off; without an answer the label is wrong, off NaN."""
        if self.classes:
            silent = np.isnan(answers).any(axis=1)
            return np.asarray(silent | (np.nan_to_num(answers).argmax(axis=1) != self.truth), dtype=np.float64)
        return np.asarray(np.abs(answers[:, 0] - self.truth))

    def smooth_loss(self, answers: Array) -> Array:
        """Per row: log loss in nats, or how far a number is off."""
        return surprise(answers[np.arange(len(self.truth)), self.truth]) if self.classes else self.error(answers)

    def judged(self, answers: Array, positive: Label | None) -> tuple[Array, float]:
        """The one number per row that expectations speak of, and what counts as a full step of it."""
        if not self.classes:
            return answers[:, 0], float(np.nanstd(answers[:, 0])) or 1.0
        named = positive_class(self.classes, positive)
        return answers[:, self.classes.index(named)] if named else answers.max(axis=1), 1.0


def asked(model: bytes, table: pa.Table, target: str, most: int, context: StepContext) -> Asked:
    """At most ``most`` rows of the table, drawn by the seed. Raises StepError where model and table do not fit."""
    loaded = load_model(model)
    if table.num_rows > most:
        drawn = np.random.default_rng(context.subseed("rows")).choice(table.num_rows, size=most, replace=False)
        table = table.take(pa.array(np.sort(drawn)))
    frame = model_frame(loaded, table)
    if not is_classifier(loaded):
        return Asked(loaded, frame, quantities(table, target), [])
    classes = class_names(loaded)
    return Asked(loaded, frame, known_labels(classes, labels(table, target)), classes)
