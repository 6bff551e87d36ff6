"""ONNX files from outside: checked before anything runs them, then asked through onnxruntime.

An ONNX file is a graph of operators and cannot hold code, but it can name files to read (external data), operators that
a library brings, and functions of its own: all of these are refused, as is every operator outside the standard ones.
Needs the packages of ``requirements-onnx.txt``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipelines.package.answers import Answers, Task, texts
from pipelines.package.columns import Column
from pipelines.steps.contract import StepError

DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
_CLASS_LISTS = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")
_TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}
_TEXT = "tensor(string)"


class OnnxModel:
    """An ONNX file that may be run. ``columns`` are asked in their order. Raises StepError for anything else."""

    def __init__(self, data: bytes, columns: Sequence[Column], *, task: Task, classes: Sequence[str]) -> None:
        self.task = task
        self.operators = read_graph(data, classes if task == "classification" else ())
        self._session = _session(data)
        self._inputs = {one.name: one for one in self._session.get_inputs()}
        self._columns = list(columns)
        self._joined = _joined(self._inputs, self._columns)
        self._classes = list(classes)

    def ask(self, rows: pd.DataFrame) -> Answers:
        """Its answers to rows of its columns."""
        outputs = [np.asarray(_array(one, self._classes)) for one in self._session.run(None, self._fed(rows))]
        scores = next((one for one in outputs if one.ndim == 2 and np.issubdtype(one.dtype, np.floating)), None)
        if self.task == "regression":
            answered = outputs[0]
            return Answers(answered[:, 0] if answered.ndim == 2 and answered.shape[1] == 1 else answered)
        labels = next((one for one in outputs if not np.issubdtype(one.dtype, np.floating)), None)
        if labels is None:
            raise StepError("the model answers no labels; a classifier has an output of text or integers")
        return Answers(texts(labels), None if scores is None else scores.astype(np.float64))

    def _fed(self, rows: pd.DataFrame) -> dict[str, Any]:
        if self._joined:
            one = self._joined
            return {one.name: rows.to_numpy(dtype=_TYPES[one.type])}
        fed: dict[str, Any] = {}
        for column in self._columns:
            kind = self._inputs[column.name].type
            values = rows[column.name].fillna("").to_numpy() if kind == _TEXT else rows[column.name].to_numpy()
            fed[column.name] = values.astype(object if kind == _TEXT else _TYPES[kind]).reshape(-1, 1)
        return fed


def read_graph(data: bytes, classes: Sequence[str]) -> list[str]:
    """The operators of a file, sorted, after every check that needs no running. Raises StepError."""
    onnx = need("onnx")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's own error has several names
        raise StepError("the ONNX file is damaged: it cannot be read as a ModelProto") from error
    if model.functions or model.training_info:
        raise StepError("the ONNX file brings functions or training instructions of its own; export it without them")
    _check_domains(_domains(model))
    _check_data(model.graph)
    operators = set()
    for node in _nodes(model.graph):
        _check_domains([node.domain])
        if not onnx.defs.has(node.op_type, "" if node.domain == "ai.onnx" else node.domain):
            raise StepError(f"the ONNX file uses {node.op_type[:80]!r}, which is no standard operator")
        operators.add(node.op_type)
    _check_classes(model.graph, classes)
    try:
        onnx.checker.check_model(data)
    except Exception as error:
        raise StepError(f"the ONNX file is not valid: {str(error).splitlines()[0][:200]}") from error
    return sorted(operators)


def input_names(data: bytes) -> list[str]:
    """The names of a file's inputs, in their order."""
    return [one.name for one in need("onnx").ModelProto.FromString(data).graph.input]


def _check_data(graph: Any) -> None:
    """No tensor may lie in another file: reading it would read any file of this machine."""
    for tensor in _tensors(graph):
        if tensor.data_location == 1 or tensor.external_data:
            raise StepError(
                f"the ONNX file keeps tensor {tensor.name[:80]!r} in another file, which is not followed; "
                "save it with all data inside (save_as_external_data=False)"
            )


def _check_classes(graph: Any, classes: Sequence[str]) -> None:
    for node in _nodes(graph):
        for attribute in node.attribute:
            if attribute.name not in _CLASS_LISTS or not classes:
                continue
            named = [one.decode("utf-8", "replace") for one in attribute.strings] or [
                str(one) for one in attribute.ints
            ]
            if named and named != list(classes):
                raise StepError(
                    f"the model's own classes are {', '.join(one[:40] for one in named[:20])}; declared are "
                    f"{', '.join(classes)}, and they must be the same in the same order",
                    param="classes",
                )


def _domains(model: Any) -> list[str]:
    return [one.domain for one in model.opset_import]


def _check_domains(domains: Sequence[str]) -> None:
    foreign = sorted({one[:80] for one in domains if one not in DOMAINS})
    if foreign:
        raise StepError(
            f"the ONNX file uses operators of {', '.join(foreign)}, which need a library of their own; "
            "only the standard operators are run here"
        )


def _nodes(graph: Any) -> Iterator[Any]:
    """The nodes of a graph and of the graphs inside it (branches, loop bodies)."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _nodes(inner)


def _tensors(graph: Any) -> Iterator[Any]:
    """Every tensor that a graph holds: initialisers, constants, sparse ones, those of the graphs inside."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            sparse_tensors = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
            for sparse in (*sparse_tensors, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _tensors(inner)


def _session(data: bytes) -> Any:
    runtime = need("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # its messages go to standard error and quote the file
    try:
        return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise StepError(f"onnxruntime cannot load the file ({type(error).__name__})") from error


def _joined(inputs: Mapping[str, Any], columns: Sequence[Column]) -> Any:
    """The one input that takes all columns side by side; None when each column has its own. Raises StepError."""
    names = [column.name for column in columns]
    if set(inputs) == set(names):
        for column in columns:
            kind = inputs[column.name].type
            if kind not in (_TYPES if column.kind == "number" else (_TEXT,)):
                raise StepError(f"column {column.name!r} is declared as {column.kind}, the model takes {kind}")
        return None
    if len(inputs) == 1:
        one = next(iter(inputs.values()))
        width = one.shape[1] if len(one.shape) == 2 else None
        if one.type in _TYPES and width in (len(columns), None) and all(column.kind == "number" for column in columns):
            return one
        if isinstance(width, int) and width != len(columns):
            raise StepError(f"the model takes {width} columns, {len(columns)} are declared", param="columns")
    shown = ", ".join(f"{name} ({one.type})" for name, one in list(inputs.items())[:20])
    raise StepError(f"the model takes {shown}; declare these as its columns", param="columns")


def _array(output: Any, classes: Sequence[str]) -> Any:
    """An output as an array; a list of dictionaries (what ZipMap makes) as columns in the order of ``classes``."""
    if isinstance(output, list) and output and isinstance(output[0], dict):
        named = [{str(key): value for key, value in row.items()} for row in output]
        if any(set(row) != set(classes) for row in named):
            raise StepError(
                f"the model's own classes are {', '.join(sorted(named[0])[:20])}; declared are {', '.join(classes)}",
                param="classes",
            )
        return [[row[one] for one in classes] for row in named]
    return output


def need(name: str) -> Any:
    """A module of the packages that only ONNX needs. Raises StepError where they are not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise StepError(
            "this installation cannot read ONNX: install the packages of requirements-onnx.txt, or send skops"
        ) from None
