"""The contract that every step keeps, whoever wrote it: run over the whole registry with the cases in ``cases.py``."""

from __future__ import annotations

import copy
import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from pipelines.steps import DuplicateStepError, collect
from pipelines.steps.contract import Step, StepContext, StepError, StepResult
from security.measurement import Measurement, Verdict


def _cases() -> ModuleType:
    """``cases.py`` beside this file (tests are not a package)."""
    spec = importlib.util.spec_from_file_location("step_cases", Path(__file__).with_name("cases.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["step_cases"] = module
    spec.loader.exec_module(module)
    return module


CASES = _cases().CASES
STEPS = collect()  # the house's own, without the ones an installation adds
IDS = sorted(STEPS)


def _case(step_id: str, folder: Path) -> Any:
    assert step_id in CASES, f"{step_id} has no case in tests/pipelines/steps/cases.py"
    return CASES[step_id](folder)


def _context(folder: Path, seed: int = 7) -> StepContext:
    scratch = folder / f"scratch-{len(list(folder.iterdir()))}"
    scratch.mkdir()
    return StepContext(seed=seed, scratch=scratch, secret=b"0123456789abcdef" * 2)


def _run(step: Step, inputs: Mapping[str, Any], params: Mapping[str, Any], folder: Path) -> StepResult:
    return step.run(inputs, step.params.model_validate(params), _context(folder))


def _frozen(value: Any) -> Any:
    """A comparable copy of a port's value."""
    if isinstance(value, pa.Table):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, value.schema) as writer:
            writer.write_table(value.combine_chunks())
        return sink.getvalue().to_pybytes()
    return value.read_bytes() if isinstance(value, Path) else copy.deepcopy(value)


@pytest.mark.parametrize("step_id", IDS)
def test_same_seed_gives_the_same_output(step_id: str, tmp_path: Path) -> None:
    step, case = STEPS[step_id], _case(step_id, tmp_path)
    first, second = (_run(step, case.inputs, case.params, tmp_path) for _ in range(2))
    assert {name: _frozen(value) for name, value in first.outputs.items()} == {
        name: _frozen(value) for name, value in second.outputs.items()
    }
    assert first.measurements == second.measurements
    assert (first.verdict, first.summary) == (second.verdict, second.summary)


@pytest.mark.parametrize("step_id", IDS)
def test_inputs_are_not_changed(step_id: str, tmp_path: Path) -> None:
    case = _case(step_id, tmp_path)
    before = {name: _frozen(value) for name, value in case.inputs.items()}
    _run(STEPS[step_id], case.inputs, case.params, tmp_path)
    assert {name: _frozen(value) for name, value in case.inputs.items()} == before


@pytest.mark.parametrize("step_id", IDS)
def test_result_is_what_the_step_declares(step_id: str, tmp_path: Path) -> None:
    step, case = STEPS[step_id], _case(step_id, tmp_path)
    assert {source.name for source in step.sources} <= set(step.inputs), "a source fills a declared input"
    assert set(case.inputs) <= set(step.inputs)
    result = _run(step, case.inputs, case.params, tmp_path)
    required = {name for name, port in step.outputs.items() if port.required}
    assert required <= set(result.outputs) <= set(step.outputs)
    kinds = {"table": pa.Table, "model": bytes, "report": dict}
    for name, value in result.outputs.items():
        assert isinstance(value, kinds[step.outputs[name].kind]), f"output {name}"
        if isinstance(value, dict):
            json.dumps(value, allow_nan=False)
    assert all(isinstance(item, Measurement) for item in result.measurements)
    assert result.verdict is None or isinstance(result.verdict, Verdict)
    assert set(step.about) <= {*step.inputs, *step.outputs}
    assert step.evidence == () or step.about, "evidence speaks of something"


@pytest.mark.parametrize("step_id", IDS)
def test_bad_input_is_refused_with_the_steps_own_error(step_id: str, tmp_path: Path) -> None:
    step, case = STEPS[step_id], _case(step_id, tmp_path)
    assert case.refused, f"{step_id} needs a call that must be refused"
    for inputs, params in case.refused:
        with pytest.raises(StepError) as caught:
            _run(step, inputs, params, tmp_path)
        assert len(caught.value.message) > 15
        assert not caught.value.param or caught.value.param in step.params.model_fields
        json.dumps(caught.value.details, allow_nan=False)


@pytest.mark.parametrize("step_id", IDS)
def test_bad_parameters_are_refused(step_id: str, tmp_path: Path) -> None:
    step, case = STEPS[step_id], _case(step_id, tmp_path)
    for params in [*case.bad_params, {**case.params, "no_such_parameter": 1}]:
        with pytest.raises(ValidationError):
            step.params.model_validate(params)


def _undescribed(schema: Mapping[str, Any], where: str = "") -> list[str]:
    objects = {"": schema, **schema.get("$defs", {})}
    return [
        f"{title}.{name}".strip(".")
        for title, body in objects.items()
        for name, entry in body.get("properties", {}).items()
        if not entry.get("description")
    ]


@pytest.mark.parametrize("step_id", IDS)
def test_every_parameter_is_described(step_id: str) -> None:
    assert _undescribed(STEPS[step_id].params.model_json_schema()) == []


@pytest.mark.parametrize("step_id", IDS)
def test_entry_is_complete(step_id: str) -> None:
    step = STEPS[step_id]
    assert step.id == step_id
    assert step.title
    assert step.help.endswith(".")
    assert all(port.help for port in (*step.inputs.values(), *step.outputs.values()))


def test_no_case_is_left_over() -> None:
    assert sorted(CASES) == IDS


def _package(folder: Path, **files: str) -> str:
    package = folder / f"made_{folder.name.replace('-', '_')}"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for name, step_id in files.items():
        (package / f"{name}.py").write_text(
            "from pipelines.steps.contract import NoParams, Step, StepResult\n"
            f"STEP = Step(id={step_id!r}, title='t', help='h', params=NoParams, run=lambda i, p, c: StepResult())\n"
        )
    return package.name


def test_duplicate_id_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DuplicateStepError, match=r"made\.twice@1"):
        collect(_package(tmp_path, one="made.twice@1", two="made.twice@1"))


@pytest.mark.parametrize("step_id", ["nameless@1", "made.up", "Made.up@1", "made.up@0", "made.up@01", "made.up@1\n"])
def test_malformed_id_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_id: str) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="is not of the form"):
        collect(_package(tmp_path, one=step_id))
