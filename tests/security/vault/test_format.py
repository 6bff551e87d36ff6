"""docs/formats/vault.md against three implementations: the page's formulas written out here, ours, and Tink's."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from security.vault import stream
from tests.support.tink_oracle import tink_decrypt

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "formats" / "vault.md").read_text()
VECTORS: list[dict[str, Any]] = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0])


def inputs(vector: dict[str, Any]) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    """Plaintext, data key, associated data, salt, nonce prefix."""
    plain = hashlib.shake_256(vector["name"].encode()).digest(vector["size"])
    key, salt, prefix = (bytes.fromhex(vector[name]) for name in ("data_key", "salt", "nonce_prefix"))
    return plain, key, f"countersign-object:{vector['object']}".encode(), salt, prefix


def written_out(vector: dict[str, Any]) -> bytes:
    """The object by the formulas of the page; HKDF by hand (RFC 5869 §2), GCM from the low-level interface."""
    plain, key, info, salt, prefix = inputs(vector)
    extracted = hmac.digest(salt, key, "sha256")
    segment_key = hmac.digest(extracted, info + b"\x01", "sha256")
    parts, rest = [plain[:1_048_520]], plain[1_048_520:]
    while rest:
        parts, rest = [*parts, rest[:1_048_560]], rest[1_048_560:]
    sealed = b"\x28" + salt + prefix
    for number, part in enumerate(parts):
        nonce = prefix + number.to_bytes(4, "big") + bytes([number == len(parts) - 1])
        gcm = Cipher(algorithms.AES256(segment_key), modes.GCM(nonce)).encryptor()
        sealed += gcm.update(part) + gcm.finalize() + gcm.tag
    return sealed


def ids(vector: dict[str, Any]) -> str:
    return str(vector["name"])


@pytest.mark.parametrize("vector", VECTORS, ids=ids)
def test_the_page_says_what_its_formulas_give(vector: dict[str, Any]):
    sealed = written_out(vector)
    assert hashlib.sha256(inputs(vector)[0]).hexdigest() == vector["plaintext_sha256"]
    assert len(sealed) == vector["object_size"]
    assert hashlib.sha256(sealed).hexdigest() == vector["object_sha256"]
    assert sealed.hex() == vector.get("object_bytes", sealed.hex())


@pytest.mark.parametrize("vector", VECTORS, ids=ids)
def test_we_write_the_same_bytes_and_tink_reads_them(vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    plain, key, aad, salt, prefix = inputs(vector)
    random = iter([salt, prefix])
    with monkeypatch.context() as patch:
        patch.setattr(stream.os, "urandom", lambda size: next(random))
        sealed = b"".join(stream.encrypt([plain], key=key, associated_data=aad))
    assert hashlib.sha256(sealed).hexdigest() == vector["object_sha256"]
    assert tink_decrypt(sealed, key=key, aad=aad) == plain
    assert stream.plain_size(len(sealed)) == vector["size"]


def test_short_objects_are_printed_whole_and_lengths_cross_the_segment_borders():
    assert sum("object_bytes" in vector for vector in VECTORS) >= 3
    assert {vector["size"] for vector in VECTORS} >= {0, stream.FIRST_PLAIN_BYTES, stream.FIRST_PLAIN_BYTES + 1}


@pytest.mark.parametrize("size", [0, 1, 55, stream.SEGMENT_BYTES + 1, stream.SEGMENT_BYTES + 15])
def test_sizes_that_no_object_can_have_are_refused(size: int):
    with pytest.raises(stream.DamagedError, match=f"{size} bytes"):
        stream.segment_count(size)
