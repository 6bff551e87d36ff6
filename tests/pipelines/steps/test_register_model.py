"""Registration: the version is named by the model's digest, and a report of another model is refused."""

from __future__ import annotations

import hashlib
import pickle

import pytest
from pydantic import ValidationError

from pipelines.steps.contract import StepError
from pipelines.steps.register_model import Params, run
from tests.pipelines.steps.ml import breast_cancer, context, train, wine


def test_the_version_is_described_and_asked_for() -> None:
    trained = train(wine(), "cultivar")
    inputs = {"model": trained.outputs["model"], "training": trained.outputs["report"]}
    result = run(inputs, Params(model="wine-cultivar", description="first"), context())
    report = result.outputs["report"]
    assert report["sha256"] == hashlib.sha256(trained.outputs["model"]).hexdigest()
    assert report["classes"] == ["class_0", "class_1", "class_2"]
    assert report["features"] == [n for n in wine().column_names if n != "cultivar"]
    assert report["training"]["rows"] == 178
    assert result.register is not None
    assert (result.register.model, result.register.port, result.register.training) == (
        "wine-cultivar", "model", "training",
    )  # fmt: skip
    assert result.verdict is None


def test_without_a_training_report() -> None:
    result = run({"model": train(wine(), "cultivar").outputs["model"]}, Params(model="wine"), context())
    assert result.register is not None
    assert result.register.training == ""


def test_a_report_of_another_model_is_refused() -> None:
    other = train(breast_cancer(), "diagnosis").outputs["report"]
    with pytest.raises(StepError, match="speaks of another model"):
        run({"model": train(wine(), "cultivar").outputs["model"], "training": other}, Params(model="wine"), context())


def test_pickle_is_refused() -> None:
    with pytest.raises(StepError, match="pickle"):
        run({"model": pickle.dumps({})}, Params(model="wine"), context())


@pytest.mark.parametrize("name", ["", "Wine", "wine model", "../wine", "wine-"])
def test_a_name_that_is_no_slug_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        Params(model=name)
