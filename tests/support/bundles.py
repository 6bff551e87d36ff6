"""Exports as an attacker has them: unpacked, changed, put together and signed again; and the verifier beside them."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import rfc8785

from governance.exports import VERIFIER, model_bundle
from pipelines.models import ModelVersion
from security.log import keys, merkle, notes
from security.log.checkpoints import Checkpoint

Files = dict[str, bytes]
Rows = list[dict[str, Any]]


def export(user: Any, version: ModelVersion) -> bytes:
    return b"".join(model_bundle(acting_user=user, model_version=version))


def files_of(data: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def run_verify(path: Path, *arguments: str, key: str | None = "") -> subprocess.CompletedProcess[str]:
    """The verifier as an auditor runs it: its own process, isolated, told the log's key (``key`` None: told none)."""
    told = [] if key is None else ["--key", key or keys.verifiers()[0].vkey()]
    command = [sys.executable, "-I", str(VERIFIER), str(path), *told, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def unpack(files: Files, folder: Path) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def remade(files: Files) -> Files:
    """The manifest made to fit again, as an attacker would."""
    manifest = json.loads(files["manifest.json"])
    for name, content in files.items():
        if name != "manifest.json":
            manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    manifest["files"] = {name: row for name, row in manifest["files"].items() if name in files}
    return {**files, "manifest.json": json.dumps(manifest).encode()}


def lines(files: Files) -> Rows:
    return [json.loads(line) for line in files["log.jsonl"].splitlines()]


def with_lines(files: Files, rows: Rows) -> Files:
    return {**files, "log.jsonl": b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)}


def with_entry(row: dict[str, Any], change: Callable[[Any], None]) -> dict[str, Any]:
    """A line of the log with its entry changed and its leaf hash made to fit."""
    members = json.loads(row["entry"])
    change(members)
    entry = rfc8785.dumps(members)
    return {**row, "entry": entry.decode(), "leaf": merkle.leaf_hash(entry).hex()}


def changed(files: Files, name: str, change: Callable[[Any], None]) -> Files:
    document = json.loads(files[name])
    change(document)
    return {**files, name: rfc8785.dumps(document)}


def signed(files: Files, rows: Rows, *signers: notes.Signs) -> Files:
    """The log replaced by these lines and signed, by the log's own key unless another is given."""
    by = signers or keys.signers()
    root = merkle.root_of(bytes.fromhex(row["leaf"]) for row in rows)
    text = Checkpoint(by[0].verifier().name, len(rows), root).text()
    renumbered = [{**row, "index": index} for index, row in enumerate(rows)]
    files = {**with_lines(files, renumbered), "checkpoint": notes.sign(text, *by).encode()}
    return changed(files, "manifest.json", lambda document: document["log"].update(size=len(rows)))


def event_lines(rows: Rows, *names: str) -> Sequence[int]:
    """Where the log shows events of these names."""
    return [at for at, row in enumerate(rows) if "entry" in row and json.loads(row["entry"])["event"] in names]
