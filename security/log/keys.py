"""The log's keys: one signs checkpoints, one (``<origin>/clock``) cosigns them with the time.

Both stand in one file, mode 0600, as C2SP signed-note signer keys, one a line; it is made at first use and never
replaced. Their public halves stand in the file of the same name with ``.pub``, for whoever should verify.
"""

from __future__ import annotations

import os
import secrets
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from security.log import notes

CLOCK = "/clock"


class LogKeyError(RuntimeError):
    """The log's key is missing, can be read by others, or is malformed. Nothing is signed then."""


def signers() -> tuple[notes.Signer, notes.Signer]:
    """The log's key and its clock's, made at first use. Raises LogKeyError."""
    path = Path(settings.LOG_KEY)
    if not path.exists():
        _create(path)
    return load(path)


def verifiers() -> tuple[notes.Verifier, notes.Verifier]:
    """The public halves, from the ``.pub`` file: this process may not have the private ones. Raises LogKeyError."""
    path = Path(settings.LOG_KEY)
    public = public_path(path)
    if public.exists():
        return read_public(public)
    log, clock = signers()
    return log.verifier(), clock.verifier()


def public_path(path: Path) -> Path:
    return path.with_name(path.name + ".pub")


def read_public(path: Path) -> tuple[notes.Verifier, notes.Verifier]:
    """The two public keys of a ``.pub`` file. Raises LogKeyError."""
    try:
        log, clock = (notes.Verifier.parse(line) for line in path.read_text().splitlines() if line.strip())
    except (OSError, ValueError) as error:
        raise LogKeyError(f"the log's public keys {path.name} cannot be read ({type(error).__name__})") from None
    return _paired(path, log, clock)


def load(path: Path) -> tuple[notes.Signer, notes.Signer]:
    """Read the key file. Raises LogKeyError when it is missing, readable by others, or malformed."""
    changed = private(path)
    try:
        return _read(path, changed)
    except OSError as error:
        raise LogKeyError(f"the log key {path.name} cannot be read ({type(error).__name__})") from None


def private(path: Path) -> int:
    """When a key file was changed (nanoseconds). Raises LogKeyError when it is missing or can be read by others."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise LogKeyError(f"there is no key {path.name}: restore it from its backup") from None
    except OSError as error:
        raise LogKeyError(f"the key {path.name} cannot be read ({type(error).__name__})") from None
    if status.st_mode & 0o077:
        raise LogKeyError(f"{path.name} can be read by others (mode {status.st_mode & 0o777:04o}): chmod 600 it")
    return status.st_mtime_ns


@lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> tuple[notes.Signer, notes.Signer]:
    try:
        log, clock = (notes.Signer.parse(line) for line in path.read_text().splitlines() if line.strip())
    except ValueError:
        raise LogKeyError(f"the log key {path.name} is malformed: restore it from its backup") from None
    _paired(path, log.verifier(), clock.verifier())
    return log, clock


def _paired(path: Path, log: notes.Verifier, clock: notes.Verifier) -> tuple[notes.Verifier, notes.Verifier]:
    if (log.algorithm, clock.algorithm) != (notes.ED25519, notes.COSIGNATURE) or clock.name != log.name + CLOCK:
        raise LogKeyError(f"{path.name} does not hold the log's key and then its clock's")
    return log, clock


def _create(path: Path) -> None:
    """Write new keys, never over existing ones: whoever comes second uses those of the first."""
    origin = settings.LOG_ORIGIN or f"countersign.invalid/{secrets.token_hex(6)}"
    log, clock = notes.Signer.generate(origin), notes.Signer.generate(origin + CLOCK, notes.COSIGNATURE)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_once(path, f"{log.secret_key()}\n{clock.secret_key()}\n", 0o600)
    log, clock = load(path)
    write_once(public_path(path), f"{log.verifier().vkey()}\n{clock.verifier().vkey()}\n", 0o644)


def write_once(path: Path, text: str, mode: int) -> None:
    """Write a whole file or none, and leave one that is there already as it is."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)  # fails, unlike rename, when somebody else was first
    except FileExistsError:
        pass
    finally:
        partial.unlink()
