"""Provider ``keyring``: keys in a file of mode 0600 on this machine. The default; nothing else to install."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from security.vault import keyring
from security.vault.providers.contract import KeyRef, WrappedKey


class KeyringFile:
    """AES-256-GCM under the keyring's primary key; the file is read again whenever it has changed."""

    def __init__(self, name: str, *, path: Path) -> None:
        self._name, self._path = name, path

    def current(self) -> KeyRef:
        return KeyRef(self._name, self._ring().primary, "")

    def wrap(self, data_key: bytes, *, associated_data: bytes) -> WrappedKey:
        key_id, blob = self._ring().wrap(data_key, associated_data=associated_data)
        return WrappedKey(KeyRef(self._name, key_id, ""), blob)

    def unwrap(self, wrapped: WrappedKey, *, associated_data: bytes) -> bytes:
        return self._ring().unwrap(wrapped.ref.key_id, wrapped.blob, associated_data=associated_data)

    def _ring(self) -> keyring.Keyring:
        try:
            changed = self._path.stat()
        except OSError:
            return keyring.load(self._path)  # which says what is wrong
        return _load(self._path, changed.st_mtime_ns, changed.st_ino)


@lru_cache(maxsize=4)
def _load(path: Path, changed: int, inode: int) -> keyring.Keyring:
    """The keyring as of its last change on disk."""
    return keyring.load(path)
