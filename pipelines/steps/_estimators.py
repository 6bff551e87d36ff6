"""The table of estimators that train.sklearn may fit, each with the hyper-parameters a spec may set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from pipelines.steps.contract import StepError

Weights = dict[str, float] | Literal["balanced"] | None


class Options(BaseModel):
    """Hyper-parameters of one estimator; names outside the table are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LogisticOptions(Options):
    """scikit-learn LogisticRegression."""

    C: float = Field(default=1.0, gt=0, le=1e6, description="inverse of the regularisation strength")
    max_iter: int = Field(default=1000, ge=1, le=100_000, description="iterations of the solver")


class TreeOptions(Options):
    """scikit-learn DecisionTreeClassifier."""

    max_depth: int | None = Field(default=8, ge=1, le=100, description="deepest level of the tree")
    min_samples_leaf: int = Field(default=5, ge=1, description="smallest leaf, in rows")
    criterion: Literal["gini", "entropy", "log_loss"] = "gini"


class ForestOptions(Options):
    """scikit-learn RandomForestClassifier and ExtraTreesClassifier."""

    n_estimators: int = Field(default=100, ge=1, le=2000, description="number of trees")
    max_depth: int | None = Field(default=None, ge=1, le=100, description="deepest level of a tree")
    min_samples_leaf: int = Field(default=1, ge=1, description="smallest leaf, in rows")
    max_features: Literal["sqrt", "log2"] | float = Field(default="sqrt", description="features tried at a split")


class BoostingOptions(Options):
    """scikit-learn HistGradientBoostingClassifier."""

    learning_rate: float = Field(default=0.1, gt=0, le=1, description="shrinkage of each tree")
    max_iter: int = Field(default=100, ge=1, le=2000, description="number of boosting rounds")
    max_leaf_nodes: int | None = Field(default=31, ge=2, le=1024, description="leaves of a tree")
    max_depth: int | None = Field(default=None, ge=1, le=100, description="deepest level of a tree")
    min_samples_leaf: int = Field(default=20, ge=1, description="smallest leaf, in rows")
    l2_regularization: float = Field(default=0.0, ge=0, description="L2 penalty on leaf values")


class SvmOptions(Options):
    """scikit-learn LinearSVC with sigmoid calibration (Platt 1999) over stratified folds."""

    C: float = Field(default=1.0, gt=0, le=1e6, description="inverse of the regularisation strength")
    max_iter: int = Field(default=5000, ge=1, le=100_000, description="iterations of the solver")
    folds: int = Field(default=3, ge=2, le=10, description="folds for the calibration")


class NeighboursOptions(Options):
    """scikit-learn KNeighborsClassifier. The model stores the training rows themselves."""

    n_neighbors: int = Field(default=15, ge=1, le=1000, description="neighbours that vote")
    weights: Literal["uniform", "distance"] = "uniform"


class BayesOptions(Options):
    """scikit-learn GaussianNB."""

    var_smoothing: float = Field(default=1e-9, gt=0, le=1, description="share of the largest variance added to all")


class DummyOptions(Options):
    """scikit-learn DummyClassifier: the baseline that looks at no feature."""

    strategy: Literal["prior", "most_frequent"] = "prior"


@dataclass(frozen=True)
class Entry:
    """``make(options, seed, class_weight)`` gives an unfitted estimator; ``weighted``: it takes class weights."""

    options: type[Options]
    make: Callable[[dict[str, Any], int, Weights], Any]
    weighted: bool = True


def _seeded(kind: Callable[..., Any], **fixed: Any) -> Callable[[dict[str, Any], int, Weights], Any]:
    return lambda options, seed, weights: kind(**options, **fixed, random_state=seed, class_weight=weights)


def _svm(options: dict[str, Any], seed: int, weights: Weights) -> Any:
    margin = LinearSVC(C=options["C"], max_iter=options["max_iter"], random_state=seed, class_weight=weights)
    return CalibratedClassifierCV(margin, method="sigmoid", cv=options["folds"])


ESTIMATORS: Mapping[str, Entry] = {
    "logistic_regression": Entry(LogisticOptions, _seeded(LogisticRegression)),
    "decision_tree": Entry(TreeOptions, _seeded(DecisionTreeClassifier)),
    "random_forest": Entry(ForestOptions, _seeded(RandomForestClassifier, n_jobs=1)),
    "extra_trees": Entry(ForestOptions, _seeded(ExtraTreesClassifier, n_jobs=1)),
    "gradient_boosting": Entry(BoostingOptions, _seeded(HistGradientBoostingClassifier, early_stopping=False)),
    "linear_svm": Entry(SvmOptions, _svm),
    "nearest_neighbours": Entry(
        NeighboursOptions,
        lambda options, seed, weights: KNeighborsClassifier(**options, algorithm="brute", n_jobs=1),
        weighted=False,
    ),
    "naive_bayes": Entry(BayesOptions, lambda options, seed, weights: GaussianNB(**options), weighted=False),
    "dummy": Entry(
        DummyOptions, lambda options, seed, weights: DummyClassifier(**options, random_state=seed), weighted=False
    ),
}


def checked_options(
    estimator: str, options: Mapping[str, Any], among: Mapping[str, Entry] = ESTIMATORS
) -> dict[str, Any]:
    """All hyper-parameters with their defaults. Raises StepError naming the allowed ones for an unknown or bad one."""
    kind = among[estimator].options
    try:
        return kind(**options).model_dump()
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        allowed = ", ".join(kind.model_fields)
        raise StepError(f"options of {estimator}: {problems}. Allowed: {allowed}", param="options") from error


def build(
    estimator: str,
    options: Mapping[str, Any],
    *,
    numeric: Sequence[str],
    categorical: Sequence[str],
    seed: int,
    class_weight: Weights = None,
    rare: int = 1,
    among: Mapping[str, Entry] = ESTIMATORS,
) -> Pipeline:
    """An unfitted pipeline: median imputation and scaling for numbers, one-hot with an infrequent bin for categories.

    The prepared matrix is dense: the numeric columns first, in units of training standard deviations. ``among`` is the
    table that ``estimator`` is in.
    """
    entry = among[estimator]
    if class_weight is not None and not entry.weighted:
        raise StepError(f"{estimator} takes no class weights", param="class_weight")
    blocks: list[tuple[str, Any, list[str]]] = []
    if numeric:
        scale = Pipeline([("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler())])
        blocks.append(("numbers", scale, list(numeric)))
    if categorical:
        encode = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=rare, sparse_output=False)
        blocks.append(("categories", encode, list(categorical)))
    prepare = ColumnTransformer(blocks, sparse_threshold=0.0)
    model = entry.make(checked_options(estimator, options, among), seed, class_weight)
    return Pipeline([("prepare", prepare), ("estimator", model)])
