"""The table of estimators that train.regression may fit, each with the hyper-parameters a spec may set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import Field
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeRegressor

from pipelines.steps._estimators import BoostingOptions, Entry, NeighboursOptions, Options, Weights


class RidgeOptions(Options):
    """scikit-learn Ridge: least squares with a penalty on the coefficients' squares."""

    alpha: float = Field(default=1.0, ge=0, le=1e9, description="strength of the penalty; 0 for least squares alone")


class TreeOptions(Options):
    """scikit-learn DecisionTreeRegressor."""

    max_depth: int | None = Field(default=8, ge=1, le=100, description="deepest level of the tree")
    min_samples_leaf: int = Field(default=5, ge=1, description="smallest leaf, in rows")
    criterion: Literal["squared_error", "absolute_error"] = "squared_error"


class ForestOptions(Options):
    """scikit-learn RandomForestRegressor and ExtraTreesRegressor."""

    n_estimators: int = Field(default=100, ge=1, le=2000, description="number of trees")
    max_depth: int | None = Field(default=None, ge=1, le=100, description="deepest level of a tree")
    min_samples_leaf: int = Field(default=1, ge=1, description="smallest leaf, in rows")
    max_features: Literal["sqrt", "log2"] | float = Field(default=1.0, description="features tried at a split")


class RegressionBoostingOptions(BoostingOptions):
    """scikit-learn HistGradientBoostingRegressor."""

    loss: Literal["squared_error", "absolute_error"] = "squared_error"


class MeanOptions(Options):
    """scikit-learn DummyRegressor: the baseline that looks at no feature."""

    strategy: Literal["mean", "median"] = "mean"


def _seeded(kind: Callable[..., Any], **fixed: Any) -> Callable[[dict[str, Any], int, Weights], Any]:
    return lambda options, seed, weights: kind(**options, **fixed, random_state=seed)


def _plain(kind: Callable[..., Any], **fixed: Any) -> Callable[[dict[str, Any], int, Weights], Any]:
    return lambda options, seed, weights: kind(**options, **fixed)


REGRESSORS: Mapping[str, Entry] = {
    "ridge": Entry(RidgeOptions, _plain(Ridge, solver="cholesky"), weighted=False),
    "decision_tree": Entry(TreeOptions, _seeded(DecisionTreeRegressor), weighted=False),
    "random_forest": Entry(ForestOptions, _seeded(RandomForestRegressor, n_jobs=1), weighted=False),
    "extra_trees": Entry(ForestOptions, _seeded(ExtraTreesRegressor, n_jobs=1), weighted=False),
    "gradient_boosting": Entry(
        RegressionBoostingOptions, _seeded(HistGradientBoostingRegressor, early_stopping=False), weighted=False
    ),
    "nearest_neighbours": Entry(
        NeighboursOptions, _plain(KNeighborsRegressor, algorithm="brute", n_jobs=1), weighted=False
    ),
    "dummy": Entry(MeanOptions, _plain(DummyRegressor), weighted=False),
}
