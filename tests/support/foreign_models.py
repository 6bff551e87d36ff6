"""Models from outside, good and bad: skops and ONNX files, and what is none."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import onnx
import skops.io
from onnx import TensorProto, helper
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from pipelines.steps._modelfile import dump_model

COLUMNS = [{"name": "age", "minimum": 17.0, "maximum": 90.0}, {"name": "hours"}]
CLASSES = ["no", "yes"]
VERSION = 8


class Bomb:
    """Touches a file when it is unpickled, so that a test sees whether anybody did."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def pickled(path: str, protocol: int = 4) -> bytes:
    return pickle.dumps(Bomb(path), protocol)


@cache
def rows() -> tuple[Any, Any]:
    """Forty rows of two numbers, and a label that the second decides."""
    random = np.random.default_rng(3)
    numbers = random.normal(size=(40, 2))
    return numbers, np.where(numbers[:, 1] > 0, "yes", "no")


@cache
def logistic() -> bytes:
    """A good classifier in skops; it was fitted on an array, so it knows no column names."""
    return dump_model(LogisticRegression().fit(*rows()))


def broken_logistic(**attributes: Any) -> bytes:
    """A classifier whose fitted attributes are replaced: NaN coefficients, other classes."""
    model = LogisticRegression().fit(*rows())
    for name, value in attributes.items():
        setattr(model, name, value)
    return dump_model(model)


def linear() -> bytes:
    """A regression in skops."""
    numbers, _ = rows()
    return dump_model(LinearRegression().fit(numbers, numbers[:, 0] * 2))


def with_unknown_type() -> bytes:
    """A skops file that names a function outside every list."""
    return bytes(skops.io.dumps(FunctionTransformer(func=os.path.join)))


def torch_like(path: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickled(path))
    return buffer.getvalue()


def onnx_file(nodes: Sequence[Any], **parts: Any) -> bytes:
    """A graph of two numbers in and a label out, with one node or several of a test's own."""
    return onnx_model(nodes, **parts).SerializeToString()


def onnx_model(
    nodes: Sequence[Any],
    *,
    outputs: Sequence[Any] | None = None,
    initializers: Sequence[Any] = (),
    domains: Sequence[str] = ("", "ai.onnx.ml"),
    functions: Sequence[Any] = (),
) -> Any:
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
    answered = outputs or [
        helper.make_tensor_value_info("label", TensorProto.STRING, [None]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 2]),
    ]
    graph = helper.make_graph(list(nodes), "made", [given], list(answered), list(initializers))
    versions = {"": 17, "ai.onnx.ml": 3}
    opsets = [helper.make_opsetid(domain, versions.get(domain, 1)) for domain in domains]
    return helper.make_model(graph, opset_imports=opsets, ir_version=VERSION, functions=list(functions))


def classifier(classes: Sequence[str] = ("no", "yes"), weight: float = 1.0) -> Any:
    """A node that decides by the second number."""
    return helper.make_node(
        "LinearClassifier",
        ["x"],
        ["label", "scores"],
        domain="ai.onnx.ml",
        classlabels_strings=list(classes),
        coefficients=[0.0, -weight, 0.0, weight],
        intercepts=[0.0, 0.0],
        multi_class=0,
        post_transform="SOFTMAX",
    )


def onnx_good() -> bytes:
    return onnx_file([classifier()])


NUMBER = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 1])]


def looping(turns: int, *, growing: bool = False) -> bytes:
    """A valid regression that goes round ``turns`` times, and keeps a megabyte of each turn when it is growing."""
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    kept = helper.make_tensor("many", TensorProto.INT64, [1], [250_000])
    steps = [helper.make_node("Identity", ["going"], ["going_on"]), helper.make_node("Add", ["sum", "one"], ["more"])]
    body = helper.make_graph(
        [*steps, *([helper.make_node("ConstantOfShape", ["many"], ["kept"])] if growing else [])],
        "turn",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, [1]),
        ],
        [
            helper.make_tensor_value_info("going_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]),
            *([helper.make_tensor_value_info("kept", TensorProto.FLOAT, [250_000])] if growing else []),
        ],
    )
    loop = helper.make_node("Loop", ["turns", "always", "one"], ["total", *(["all"] if growing else [])], body=body)
    first = helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=1)
    answer = helper.make_node("Add", ["mean", "total"], ["y"])
    constants = [
        helper.make_tensor("turns", TensorProto.INT64, [], [turns]),
        helper.make_tensor("always", TensorProto.BOOL, [], [True]),
        one,
        *([kept] if growing else []),
    ]
    return onnx_file([loop, first, answer], outputs=NUMBER, initializers=constants)


def external_data(location: str) -> bytes:
    """A regression whose weights lie in another file, such as /etc/passwd."""
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 1], data_location=TensorProto.EXTERNAL)
    weights.external_data.add(key="location", value=location)
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    return onnx_file([node], outputs=NUMBER, initializers=[weights])


def checked(data: bytes) -> Any:
    """The file as ONNX itself reads it."""
    return onnx.load_model_from_string(data)
