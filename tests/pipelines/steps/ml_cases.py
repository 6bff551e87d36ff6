"""Sample calls of the machine-learning steps for ``cases.py``: the fields of a ``Case`` by step id."""

from __future__ import annotations

from functools import cache
from typing import Any

import pyarrow.compute as pc

from pipelines.steps.contract import StepResult
from tests.pipelines.steps.ml import breast_cancer, train, wine

TARGET = "diagnosis"


@cache
def _trained() -> StepResult:
    return train(breast_cancer().slice(0, 300), TARGET)


def _train() -> dict[str, Any]:
    return {
        "inputs": {"table": wine()},
        "params": {"target": "cultivar", "estimator": "decision_tree"},
        "refused": [
            ({"table": wine()}, {"target": "nothing"}),
            ({"table": wine().slice(0, 0)}, {"target": "cultivar"}),
        ],
        "bad_params": [{}, {"target": "cultivar", "estimator": "pickle"}],
    }


def _judged(bad: list[dict[str, Any]], **params: Any) -> dict[str, Any]:
    """A step that takes a model and a held-out table."""
    model, table = _trained().outputs["model"], breast_cancer().slice(300)
    return {
        "inputs": {"model": model, "table": table},
        "params": {"target": TARGET, **params},
        "refused": [
            ({"model": b"\x80\x04N.", "table": table}, {"target": TARGET, **params}),
            ({"model": model, "table": table.drop_columns(["mean_radius"])}, {"target": TARGET, **params}),
        ],
        "bad_params": [{}, *bad],
    }


def _slices() -> dict[str, Any]:
    case = _judged([{"target": TARGET, "groups": []}], groups=["size"])
    sizes = ["large" if r > 14 else "small" for r in case["inputs"]["table"]["mean_radius"].to_pylist()]
    case["inputs"]["table"] = case["inputs"]["table"].append_column("size", [sizes])
    return case


def _poisoning() -> dict[str, Any]:
    table = breast_cancer()
    return {
        "inputs": {"table": table.slice(0, 300), "reference": table.slice(300)},
        "params": {"target": TARGET, "draws": 100},
        "refused": [({"table": table.slice(0, 5)}, {"target": TARGET})],
        "bad_params": [{}, {"target": TARGET, "neighbours": 0}],
    }


def _backdoor() -> dict[str, Any]:
    table = breast_cancer().slice(0, 300).select(["mean_radius", "mean_texture", TARGET])
    return {
        "inputs": {"table": table},
        "params": {"target": TARGET, "candidates": 2},
        "refused": [
            ({"table": table.slice(0, 1)}, {"target": TARGET}),
            ({"table": table}, {"target": "nothing"}),
            ({"table": table.filter(pc.equal(table[TARGET], "benign"))}, {"target": TARGET}),
        ],
        "bad_params": [{}, {"target": TARGET, "min_rows": 0}],
    }


def _members(params: dict[str, Any], bad: list[dict[str, Any]], other: str) -> dict[str, Any]:
    """An attack on the privacy of the rows that the model was trained on, with rows it never saw."""
    model, table = _trained().outputs["model"], breast_cancer()
    size = ["large" if r > 14 else "small" for r in table["mean_radius"].to_pylist()]
    table = table.append_column("size", [size])
    sized = train(table.slice(0, 300), TARGET, features=["mean_radius", "mean_texture", "size"]).outputs["model"]
    used = sized if "attribute" in params else model
    inputs = {"model": used, "members": table.slice(0, 300), other: table.slice(300)}
    given = {"target": TARGET, **params}
    return {
        "inputs": inputs,
        "params": given,
        "refused": [
            ({**inputs, "model": b"\x80\x04N."}, given),
            ({**inputs, "members": table.drop_columns(["mean_radius"])}, given),
            ({**inputs, other: table.slice(0, 1)}, given),
        ],
        "bad_params": [{}, *bad],
    }


def _extraction() -> dict[str, Any]:
    case = _judged([], budgets=[20, 50], surrogates=["logistic_regression"])
    for _, params in case["refused"]:
        params.pop("target")
    case["params"].pop("target")
    return {**case, "bad_params": [{"budgets": []}, {"wanted": 2}]}


def _drift() -> dict[str, Any]:
    table = wine()
    return {
        "inputs": {"reference": table.slice(0, 90), "current": table.slice(90)},
        "params": {"min_rows": 50},
        "refused": [({"reference": table, "current": table}, {"columns": ["nothing"]})],
        "bad_params": [{"bins": 1}],
    }


def _register() -> dict[str, Any]:
    trained = _trained().outputs
    return {
        "inputs": {"model": trained["model"], "training": trained["report"]},
        "params": {"model": "breast-cancer"},
        "refused": [({"model": b"no model at all"}, {"model": "breast-cancer"})],
        "bad_params": [{}, {"model": "Not A Slug"}],
    }


ML_CASES = {
    "train.sklearn@1": _train,
    "evaluate.classification@1": lambda: _judged([{"target": TARGET, "level": 2}], bootstrap=100),
    "evaluate.slices@1": _slices,
    "attack.evasion@1": lambda: _judged([{"target": TARGET, "samples": 0}], samples=4, max_iter=2, max_eval=50),
    "attack.evasion@2": lambda: _judged([{"target": TARGET, "samples": 0}], samples=4, max_iter=2, max_eval=50),
    "attack.membership@1": lambda: _members(
        {"max_rows": 100, "shadows": 4}, [{"target": TARGET, "shadows": 3}], "others"
    ),
    "attack.attribute@1": lambda: _members(
        {"attribute": "size", "max_rows": 100}, [{"target": TARGET, "attribute": "size", "max_rows": 1}], "known"
    ),
    "attack.extraction@1": _extraction,
    "check.backdoor@1": _backdoor,
    "check.poisoning@1": _poisoning,
    "monitor.drift@1": _drift,
    "register.model@1": _register,
}
