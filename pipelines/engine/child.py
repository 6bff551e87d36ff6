"""What happens inside the child process: one step, on private copies, without keys, database or Django.

The parent talks to it through files in a private folder and one pipe of JSON messages. The first is the job: ``uses``,
``params``, ``inputs`` (port to path), ``folder``, ``seed``, ``seconds``, ``memory_bytes``, ``secret`` (hex). The
answers are ``{"progress": [done, total, note]}``, ``{"log": line}``, and last ``{"result": {...}}`` or
``{"error": {...}}``.
"""

from __future__ import annotations

import json
import os
import resource
import threading
import time
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine import isolation
from pipelines.steps import registry
from pipelines.steps.contract import Port, Step, StepContext, StepError, StepResult
from security.canonical import canonical_json

MAX_LOG_LINES = 2000
MAX_LINE = 500
_PROGRESS_SECONDS = 0.2


def main(pipe: Connection) -> None:
    """Wait for one job, run it, report. Never raises: what goes wrong is a message."""
    threading.Thread(target=_die_with_the_worker, args=(os.getppid(),), daemon=True).start()
    try:
        job = json.loads(pipe.recv_bytes())
    except EOFError:  # the worker is gone or does not need this process
        return
    pipe.send_bytes(json.dumps(_answer(job, pipe)).encode())
    pipe.close()


def _answer(job: Mapping[str, Any], pipe: Connection) -> dict[str, Any]:
    """Run ``job``: ``{"result"}`` or ``{"error"}``, and ``{"usage"}``."""
    _limit_memory(job["memory_bytes"])
    folder = Path(job["folder"])
    os.chdir(folder)
    started = time.process_time()
    try:
        step = registry()[job["uses"]]
        if step.confined:
            isolation.cut_off()
        result = step.run(_inputs(step, job), step.params.model_validate(job["params"]), _context(job, pipe))
        message = {"result": _write(step, result, folder)}
    except StepError as error:
        message = {"error": _error("step", error.message, param=error.param, details=error.details)}
    except isolation.IsolationError as error:
        message = {"error": _error("isolation", f"The step needs a process without network, and {error}.")}
    except MemoryError:
        message = {"error": _error("memory", "The step asked for more memory than its limit.")}
    except Exception as error:
        message = {"error": _unforeseen(error)}
    usage = resource.getrusage(resource.RUSAGE_SELF)
    message["usage"] = {
        "cpu_seconds": round(time.process_time() - started, 4),
        "peak_bytes": usage.ru_maxrss * 1024,
    }
    return message


def _inputs(step: Step, job: Mapping[str, Any]) -> dict[str, Any]:
    return {port: _load(step.inputs.get(port) or Port("file", ""), Path(path)) for port, path in job["inputs"].items()}


def _load(port: Port, path: Path) -> Any:
    if port.kind == "table":
        return pq.read_table(path)
    if port.kind == "model":
        return path.read_bytes()
    return json.loads(path.read_bytes()) if port.kind == "report" else path


def _context(job: Mapping[str, Any], pipe: Connection) -> StepContext:
    scratch = Path(job["folder"]) / "scratch"
    scratch.mkdir()
    talk = _Talk(pipe)
    return StepContext(
        seed=job["seed"],
        scratch=scratch,
        progress=talk.progress,
        log=talk.log,
        seconds=job["seconds"],
        memory_bytes=job["memory_bytes"],
        secret=bytes.fromhex(job["secret"]),
    )


class _Talk:
    """Progress at most five times a second, and a bounded log."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lines = 0
        self._last = 0.0

    def progress(self, done: int, total: int | None, note: str) -> None:
        now = time.monotonic()
        if now - self._last >= _PROGRESS_SECONDS or done == total:
            self._last = now
            self._pipe.send_bytes(json.dumps({"progress": [done, total, note[:MAX_LINE]]}).encode())

    def log(self, line: str) -> None:
        self._lines += 1
        if self._lines <= MAX_LOG_LINES:
            self._pipe.send_bytes(json.dumps({"log": line[:MAX_LINE]}).encode())


def _write(step: Step, result: StepResult, folder: Path) -> dict[str, Any]:
    """Store outputs as files and describe the result as JSON. Raises StepError for what the step did not declare."""
    undeclared = set(result.outputs) - set(step.outputs)
    missing = {name for name, port in step.outputs.items() if port.required} - set(result.outputs)
    if undeclared or missing:
        raise RuntimeError(f"{step.id} gave outputs {sorted(result.outputs)}, but declares {sorted(step.outputs)}")
    out = folder / "out"
    out.mkdir()
    outputs = {name: _dump(step.outputs[name], value, out / name) for name, value in result.outputs.items()}
    return {
        "outputs": outputs,
        "measurements": [measurement.model_dump(mode="json") for measurement in result.measurements],
        "verdict": result.verdict.value if result.verdict else "",
        "summary": result.summary,
        "register": vars(result.register) if result.register else None,
    }


def _dump(port: Port, value: Any, path: Path) -> dict[str, Any]:
    """Write one output; returns what is known of it."""
    if port.kind == "table":
        if not isinstance(value, pa.Table):
            raise TypeError(f"output {path.name} is a {type(value).__name__}, not a table")
        pq.write_table(value, path, compression="zstd", version="2.6")
        return {"rows": value.num_rows, "columns": [_column(field) for field in value.schema]}
    path.write_bytes(canonical_json(value) if port.kind == "report" else value)
    return {}


def _column(field: pa.Field) -> dict[str, Any]:
    personal = (field.metadata or {}).get(b"personal") == b"true"
    return {"name": field.name, "type": str(field.type), "personal": personal}


def _error(kind: str, message: str, *, param: str = "", details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {
        "kind": kind,
        "message": message,
        "param": param,
        "details": json.loads(json.dumps(details or {}, default=str)),
    }


def _unforeseen(error: Exception) -> dict[str, Any]:
    """Type and place of an unforeseen error, but not its text, which may quote data."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
    own = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames if "/pipelines/" in f.filename][-3:]
    message = f"The step failed in a way it does not foresee ({type(error).__name__} at {place})."
    return _error("internal", message, details={"trace": own})


def _limit_memory(limit: int) -> None:
    """A backstop behind the parent's own watch: no single allocation far beyond the limit succeeds."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    wanted = limit + 2 * 2**30
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def _die_with_the_worker(parent: int) -> None:
    """End this process when the one that forked it is gone, so that a killed worker leaves nothing running."""
    while os.getppid() == parent:
        time.sleep(0.25)
    os._exit(113)
