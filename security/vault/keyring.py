"""The keyring file: key-encryption keys that wrap each artifact's data key (AES-256-GCM, object name as AAD).

JSON: ``{"primary": id, "keys": {id: base64 of 32 bytes}, "created": {id: RFC 3339}}``. It is never changed in place: a
new file takes its name, so that a crash leaves the old one or the new one.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from security.vault.providers.contract import KeyProviderError, NoSuchKeyError, NotGenuineError, ProviderAwayError

_NONCE_BYTES = 12


class KeyringError(ProviderAwayError):
    """The keyring cannot be read, is not private, or is malformed."""


class KeyInUseError(KeyProviderError):
    """A key cannot be taken out of the keyring: it is the primary one."""


@dataclass(frozen=True)
class Keyring:
    """Keys by id and the id that new data keys are wrapped with. Its ``repr`` shows no key."""

    primary: str
    _keys: dict[str, bytes]
    created: dict[str, datetime]

    def __repr__(self) -> str:
        return f"Keyring(primary={self.primary!r}, {len(self._keys)} keys)"

    @property
    def ids(self) -> list[str]:
        """The ids of all keys, in order of making where that is known."""
        return list(self._keys)

    def wrap(self, data_key: bytes, *, associated_data: bytes) -> tuple[str, bytes]:
        """``(key id, nonce ‖ ciphertext ‖ tag)`` of a data key under the primary key."""
        nonce = os.urandom(_NONCE_BYTES)
        return self.primary, nonce + AESGCM(self._keys[self.primary]).encrypt(nonce, data_key, associated_data)

    def unwrap(self, key_id: str, wrapped: bytes, *, associated_data: bytes) -> bytes:
        """The data key. Raises NoSuchKeyError, or NotGenuineError for a wrapped key that does not verify."""
        if key_id not in self._keys:
            raise NoSuchKeyError(f"the keyring has no key {key_id!r}: restore the keyring this vault was written with")
        try:
            key = AESGCM(self._keys[key_id])
            return key.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], associated_data)
        except (InvalidTag, ValueError):
            raise NotGenuineError(f"a data key wrapped with {key_id!r} does not verify") from None


def create(path: Path) -> Keyring:
    """Write a new keyring with one random key, mode 0600, never over an existing file, and read it back."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = _write_beside(path, _with_new_key({"keys": {}, "created": {}}))
    try:
        os.link(partial, path)  # fails, unlike rename, when somebody else was first
    except FileExistsError:
        pass
    finally:
        partial.unlink()
    return load(path)


def add_key(path: Path) -> str:
    """Add a random key and make it the primary one; the others stay, to open what they wrapped. Returns its id."""
    with _changing(path) as content:
        content.setdefault("created", {})
        _with_new_key(content)
    return load(path).primary


def remove_key(path: Path, key_id: str) -> None:
    """Take a key out of the file: what it wrapped, in this database and in every backup, is unreadable from now on.

    Raises NoSuchKeyError, or KeyInUseError for the primary key. Whether rows still use it is the caller's question.
    """
    with _changing(path) as content:
        if key_id not in content["keys"]:
            raise NoSuchKeyError(f"the keyring has no key {key_id!r}; it has {', '.join(content['keys'])}")
        if key_id == content["primary"]:
            raise KeyInUseError(f"{key_id!r} is the primary key; make a new one first")
        del content["keys"][key_id]
        content.get("created", {}).pop(key_id, None)


def load(path: Path) -> Keyring:
    """Read a keyring. Raises KeyringError when it is missing, readable by others, or malformed."""
    try:
        mode = path.stat().st_mode
        if mode & 0o077:
            raise KeyringError(f"{path.name} can be read by others (mode {mode & 0o777:04o}): chmod 600 it")
        content = json.loads(path.read_text())
        keys = {name: base64.b64decode(text, validate=True) for name, text in content["keys"].items()}
        primary = content["primary"]
        created = {name: datetime.fromisoformat(text) for name, text in content.get("created", {}).items()}
    except FileNotFoundError:
        raise KeyringError(f"there is no keyring {path.name}: restore it, or run `manage.py doctor`") from None
    except (OSError, KeyError, TypeError, AttributeError, ValueError, binascii.Error) as error:
        raise KeyringError(f"the keyring {path.name} cannot be read ({type(error).__name__})") from None
    if primary not in keys or any(len(key) != 32 for key in keys.values()):
        raise KeyringError(f"the keyring {path.name} lacks its primary key or has one that is not 32 bytes")
    return Keyring(primary=primary, _keys=keys, created=created)


def _with_new_key(content: dict[str, Any]) -> dict[str, Any]:
    key_id = f"k{secrets.token_hex(4)}"
    content["keys"][key_id] = base64.b64encode(os.urandom(32)).decode()
    content["created"][key_id] = datetime.now(UTC).isoformat(timespec="seconds")
    content["primary"] = key_id
    return content


@contextmanager
def _changing(path: Path) -> Iterator[dict[str, Any]]:
    """The content to change; the changed file takes the old one's name. One process at a time."""
    load(path)  # raises for a file that is not a keyring
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        content = json.loads(path.read_text())
        yield content
        _write_beside(path, content).replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _write_beside(path: Path, content: dict[str, Any]) -> Path:
    """A file of mode 0600 in the same folder, on disk."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return partial
