"""Model files: skops with a fixed allow-list, the same bytes for the same estimator, trees checked for bounds.

skops names its members after memory addresses, stamps the clock into its zip and keeps whatever lay in the unused
bytes of a tree's nodes. ``dump_model`` renames, freezes and zeroes these, so that a digest names a model and not a
process. Reading never runs code: pickle is refused, only the types below are built, and node indices, which
scikit-learn follows without a bounds check (its pull request 34558), are checked before the model is handed out.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import skops.io
from numpy.lib import format as npy
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.tree._tree import Tree
from skops.io.exceptions import UntrustedTypesFoundException

from pipelines.steps.contract import StepError

TRUSTED = (
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)
"""Types accepted beside those that skops itself knows as safe. A type is added here after review, never from a file."""

MAX_UNPACKED_BYTES = 4 * 2**30
_EPOCH = (1980, 1, 1, 0, 0, 0)


def dump_model(estimator: Any) -> bytes:
    """The skops file of a fitted scikit-learn estimator; the same estimator gives the same bytes in every process.

    Raises StepError when the estimator holds a type that could not be read back.
    """
    try:
        raw = skops.io.dumps(estimator)
    except TypeError as error:
        raise StepError(f"the model cannot be written as skops: {error}") from error
    data = _canonical(raw)
    load_model(data)
    return data


def load_model(data: bytes) -> Any:
    """The estimator in ``data``. Raises StepError for pickle, a damaged file, an unknown type or a malformed tree."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise StepError(
            "this is not a skops file; pickle and joblib files are refused because opening one runs code in it. "
            "Save the model with skops.io.dump"
        )
    try:
        _check_size(data)
        estimator = skops.io.loads(data, trusted=list(TRUSTED))
    except UntrustedTypesFoundException as error:
        raise StepError(_untrusted(data), details={"types": _unknown_types(data)}) from error
    except StepError:
        raise
    except Exception as error:  # a crafted file may fail anywhere in the reader: all of it means "damaged"
        raise StepError(f"the model file is damaged or not written by skops ({type(error).__name__})") from error
    _check_trees(estimator)
    return estimator


def _unknown_types(data: bytes) -> list[str]:
    """Type names in ``data`` outside the allow-list: for the message only, never for loading."""
    return [name for name in skops.io.get_untrusted_types(data=data) if name not in TRUSTED]


def _untrusted(data: bytes) -> str:
    return (
        f"the model holds types that are not on the allow-list: {', '.join(_unknown_types(data))}. "
        "Use a scikit-learn estimator of the table in train.sklearn"
    )


def _check_size(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > MAX_UNPACKED_BYTES:
        raise StepError(f"the model would unpack to {size:,} bytes; the limit is {MAX_UNPACKED_BYTES:,}")


def _canonical(raw: bytes) -> bytes:
    """The archive with nodes numbered, members named by their content, no clock and zeroed padding."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        schema = json.loads(archive.read("schema.json"))
        members = {name: _zero_padding(archive.read(name)) for name in archive.namelist() if name != "schema.json"}
    names = {name: _content_name(name, content) for name, content in members.items()}
    _rename(schema, itertools.count(), names)
    contents = {names[name]: content for name, content in members.items()}
    contents["schema.json"] = json.dumps(schema, separators=(",", ":")).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(contents):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), contents[name], zipfile.ZIP_DEFLATED, 6)
    return buffer.getvalue()


def _content_name(name: str, content: bytes) -> str:
    return f"{hashlib.sha256(content).hexdigest()[:32]}.{name.rpartition('.')[2]}"


def _rename(node: Any, numbers: Iterator[int], names: dict[str, str]) -> None:
    """Replace memory addresses in place. Every node gets a number of its own: sharing depends on the process."""
    if isinstance(node, list):
        for item in node:
            _rename(item, numbers, names)
    elif isinstance(node, dict):
        if "__id__" in node:
            node["__id__"] = next(numbers)
        if isinstance(node.get("file"), str):
            node["file"] = names[node["file"]]
        for value in node.values():
            _rename(value, numbers, names)


def _zero_padding(content: bytes) -> bytes:
    """An .npy member with the bytes between the fields of its records set to zero; anything else as it is."""
    if not content.startswith(npy.MAGIC_PREFIX):
        return content
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if array.dtype.names is None:
        return content
    used = np.zeros(array.dtype.itemsize, dtype=np.uint8)
    for kind, offset in (array.dtype.fields[name][:2] for name in array.dtype.names):
        used[offset : offset + kind.itemsize] = 1
    head = len(content) - array.nbytes
    body = np.frombuffer(content, dtype=np.uint8, offset=head).reshape(-1, array.dtype.itemsize)
    return content[:head] + (body * used).tobytes()


def _check_trees(estimator: Any) -> None:
    """Refuse trees whose indices point outside: StepError before anything can predict with them."""
    for tree, columns in _trees(estimator, None, set()):
        if not (_tree_is_sound(tree, columns) if isinstance(tree, Tree) else _predictor_is_sound(tree, columns)):
            raise StepError("the model holds a tree whose nodes point outside of it; the file is damaged or crafted")


def _tree_is_sound(tree: Any, columns: int) -> bool:
    nodes = tree.__getstate__()["nodes"]
    left, right = nodes["left_child"], nodes["right_child"]
    return columns == tree.n_features and _links_are_sound(left, right, nodes["feature"], left != -1, columns)


def _predictor_is_sound(tree: Any, columns: int) -> bool:
    nodes = tree.nodes
    left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
    sets = min(len(tree.binned_left_cat_bitsets), len(tree.raw_left_cat_bitsets))
    bits = np.all(nodes["bitset_idx"][nodes["is_categorical"] != 0] < sets)
    return bool(bits) and _links_are_sound(left, right, nodes["feature_idx"], nodes["is_leaf"] == 0, columns)


def _links_are_sound(left: Any, right: Any, feature: Any, inner: Any, columns: int) -> bool:
    """Children of inner nodes come later (so no loop) and exist; the feature is a column of the input."""
    own, end = np.arange(len(inner)), len(inner)
    good = (left > own) & (right > own) & (left < end) & (right < end) & (feature >= 0) & (feature < columns)
    return end > 0 and bool(np.all(good[inner]))


def _trees(value: Any, columns: int | None, seen: set[int]) -> Iterator[tuple[Any, int]]:
    """Every tree reachable through attributes, dicts, sequences and object arrays, with its estimator's width."""
    if id(value) in seen or isinstance(value, str | bytes | int | float | type | None):
        return
    seen.add(id(value))
    if isinstance(value, Tree | TreePredictor):
        yield value, -1 if columns is None else columns
        return
    columns = getattr(value, "n_features_in_", columns)
    for child in _children(value):
        yield from _trees(child, columns, seen)


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, np.ndarray):
        return value.ravel() if value.dtype == object else ()
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, list | tuple | set):
        return value
    return vars(value).values() if hasattr(value, "__dict__") else ()
