"""The facts of a made-up model version, and its package as files on disk."""

from __future__ import annotations

import io
import json
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from pipelines.offline import verify_bundle
from pipelines.package import archive, signature
from pipelines.package.contents import package
from pipelines.package.facts import Data, Facts, Finding
from security.canonical import canonical_json, digest_of, sha256
from security.signing import p256
from security.signing.dsse import Envelope
from security.signing.statements import PAYLOAD_TYPE

KEY = ec.derive_private_key(0xC0FFEE, ec.SECP256R1())
MODEL, ONNX = b"the bytes of a model", b"the same as ONNX"
MEASURED = {
    "name": "accuracy",
    "value": 0.871,
    "unit": "fraction",
    "direction": "higher_is_better",
    "n": 9769,
    "interval": {"low": 0.862, "high": 0.88, "level": 0.95, "method": "bootstrap"},
    "slice": {},
    "note": "",
}


def finding(kind: str, verdict: str = "pass", **changes: Any) -> Finding:
    content = {
        "kind": kind,
        "subject": sha256(MODEL),
        "uses": "evaluate.classification@1",
        "params": {"target": "income", "note": "größer – 😀"},
        "measurements": [MEASURED, {**MEASURED, "slice": {"sex": "Female"}, "interval": None}],
        "verdict": verdict,
        "report": "",
        **changes,
    }
    return Finding(f"id-{kind}", digest_of(content), content, f"{kind} was measured", "2026-11-20T10:00:00.000000Z")


def facts(**changes: Any) -> Facts:
    """A classifier of this house, trained on one table, with two results."""
    given: dict[str, Any] = {
        "system": {"slug": "credit", "name": "Credit", "purpose": "Decides on loans."},
        "model": {"name": "risk", "description": "Second try."},
        "number": 3,
        "version_id": "5b1f3f0e-0000-4000-8000-000000000001",
        "digest": sha256(MODEL),
        "media_type": "application/x-skops",
        "size": len(MODEL),
        "created_at": "2026-11-20T09:00:00.000000Z",
        "created_by": "Erin Engineer",
        "training": {
            "target": "income",
            "features": ["age", "sex"],
            "numeric": ["age"],
            "categorical": ["sex"],
            "classes": {"no": 70, "yes": 30},
            "estimator": "random_forest",
            "parameters": {"n_estimators": 100},
            "seed": 7,
        },
        "origin": {},
        "run": {
            "id": "5b1f3f0e-0000-4000-8000-000000000002",
            "seed": 1,
            "parameters": {"source": "adult.csv"},
            "code": {"sha256": "c" * 64},
            "environment": {
                "python": "3.11.7",
                "platform": "Linux x86_64",
                "packages_sha256": "d" * 64,
                "installed": {"numpy": "2.4.6", "Django": "5.2.19", "odd name": "1", "evil": "1; import os"},
            },
            "started_at": "2026-11-20T08:00:00.000000Z",
            "finished_at": "2026-11-20T09:00:00.000000Z",
        },
        "pipeline": {"name": "adult", "number": 2, "digest": "e" * 64},
        "steps": [{"name": "train", "uses": "train.sklearn@1", "params": {"target": "income"}}],
        "data": [Data("f" * 64, "table", "adult/load.table v1", 100, [{"name": "age", "type": "int64"}])],
        "findings": [finding("holdout_metrics"), finding("slice_metrics", "fail")],
    }
    return Facts(**{**given, **changes})


def zipped(known: Facts | None = None, key: Any = KEY) -> bytes:
    """The package of ``facts``."""
    known = known or facts()
    verifier = Path(verify_bundle.__file__).read_bytes()
    made = package(known, sign=partial(_signed, key), verifier=verifier)
    contents = {sha256(MODEL): MODEL, sha256(ONNX): ONNX}
    files = {**{name: [content] for name, content in made.files.items()}}
    files |= {name: [contents[digest]] for name, digest in made.models.items()}
    return b"".join(archive.stream(files))


def _signed(key: Any, payload: bytes, kind: str) -> Any:
    return p256.sign(payload, kind, key)


def files_of(data: bytes) -> dict[str, bytes]:
    """Every file of a ZIP by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive_:
        return {name: archive_.read(name) for name in archive_.namelist()}


def unpacked(files: dict[str, bytes], folder: Path) -> Path:
    """The files written below ``folder``."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def key_file(folder: Path, key: Any = KEY) -> Path:
    """The public key as a PEM file beside the package."""
    path = folder.parent / f"{folder.name}-key.pem"
    path.write_bytes(p256.public_pem(key.public_key()))
    return path


def resigned(files: dict[str, bytes], key: Any = KEY) -> dict[str, bytes]:
    """The files with a new signature over all of them, as whoever holds the key could make it."""
    digests = {name: sha256(content) for name, content in files.items() if name != signature.FILE}
    envelope = p256.sign(signature.statement("again", digests), PAYLOAD_TYPE, key)
    return {**files, signature.FILE: signature.sigstore_bundle(envelope)}


def rewritten(attestation: bytes, *, digest: str = "", subject: str = "") -> bytes:
    """A result with another digest or another subject, signed all the same."""
    found = json.loads(Envelope.parse(attestation).payload)
    if digest:
        found["predicate"]["digest"] = digest
    if subject:
        found["subject"][0]["digest"]["sha256"] = subject
    return p256.sign(canonical_json(found), PAYLOAD_TYPE, KEY).to_bytes()


def with_member(data: bytes, name: str) -> bytes:
    """The ZIP with one member more."""
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as added:
        added.writestr(name, b"surprise")
    return buffer.getvalue()
