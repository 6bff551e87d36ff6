"""What is put in place of personal values: keyed tokens, a fixed mask, coarser values."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

MASK = "*****"
_CONTEXT = b"countersign/personal-data-token/v1"
_SHORTEST_SECRET = 16


class WeakSecretError(ValueError):
    """Tokens need a secret of at least 16 bytes: a bare digest of a phone number can be guessed."""


class Tokeniser:
    """Values to tokens ``ENTITY_<32 hex digits>``: HMAC-SHA256, 128 bits kept (RFC 2104; truncation as its section 5).

    The same secret, entity and value give the same token, so joins still work; another entity or secret gives an
    unrelated one. Values are compared after trimming and Unicode NFC. Raises WeakSecretError.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < _SHORTEST_SECRET:
            raise WeakSecretError(f"the token secret has {len(secret)} bytes; at least {_SHORTEST_SECRET} are needed")
        self._key = hmac.digest(secret, _CONTEXT, hashlib.sha256)

    def token(self, entity: str, value: str) -> str:
        """The token of one value."""
        plain = unicodedata.normalize("NFC", value.strip())
        message = f"{entity}\0{plain}".encode()
        return f"{entity}_{hmac.digest(self._key, message, hashlib.sha256)[:16].hex()}"

    def column(self, entity: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
        """The tokens of a column of any flat type; null stays null."""
        return _by_value(values, lambda text: self.token(entity, text))


def masked(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same mask for every value, since a length or last digits give people away; null stays null."""
    return _by_value(values, lambda text: MASK)


def generalised(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers to bands of ten (``30-39``), dates and times to their year, text to its first three characters.

    Raises TypeError for a type that has no coarser form (bool, duration ...).
    """
    kind = values.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return pc.year(values)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        low = pc.cast(pc.multiply(pc.floor(pc.divide(pc.cast(values, pa.float64()), 10.0)), 10.0), pa.int64())
        return pc.binary_join_element_wise(pc.cast(low, pa.string()), pc.cast(pc.add(low, 9), pa.string()), "-")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pc.utf8_slice_codeunits(pc.utf8_trim_whitespace(values), 0, 3)
    raise TypeError(f"values of type {kind} have no coarser form")


def _by_value(values: pa.ChunkedArray, change: Callable[[str], str]) -> pa.ChunkedArray:
    texts = values.cast(pa.string()).to_pylist()
    known = {text: change(text) for text in dict.fromkeys(texts) if text is not None}
    return pa.chunked_array([pa.array([known.get(text) for text in texts], pa.string())])
