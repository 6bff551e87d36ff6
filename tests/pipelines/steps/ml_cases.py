"""Sample calls of the machine-learning steps for ``cases.py``: the fields of a ``Case`` by step id."""

from __future__ import annotations

from functools import cache
from typing import Any

import pyarrow.compute as pc

from pipelines.steps.contract import StepResult
from tests.pipelines.steps.ml import breast_cancer, diabetes, regress, train, wine

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


def _groups(**params: Any) -> dict[str, Any]:
    case = _judged([{"target": TARGET, "groups": []}], groups=["size"], **params)
    sizes = ["large" if r > 14 else "small" for r in case["inputs"]["table"]["mean_radius"].to_pylist()]
    case["inputs"]["table"] = case["inputs"]["table"].append_column("size", [sizes])
    return case


def _regression() -> dict[str, Any]:
    return {
        "inputs": {"table": diabetes().slice(0, 200)},
        "params": {"target": "progression", "estimator": "decision_tree"},
        "refused": [
            ({"table": wine()}, {"target": "cultivar"}),
            ({"table": diabetes().slice(0, 1)}, {"target": "progression"}),
        ],
        "bad_params": [{}, {"target": "progression", "estimator": "logistic_regression"}],
    }


def _judged_regression() -> dict[str, Any]:
    model, table = regress(diabetes().slice(0, 300), "progression").outputs["model"], diabetes().slice(300)
    params = {"target": "progression", "bootstrap": 100}
    return {
        "inputs": {"model": model, "table": table},
        "params": params,
        "refused": [
            ({"model": _trained().outputs["model"], "table": breast_cancer()}, {"target": "mean_radius"}),
            ({"model": model, "table": table.drop_columns(["bmi"])}, params),
        ],
        "bad_params": [{}, {**params, "level": 2}],
    }


def _comparison() -> dict[str, Any]:
    case = _judged([{"target": TARGET, "simple": "tarot"}], bootstrap=100)
    case["refused"].append((dict(case["inputs"]), case["params"]))  # with nothing to compare
    case["inputs"] |= {"training": breast_cancer().slice(0, 300), "champion": _trained().outputs["model"]}
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


def _convert() -> dict[str, Any]:
    model, table = _trained().outputs["model"], breast_cancer().slice(300)
    return {
        "inputs": {"model": model, "table": table},
        "params": {"max_rows": 100},
        "refused": [
            ({"model": b"\x80\x04N.", "table": table}, {}),
            ({"model": model, "table": table.drop_columns(["mean_radius"])}, {}),
            ({"model": model, "table": table.slice(0, 0)}, {}),
        ],
        "bad_params": [{"max_rows": 0}, {"tolerance": 0.5}],
    }


ML_CASES = {
    "convert.onnx@1": _convert,
    "train.sklearn@1": _train,
    "evaluate.classification@1": lambda: _judged([{"target": TARGET, "level": 2}], bootstrap=100),
    "evaluate.decision@1": lambda: _judged([{"target": TARGET, "cost_false_negative": -1}], bootstrap=100),
    "evaluate.calibration@1": lambda: _judged([{"target": TARGET, "binning": "odd"}], bootstrap=100),
    "evaluate.comparison@1": _comparison,
    "evaluate.stress@1": lambda: _judged(
        [{"target": TARGET, "expectations": [{"column": "mean_radius", "direction": "sideways"}]}],
        max_rows=50,
        bootstrap=100,
        expectations=[{"column": "mean_radius", "direction": "decreasing"}],
    ),
    "evaluate.importance@1": lambda: _judged([{"target": TARGET, "repeats": 1}], max_rows=50, bootstrap=100),
    "train.regression@1": _regression,
    "evaluate.regression@1": _judged_regression,
    "evaluate.slices@1": _groups,
    "evaluate.found_slices@1": lambda: _judged([{"target": TARGET, "depth": 0}], min_size=20, depth=2),
    "evaluate.fairness@1": lambda: _groups(bootstrap=100, min_size=10),
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
