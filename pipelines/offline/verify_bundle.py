"""Verify the package of a model, without the server that made it.

    python verify_bundle.py --key KEY.pem                in the unpacked folder
    python verify_bundle.py package.zip --key KEY.pem    on the ZIP itself

KEY.pem is the public key of packages (P-256), noted when the installation was set up or taken from a place that the
server cannot change: not from the package. Python 3.11 or newer with the package ``cryptography``; no network. Exit
status 0: everything holds. 1: something does not.

1. Signature: model.sig is a Sigstore bundle v0.3 whose DSSE envelope the key signed (OpenSSF model signing v1.0).
2. Files: every file has the SHA-256 that was signed, none is missing, none was added; their root is the subject.
3. Attestations: every one is an in-toto Statement v1 in a DSSE envelope that the same key signed.
4. Provenance speaks of exactly the models in the package; each result has the digest of its own content, and speaks of
   one of these models or of data that the bill of materials names.
5. Card and bill of materials name the model that is in the package.

Not shown: that the results are true, and that none was left out. The audit log of the installation shows both
(``verify_export.py``).
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

SIGNATURE, CARD, BILL = "model.sig", "model-card.json", "bom.cdx.json"
ATTESTATIONS, PROVENANCE = "attestations/", "attestations/provenance.dsse.json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
SIGNED, SLSA = "https://model_signing/signature/v1.0", "https://slsa.dev/provenance/v1"
EVIDENCE = "urn:countersign:predicate:evidence-v1"
CONTENT = '{"_type":"https://in-toto.io/Statement/v1","predicate":{"content":'  # how a canonical result begins
DIGEST = re.compile(r"[0-9a-f]{64}")
MAX_DOCUMENT_BYTES = 64 * 2**20
PIECE_BYTES = 1 << 20


class WrongError(Exception):
    """Something that does not hold; its text says what and where."""


# ------------------------------------------------------------------------------------------------ where the files are


class Files:
    """The files of a package, in a ZIP or a folder. ``names``: every file, with ``/`` between folders."""

    def __init__(self, path: Path) -> None:
        self._folder = path if path.is_dir() else None
        self._archive = None if self._folder else zipfile.ZipFile(path)
        self.names = sorted(self._listed())

    def open(self, name: str) -> IO[bytes]:
        if self._archive is not None:
            return self._archive.open(name)
        return (Path(str(self._folder)) / name).open("rb")

    def read(self, name: str) -> bytes:
        """A document. Raises WrongError when it is missing or too long to be one."""
        if name not in self.names:
            raise WrongError(f"{name}: missing")
        with self.open(name) as file:
            content = file.read(MAX_DOCUMENT_BYTES + 1)
        if len(content) > MAX_DOCUMENT_BYTES:
            raise WrongError(f"{name}: too long")
        return content

    def sha256(self, name: str) -> str:
        digest = hashlib.sha256()
        with self.open(name) as file:
            while piece := file.read(PIECE_BYTES):
                digest.update(piece)
        return digest.hexdigest()

    def _listed(self) -> Iterator[str]:
        if self._archive is None:
            root = Path(str(self._folder))
            for path in root.rglob("*"):
                name = path.relative_to(root).as_posix()
                if path.is_symlink():
                    raise WrongError(f"{name}: a symbolic link")
                if path.is_file():
                    yield name
            return
        names = self._archive.namelist()
        for name in names:
            parts = PurePosixPath(name).parts
            if names.count(name) > 1 or name.startswith("/") or ".." in parts or "\\" in name or name.endswith("/"):
                raise WrongError(f"{name[:80]!r}: not a name of a file in a package, or there twice")
            yield name


# ---------------------------------------------------------------------------------------------------- what was signed


def load_key(path: Path) -> ec.EllipticCurvePublicKey:
    """The public key of a PEM file. Raises WrongError."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise WrongError(f"key: {path.name} cannot be read ({type(error).__name__})") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise WrongError(f"key: {path.name} is not a P-256 key")
    return key


def hint_of(key: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 of the key's PEM, by which signatures name it."""
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def opened(envelope: Any, key: ec.EllipticCurvePublicKey, where: str) -> bytes:
    """The payload of a DSSE envelope that the key signed, and nobody else. Raises WrongError."""
    try:
        kind, (signature,) = envelope["payloadType"], envelope["signatures"]
        payload, value = (base64.b64decode(text, validate=True) for text in (envelope["payload"], signature["sig"]))
    except (KeyError, TypeError, ValueError):
        raise WrongError(f"{where}: no DSSE envelope with one signature") from None
    if kind != PAYLOAD:
        raise WrongError(f"{where}: holds {str(kind)[:60]!r}, not an in-toto statement")
    message = b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(payload), payload)
    try:
        key.verify(value, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise WrongError(f"{where}: not signed by the key") from None
    return payload


def statement(payload: bytes, where: str) -> dict[str, Any]:
    """The in-toto statement of a payload, its subjects as name → SHA-256 in ``about``. Raises WrongError."""
    found = _json(payload, where)
    try:
        if found["_type"] != STATEMENT or not isinstance(found["predicate"], dict):
            raise WrongError(f"{where}: no in-toto Statement v1")
        found["about"] = {one["name"]: one["digest"]["sha256"] for one in found["subject"]}
    except (KeyError, TypeError):
        raise WrongError(f"{where}: no in-toto Statement v1") from None
    if not found["about"] or not all(isinstance(one, str) and DIGEST.fullmatch(one) for one in found["about"].values()):
        raise WrongError(f"{where}: speaks of no digest")
    return dict(found)


def _json(data: bytes, where: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise WrongError(f"{where}: no JSON") from None


# ---------------------------------------------------------------------------------------------------------- the checks


def verify(files: Files, key: ec.EllipticCurvePublicKey) -> list[str]:
    """What was found to hold, a line each. Raises WrongError at the first thing that does not."""
    digests, root = check_files(files, key)
    lines = [f"signature and {len(digests)} files, root {root}"]
    models = {name: digest for name, digest in digests.items() if name in ("model.skops", "model.onnx")}
    bill = _json(files.read(BILL), BILL)
    check_card(files, bill, models)
    lines.append(f"model {', '.join(f'{name} {digest[:12]}' for name, digest in models.items())} as card and bill say")
    count = check_attestations(files, key, models, _data(bill))
    return [*lines, f"provenance and {count} results of checks, each signed and with its own digest"]


def check_files(files: Files, key: ec.EllipticCurvePublicKey) -> tuple[dict[str, str], str]:
    """Signature and files: (name → SHA-256, root)."""
    bundle = _json(files.read(SIGNATURE), SIGNATURE)
    try:
        kind, hint, envelope = (
            bundle["mediaType"],
            bundle["verificationMaterial"]["publicKey"]["hint"],
            bundle["dsseEnvelope"],
        )
    except (KeyError, TypeError):
        raise WrongError(f"{SIGNATURE}: no Sigstore bundle with a key") from None
    if kind != BUNDLE:
        raise WrongError(f"{SIGNATURE}: {str(kind)[:60]!r} is not a Sigstore bundle v0.3")
    if hint != hint_of(key):
        raise WrongError(f"{SIGNATURE}: was made by another key, {str(hint)[:16]}…")
    found = statement(opened(envelope, key, SIGNATURE), SIGNATURE)
    if found["predicateType"] != SIGNED:
        raise WrongError(f"{SIGNATURE}: is no signature of a model")
    try:
        signed = {one["name"]: one["digest"] for one in found["predicate"]["resources"] if one["algorithm"] == "sha256"}
    except (KeyError, TypeError):
        raise WrongError(f"{SIGNATURE}: names no files") from None
    there = set(files.names) - {SIGNATURE}
    for name in sorted(there ^ set(signed)):
        raise WrongError(f"{name}: {'was added' if name in there else 'is missing'}")
    root = hashlib.sha256()
    for name in sorted(signed):
        if files.sha256(name) != signed[name]:
            raise WrongError(f"{name}: is not what was signed")
        root.update(bytes.fromhex(signed[name]))
    if list(found["about"].values()) != [root.hexdigest()]:
        raise WrongError(f"{SIGNATURE}: its subject is not the root of its files")
    return signed, root.hexdigest()


def check_card(files: Files, bill: Any, models: Mapping[str, str]) -> None:
    """Card and bill of materials name the model that is here."""
    card = _json(files.read(CARD), CARD)
    try:
        named = {card["sha256"], bill["metadata"]["component"]["hashes"][0]["content"]}
    except (KeyError, TypeError, IndexError):
        raise WrongError(f"{CARD} or {BILL}: names no model") from None
    if len(named) != 1 or not named <= set(models.values()):
        raise WrongError(f"{CARD} and {BILL}: name another model than the one that is here")


def check_attestations(files: Files, key: ec.EllipticCurvePublicKey, models: Mapping[str, str], data: set[str]) -> int:
    """Provenance and results; returns how many results there are."""
    names = [name for name in files.names if name.startswith(ATTESTATIONS)]
    if PROVENANCE not in names:
        raise WrongError(f"{PROVENANCE}: missing")
    for name in names:
        payload = opened(_json(files.read(name), name), key, name)
        found = statement(payload, name)
        if name == PROVENANCE:
            if found["predicateType"] != SLSA or found["about"] != dict(models):
                raise WrongError(f"{name}: is not the provenance of the models that are here")
            continue
        if found["predicateType"] != EVIDENCE:
            raise WrongError(f"{name}: is no result of a check")
        _check_result(payload.decode("utf-8", "replace"), found, name)
        if not set(found["about"].values()) <= {*models.values(), *data}:
            raise WrongError(f"{name}: speaks of neither the model nor its data")
    return len(names) - 1


def _check_result(text: str, found: Mapping[str, Any], where: str) -> None:
    """The digest of a result is that of its content, in the canonical form in which it stands in the payload."""
    if not text.startswith(CONTENT):
        raise WrongError(f"{where}: is not in canonical form")
    _, end = json.JSONDecoder().raw_decode(text, len(CONTENT))
    digest = hashlib.sha256(text[len(CONTENT) : end].encode()).hexdigest()
    content, predicate = found["predicate"].get("content"), found["predicate"]
    if predicate.get("digest") != digest:
        raise WrongError(f"{where}: its digest is not that of its content")
    if list(found["about"].values()) != [content.get("subject")]:
        raise WrongError(f"{where}: speaks of something else than its content")


def _data(bill: Any) -> set[str]:
    """The digests of the data that the bill of materials names."""
    components = bill.get("components", []) if isinstance(bill, dict) else []
    return {one["hashes"][0]["content"] for one in components if one.get("type") == "data" and one.get("hashes")}


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify what the arguments name; returns the exit status."""
    parser = argparse.ArgumentParser(description="Verify the package of a model offline.")
    parser.add_argument("package", nargs="?", default=str(Path(__file__).parent), help="ZIP or folder (default: here)")
    parser.add_argument("--key", required=True, metavar="KEY.pem", help="the public key of packages, from elsewhere")
    given = parser.parse_args(arguments)
    write = sys.stdout.write
    try:
        lines = verify(Files(Path(given.package)), load_key(Path(given.key)))
    except WrongError as wrong:
        write(f"WRONG  {wrong}\nNOT VERIFIED\n")
        return 1
    except Exception as error:  # a cut ZIP, no such file, a document of another shape
        write(f"WRONG  package: cannot be read ({type(error).__name__})\nNOT VERIFIED\n")
        return 1
    write("".join(f"ok     {line}\n" for line in lines) + "VERIFIED\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
