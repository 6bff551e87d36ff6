"""The census data in the shapes that the steps take, and what the plain libraries do with it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.stats import ks_2samp
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from pipelines.steps import registry
from pipelines.steps.contract import StepContext
from security.privacy.recognisers import OfflineEmail

TARGET, POSITIVE = "income-per-year", ">50K"
NUMBERS = ["age", "education-num", "capital-gain", "capital-loss", "hours-per-week"]
WORDS = ["workclass", "education", "marital-status", "sex"]
GROUPED = "SELECT sex, race, avg(age) AS age, count(*) AS n FROM input GROUP BY sex, race ORDER BY sex, race"
FIT = {"target": TARGET, "exclude": ["fnlwgt"], "estimator": "gradient_boosting", "options": {"max_iter": 100}}
MAILS = [f"person{number}@example.org wrote" for number in range(2000)]
NEIGHBOURS_OF = 5000  # rows


@dataclass(frozen=True)
class Adult:
    """``adult.csv`` read and split once; models are fitted when first asked for."""

    path: Path

    @cached_property
    def frame(self) -> pd.DataFrame:
        return pd.read_csv(self.path)

    @cached_property
    def table(self) -> pa.Table:
        return _table(self.frame)

    @cached_property
    def notes(self) -> pa.Table:
        """Texts with an e-mail address in each."""
        return pa.table({"note": MAILS, "age": list(range(len(MAILS)))})

    @cached_property
    def halves(self) -> tuple[pa.Table, pa.Table]:
        """For training and for judging."""
        train, test = self.plain_split()
        return _table(train), _table(test)

    @cached_property
    def model(self) -> Any:
        """What the step makes of the first half."""
        step = registry()["train.sklearn@1"]
        context = StepContext(seed=1, scratch=self.path.parent, secret=bytes(32))
        return step.run({"table": self.halves[0]}, step.params.model_validate(FIT), context).outputs["model"]

    @cached_property
    def plain(self) -> Any:
        """The same model without the step."""
        return self.plain_fit()

    @cached_property
    def features(self) -> pd.DataFrame:
        return self.halves[1].to_pandas().drop(columns=[TARGET])

    @cached_property
    def truth(self) -> Any:
        return (self.halves[1][TARGET].to_pandas() == POSITIVE).to_numpy()

    # What the plain libraries do: no verdict, no interval, no refusal.

    def plain_read(self) -> Any:
        return pd.read_csv(self.path)

    def plain_describe(self) -> Any:
        return self.frame.describe(include="all")

    def plain_mails(self) -> Any:
        recogniser = OfflineEmail()
        return [recogniser.analyze(text, ["EMAIL_ADDRESS"], None) for text in MAILS]

    def plain_sql(self) -> Any:
        connection = duckdb.connect()
        connection.register("input", self.table)
        return connection.execute(GROUPED).fetchall()

    def plain_split(self) -> Any:
        return train_test_split(self.frame, test_size=0.5, random_state=1, stratify=self.frame[TARGET])

    def plain_fit(self) -> Any:
        train = self.halves[0].to_pandas()
        return _pipeline().fit(train.drop(columns=[TARGET]), train[TARGET])

    def plain_metrics(self) -> Any:
        p = self.plain.predict_proba(self.features)[:, 1]
        return roc_auc_score(self.truth, p), log_loss(self.truth, p)

    def plain_groups(self) -> Any:
        data = self.features.assign(y=self.truth, p=self.plain.predict(self.features) == POSITIVE)
        return [data.groupby(by)[["y", "p"]].mean() for by in (["sex"], ["race"], ["sex", "race"])]

    def plain_prediction(self) -> Any:
        return self.plain.predict_proba(self.features.head(1))

    def plain_neighbours(self) -> Any:
        scaled = StandardScaler().fit_transform(self.frame[NUMBERS].head(NEIGHBOURS_OF))
        return NearestNeighbors(n_neighbors=11).fit(scaled).kneighbors(scaled)

    def plain_drift(self) -> Any:
        train, test = self.halves
        return [ks_2samp(train[name].to_numpy(), test[name].to_numpy()) for name in NUMBERS]


def adult() -> Adult | None:
    """The census data of the folder COUNTERSIGN_DATA (beside the checkout by default); None where it is absent."""
    folder = os.environ.get("COUNTERSIGN_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(folder) / "adult.csv"
    return Adult(path) if path.is_file() else None


def _table(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


def _pipeline() -> Any:
    encoder = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), WORDS),
    )
    return make_pipeline(encoder, HistGradientBoostingClassifier(max_iter=100, random_state=np.random.RandomState(1)))
