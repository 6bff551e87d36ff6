"""Model files: same estimator, same bytes; nothing in a file runs code or reads outside of its memory."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingClassifier
from sklearn.tree import DecisionTreeClassifier

from pipelines.steps import _modelfile
from pipelines.steps._modelfile import dump_model, load_model
from pipelines.steps.contract import StepError
from tests.pipelines.steps.ml import breast_cancer, train

ROOT = Path(__file__).resolve().parents[3]
_X = np.random.default_rng(0).normal(size=(200, 3))
_Y = (_X[:, 0] > 0).astype(int)


class Outsider:
    """A class of nobody's allow-list."""

    def __init__(self) -> None:
        self.a = 1


def rewrite(data: bytes, change: object) -> bytes:
    """The archive with every .npy member passed through ``change`` (array → array)."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith(".npy"):
                array = np.load(io.BytesIO(content))
                if array.dtype.names and {"left_child", "left"} & set(array.dtype.names):
                    buffer = io.BytesIO()
                    np.save(buffer, change(array.copy()))  # type: ignore[operator]
                    content = buffer.getvalue()
            new.writestr(name, content)
    return out.getvalue()


def test_a_dumped_model_has_no_clock_and_no_address() -> None:
    model = DecisionTreeClassifier(random_state=0).fit(_X, _Y)
    data = dump_model(model)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {m.date_time for m in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        ids = json.dumps(json.loads(archive.read("schema.json")))
    assert str(id(model)) not in ids
    assert dump_model(load_model(data)) == data


@pytest.mark.parametrize("estimator", ["random_forest", "gradient_boosting", "logistic_regression"])
def test_two_processes_write_the_same_bytes(estimator: str) -> None:
    code = (
        "import hashlib; from tests.pipelines.steps.ml import *; "
        f"r = train(breast_cancer(), 'diagnosis', '{estimator}', options={{}}); "
        "print(hashlib.sha256(r.outputs['model']).hexdigest())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, text=True,
            capture_output=True, check=True,
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert runs[0] == runs[1] != ""


def test_unused_bytes_of_tree_nodes_do_not_reach_the_digest() -> None:
    nodes = DecisionTreeClassifier(max_depth=2, random_state=0).fit(_X, _Y).tree_.__getstate__()["nodes"]
    assert nodes.dtype.itemsize > sum(nodes.dtype.fields[n][0].itemsize for n in nodes.dtype.names)
    dirty = np.frombuffer(bytearray(nodes.tobytes()), dtype=np.uint8).reshape(len(nodes), -1)
    dirty[:, -7:] = 0xAB
    files = []
    for raw in (nodes, dirty.reshape(-1).view(nodes.dtype)):
        buffer = io.BytesIO()
        np.save(buffer, raw)
        files.append(_modelfile._zero_padding(buffer.getvalue()))
    assert files[0] == files[1]


def test_pickle_is_refused_without_opening_it(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (os.mkdir, (str(tmp_path / "ran"),))

    with pytest.raises(StepError, match="pickle and joblib files are refused"):
        load_model(pickle.dumps(Attack()))
    assert not (tmp_path / "ran").exists()


def test_a_type_outside_the_allow_list_is_named() -> None:
    model = DecisionTreeClassifier().fit(_X, _Y)
    model.extra_ = Outsider()
    with pytest.raises(StepError, match="Outsider") as caught:
        load_model(skops.io.dumps(model))
    assert any("Outsider" in name for name in caught.value.details["types"])
    with pytest.raises(StepError, match="Outsider"):
        dump_model(model)


def test_a_function_smuggled_into_the_schema_is_not_called(tmp_path: Path) -> None:
    data = dump_model(DecisionTreeClassifier().fit(_X, _Y))
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = (
                old.read(name).replace(b"DecisionTreeClassifier", b"system").replace(b"sklearn.tree._classes", b"os")
            )
            new.writestr(name, content)
    with pytest.raises(StepError, match=r"os\.system|damaged"):
        load_model(out.getvalue())


@pytest.mark.parametrize("field", ["left_child", "right_child", "feature"])
@pytest.mark.parametrize("bad", [10**9, -5])
def test_tree_indices_outside_of_the_tree_are_refused(field: str, bad: int) -> None:
    def change(nodes: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        nodes[field][0] = bad
        return nodes

    data = dump_model(DecisionTreeClassifier(random_state=0).fit(_X, _Y))
    with pytest.raises(StepError, match=r"nodes point outside|damaged"):
        load_model(rewrite(data, change))


def test_a_tree_that_loops_is_refused() -> None:
    def change(nodes: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        nodes["left"][0] = 0
        return nodes

    data = dump_model(HistGradientBoostingClassifier(max_iter=2).fit(_X, _Y))
    with pytest.raises(StepError, match="nodes point outside"):
        load_model(rewrite(data, change))


def test_trees_inside_object_arrays_are_found() -> None:
    model = GradientBoostingRegressor(n_estimators=3).fit(_X, _X[:, 0])
    assert len(list(_modelfile._trees(model, None, set()))) == 3


def test_a_damaged_file_is_an_answer(tmp_path: Path) -> None:
    data = dump_model(DecisionTreeClassifier().fit(_X, _Y))
    with pytest.raises(StepError, match="damaged"):
        load_model(data.replace(b"PK\x01\x02", b"PK\x01\x03", 1))
    with pytest.raises(StepError, match="not a skops file"):
        load_model(b"")


def test_a_file_that_unpacks_too_far_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = dump_model(DecisionTreeClassifier().fit(_X, _Y))
    monkeypatch.setattr(_modelfile, "MAX_UNPACKED_BYTES", 100)
    with pytest.raises(StepError, match="would unpack"):
        load_model(data)


def test_a_loaded_model_predicts_the_same_bits() -> None:
    table = breast_cancer()
    data = train(table, "diagnosis", "random_forest").outputs["model"]
    frame = table.drop_columns(["diagnosis"]).to_pandas()
    assert np.array_equal(load_model(data).predict_proba(frame), load_model(data).predict_proba(frame))
