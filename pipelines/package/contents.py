"""All files of a package but the models themselves, which are streamed, and the signature over all of them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.package import bom, documents, provenance, signature
from pipelines.package.facts import Facts
from security.canonical import canonical_json, sha256
from security.signing.dsse import Envelope
from security.signing.statements import PAYLOAD_TYPE, build

FORMAT = "countersign-package@1"
PROVENANCE = "attestations/provenance.dsse.json"
ONNX = "model.onnx"
Sign = Callable[[bytes, str], Envelope]

README = """{title} of {system}
{rule}

A model and what is known of it, signed as a whole. To check it without the server that made it:

    python verify_bundle.py --key KEY.pem          (in this folder; Python 3.11 or newer with the package cryptography)
    model_signing verify key . --signature model.sig --public_key KEY.pem --ignore-git-paths

KEY.pem is the key of packages that you got from its operators or from /api/v1/package-key: not from this package.

{file:<24} the model, SHA-256 {digest}
{onnx}schema/                  its input and its answer as JSON Schema (2020-12); which input of ONNX is which column
preprocessing.json       what happens to a row before and inside the model
parameters.json          how it was fitted
requirements.txt         the packages with which the run was executed
model-card.json          data, figures, results of checks, what speaks for care
bom.cdx.json             CycloneDX 1.6 bill of materials with its model card
attestations/            SLSA v1 provenance and every result of a check, as in-toto statements in DSSE envelopes
model.sig                OpenSSF model signature over every file here
verify_bundle.py         the check; take it from a release that you trust if you do not trust this file
"""


@dataclass(frozen=True)
class Package:
    """``files``: the small files by name; ``models``: the streamed ones, name → SHA-256; ``root``: names all of it."""

    files: Mapping[str, bytes]
    models: Mapping[str, str]
    root: str


def package(facts: Facts, *, sign: Sign, verifier: bytes) -> Package:
    """The package of a model version. ``verifier`` is the script that checks it; the same facts give the same bytes."""
    models = {facts.file: facts.digest}
    if facts.onnx and facts.file != ONNX:
        models[ONNX] = str(facts.onnx["digest"])
    files = {
        "README.txt": _readme(facts, models).encode(),
        "verify_bundle.py": verifier,
        "requirements.txt": documents.requirements(facts).encode(),
        **{name: canonical_json(content) for name, content in _documents(facts).items()},
        **_attestations(facts, models, sign),
    }
    digests = {**{name: sha256(content) for name, content in files.items()}, **models}
    signed = sign(signature.statement(facts.title, digests), PAYLOAD_TYPE)
    files[signature.FILE] = signature.sigstore_bundle(signed)
    return Package(files, models, signature.root_digest(digests))


def _documents(facts: Facts) -> dict[str, Any]:
    converted = {"schema/onnx-inputs.json": facts.onnx.get("inputs", {})} if facts.onnx else {}
    return {
        **converted,
        "schema/input.json": documents.input_schema(facts),
        "schema/output.json": documents.output_schema(facts),
        "preprocessing.json": documents.preprocessing(facts),
        "parameters.json": documents.parameters(facts),
        "model-card.json": {"format": FORMAT, **documents.model_card(facts)},
        "bom.cdx.json": bom.bom(facts),
    }


def _attestations(facts: Facts, models: Mapping[str, str], sign: Sign) -> dict[str, bytes]:
    """Provenance of the models, and each result about the subject that it speaks of."""
    made = {PROVENANCE: build(sorted(models.items()), provenance.SLSA, provenance.provenance(facts))}
    names = {digest: name for name, digest in models.items()} | {one.digest: one.name for one in facts.data}
    for finding in facts.findings:
        subject = str(finding.content["subject"])
        about = [(names.get(subject, subject[:12]), subject)]
        name = f"attestations/{finding.kind}-{finding.digest[:16]}.dsse.json"
        made[name] = build(about, provenance.EVIDENCE, provenance.evidence(finding))
    return {name: sign(payload, PAYLOAD_TYPE).to_bytes() for name, payload in made.items()}


def _readme(facts: Facts, models: Mapping[str, str]) -> str:
    title = f"{facts.title} of {facts.system['slug']}"
    converted = ONNX in models and facts.file != ONNX
    onnx = f"{ONNX:<24} the same as ONNX; its answers agree on the rows it was compared on\n" if converted else ""
    shown = {"title": facts.title, "system": facts.system["slug"], "rule": "=" * len(title)}
    return README.format(**shown, file=facts.file, digest=facts.digest, onnx=onnx)
