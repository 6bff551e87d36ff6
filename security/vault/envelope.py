"""The envelope: every data key is wrapped by a key-encryption key of a named provider (``VAULT_KEY_PROVIDERS``).

New data keys go to ``VAULT_KEY_PROVIDER``; each wrapped key names the provider, key and version that opens it, so that
several can be in use at once. Opened data keys are kept for a while (``VAULT_KEY_CACHE_SECONDS``,
``VAULT_KEY_CACHE_KEYS``), so that reading goes on when a provider is away.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from security.vault.providers.contract import KeyProvider, KeyRef, ProviderAwayError, WrappedKey

KINDS = {
    "keyring": "security.vault.providers.keyring_file.KeyringFile",
    "transit": "security.vault.providers.transit.Transit",
    "kms": "security.vault.providers.kms.Kms",
    "pkcs11": "security.vault.providers.pkcs11.Pkcs11",
}
_PACKAGES = {"kms": "requirements-aws.txt", "pkcs11": "requirements-pkcs11.txt"}


def wrap(data_key: bytes, *, associated_data: bytes) -> WrappedKey:
    """Wrap a data key under the present key-encryption key. Raises KeyProviderError."""
    return provider(settings.VAULT_KEY_PROVIDER).wrap(data_key, associated_data=associated_data)


def unwrap(wrapped: WrappedKey, *, associated_data: bytes) -> bytes:
    """A data key, from those kept or from its provider. Raises KeyProviderError."""
    data_key = _KEPT.get(wrapped, associated_data)
    if data_key is None:
        data_key = provider(wrapped.ref.provider).unwrap(wrapped, associated_data=associated_data)
        _KEPT.put(wrapped, associated_data, data_key)
    return data_key


def unwrap_uncached(wrapped: WrappedKey, *, associated_data: bytes) -> bytes:
    """A data key from its provider, whatever is kept: proves that the provider can still open it."""
    return provider(wrapped.ref.provider).unwrap(wrapped, associated_data=associated_data)


def current() -> KeyRef:
    """The key that new data keys are wrapped with. Raises KeyProviderError."""
    return provider(settings.VAULT_KEY_PROVIDER).current()


def forget() -> None:
    """Drop every kept data key of this process."""
    _KEPT.clear()


def provider(name: str) -> KeyProvider:
    """The configured provider of that name. Raises ProviderAwayError when there is none or its package is missing."""
    options: dict[str, Any] | None = settings.VAULT_KEY_PROVIDERS.get(name)
    if options is None:
        known = ", ".join(sorted(settings.VAULT_KEY_PROVIDERS)) or "none"
        raise ProviderAwayError(f"there is no key provider {name!r} in the settings (there are: {known})")
    if options["KIND"] == "keyring":
        options = {**options, "path": settings.VAULT_KEYRING}
    return _made(name, tuple(sorted(options.items())))


@lru_cache(maxsize=16)
def _made(name: str, options: Iterable[tuple[str, Any]]) -> KeyProvider:
    """One provider object per configuration: it may hold a connection."""
    arguments = dict(options)
    kind = arguments.pop("KIND")
    try:
        make: Callable[..., KeyProvider] = import_string(KINDS[kind])
    except KeyError:
        raise ProviderAwayError(f"key provider {name!r} has the unknown kind {kind!r}") from None
    except ImportError:
        packages = _PACKAGES.get(kind, "requirements.txt")
        raise ProviderAwayError(f"key provider {name!r} needs packages: pip install -r {packages}") from None
    return make(name, **arguments)


class _Kept:
    """Data keys by the hash of what they were unwrapped from: bounded in number and time, in this process only."""

    def __init__(self) -> None:
        self._keys: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, wrapped: WrappedKey, associated_data: bytes) -> bytes | None:
        name = _name(wrapped, associated_data)
        with self._lock:
            until, data_key = self._keys.get(name, (0.0, b""))
            if until <= time.monotonic():
                self._keys.pop(name, None)
                return None
            self._keys.move_to_end(name)
            return data_key

    def put(self, wrapped: WrappedKey, associated_data: bytes, data_key: bytes) -> None:
        with self._lock:
            until = time.monotonic() + settings.VAULT_KEY_CACHE_SECONDS
            self._keys[_name(wrapped, associated_data)] = (until, data_key)
            while len(self._keys) > settings.VAULT_KEY_CACHE_KEYS:
                self._keys.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._keys.clear()


def _name(wrapped: WrappedKey, associated_data: bytes) -> bytes:
    parts = (*(part.encode() for part in wrapped.ref), associated_data, wrapped.blob)
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()


_KEPT = _Kept()
