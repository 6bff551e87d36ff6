"""What a provider of key-encryption keys does: wrap a data key, unwrap it, and name its present key.

A provider never gives its keys away where it can help it: data keys go to the provider, not the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class KeyProviderError(Exception):
    """A data key cannot be wrapped or unwrapped. Its text holds no key, token or PIN."""


class ProviderAwayError(KeyProviderError):
    """The provider does not answer, refuses us, or is not configured: nothing is known about the wrapped key."""


class NoSuchKeyError(KeyProviderError):
    """The provider answers, and does not have (or no longer has) the key-encryption key that is asked for."""


class NotGenuineError(KeyProviderError):
    """The wrapped key was changed, belongs to another object, or was not wrapped with the key that it names."""


class KeyRef(NamedTuple):
    """A key-encryption key by name: the provider's name in the settings, the key's id there, its version ("": none)."""

    provider: str
    key_id: str
    version: str


@dataclass(frozen=True)
class WrappedKey:
    """A data key under a key-encryption key; what ``blob`` looks like is the provider's own business."""

    ref: KeyRef
    blob: bytes = field(repr=False)


class KeyProvider(Protocol):
    """The one interface. Every method raises KeyProviderError's subclasses, and nothing else, for what can go wrong."""

    def current(self) -> KeyRef:
        """The key that ``wrap`` uses now."""

    def wrap(self, data_key: bytes, *, associated_data: bytes) -> WrappedKey:
        """Wrap 32 bytes under the present key, bound to ``associated_data``."""

    def unwrap(self, wrapped: WrappedKey, *, associated_data: bytes) -> bytes:
        """The data key, if the wrapped key is genuine and bound to the same ``associated_data``."""
