"""Signed notes (C2SP signed-note v1.0.0), with Ed25519 signatures and the timestamped cosignatures of C2SP
tlog-cosignature. Pure: texts and keys in, texts out.

    text that ends in a newline
    <empty line>
    — <key name> base64(32-bit key ID ‖ signature)
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = 0x01
COSIGNATURE = 0x04
ALGORITHMS = (ED25519, COSIGNATURE)

MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100
_MARK = "— "
_SKEY = "PRIVATE+KEY+"  # how Go's sumdb/note package writes a signer's key
_KEY_BYTES, _SIGNATURE_BYTES, _TIME_BYTES = 32, 64, 8


class NoteError(ValueError):
    """A note, signature or key that does not follow the specification, or is not signed by whom it should be."""


@dataclass(frozen=True)
class Signature:
    """One signature line. ``value`` is what follows the key ID: 64 bytes, for a cosignature 8 bytes of time before."""

    name: str
    key_id: int
    value: bytes

    def line(self) -> str:
        return f"{_MARK}{self.name} {_base64(self.key_id.to_bytes(4, 'big') + self.value)}\n"


@dataclass(frozen=True)
class Verified:
    """A signature that was checked: whose, and for a cosignature when (POSIX seconds)."""

    verifier: Verifier
    signature: Signature
    timestamp: int | None = None


@dataclass(frozen=True)
class Note:
    """A note as parsed: the text that is signed, all signature lines, and those that were verified."""

    text: str
    signatures: tuple[Signature, ...]
    verified: tuple[Verified, ...] = ()

    def __str__(self) -> str:
        return self.text + "\n" + "".join(signature.line() for signature in self.signatures)


# ---------------------------------------------------------------------------------------------------------------- keys


@dataclass(frozen=True)
class Verifier:
    """A public key with the name that it signs under. Raises NoteError for a name that no note can hold."""

    name: str
    public: bytes
    algorithm: int = ED25519
    key_id: int = field(init=False)

    def __post_init__(self) -> None:
        _require_name(self.name)
        if self.algorithm not in ALGORITHMS:
            raise NoteError(f"the signature type 0x{self.algorithm:02x} of key {self.name} is not supported")
        if len(self.public) != _KEY_BYTES:
            raise NoteError(f"the Ed25519 key {self.name} has {len(self.public)} bytes, not {_KEY_BYTES}")
        object.__setattr__(self, "key_id", _key_id(self.name, self.algorithm, self.public))

    @classmethod
    def parse(cls, vkey: str) -> Verifier:
        """The verifier of ``name+hex(key ID)+base64(type ‖ key)``. Raises NoteError."""
        parts = vkey.strip().split("+", 2)
        if len(parts) != 3:
            raise NoteError("a verifier key has the form name+key ID+key")
        name, key_id, encoded = parts
        data = _from_base64(encoded, "the verifier key")
        verifier = cls(name, data[1:], data[0] if data else 0)
        if f"{verifier.key_id:08x}" != key_id:
            raise NoteError(f"the verifier key {name} says that its ID is {key_id}, but it is {verifier.key_id:08x}")
        return verifier

    def vkey(self) -> str:
        """``name+hex(key ID)+base64(type ‖ key)``, to be handed to whoever should verify."""
        return f"{self.name}+{self.key_id:08x}+{_base64(bytes([self.algorithm]) + self.public)}"

    def verify(self, text: str, signature: Signature) -> Verified:
        """Check one signature of this key over a note's text. Raises NoteError."""
        value, timestamp, message = signature.value, None, text.encode()
        if self.algorithm == COSIGNATURE:
            timestamp = int.from_bytes(value[:_TIME_BYTES], "big")
            value, message = value[_TIME_BYTES:], _cosigned(text, timestamp)
        if len(value) != _SIGNATURE_BYTES or (timestamp is not None and timestamp >= 2**63):
            raise NoteError(f"the signature by {self.name} is malformed")
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(value, message)
        except (InvalidSignature, ValueError) as error:
            raise NoteError(f"the signature by {self.name} ({self.key_id:08x}) does not verify") from error
        return Verified(self, signature, timestamp)


class Signs(Protocol):
    """Whatever signs notes: a ``Signer`` here, or a key that lives in a vault or an HSM."""

    def verifier(self) -> Verifier: ...

    def sign(self, text: str) -> Signature: ...


@dataclass(frozen=True)
class Signer:
    """An Ed25519 private key with the name that it signs under. Its secret is in no text form but ``secret_key``."""

    name: str
    key: Ed25519PrivateKey = field(repr=False)
    algorithm: int = ED25519
    clock: Callable[[], float] = field(default=time.time, repr=False, compare=False)

    @classmethod
    def generate(cls, name: str, algorithm: int = ED25519) -> Signer:
        return cls(name, Ed25519PrivateKey.generate(), algorithm)

    @classmethod
    def from_seed(cls, name: str, seed: bytes, algorithm: int = ED25519) -> Signer:
        """From the 32 secret bytes of RFC 8032 §5.1.5. Raises NoteError for another length."""
        if len(seed) != _KEY_BYTES:
            raise NoteError(f"the secret of an Ed25519 key has {_KEY_BYTES} bytes, not {len(seed)}")
        return cls(name, Ed25519PrivateKey.from_private_bytes(seed), algorithm)

    @classmethod
    def parse(cls, secret_key: str) -> Signer:
        """From ``PRIVATE+KEY+name+hex(key ID)+base64(type ‖ secret)``, Go's sumdb/note form. Raises NoteError."""
        text = secret_key.strip()
        parts = text.removeprefix(_SKEY).split("+", 2)
        if not text.startswith(_SKEY) or len(parts) != 3:
            raise NoteError(f"a signer's key has the form {_SKEY}name+key ID+secret")
        data = _from_base64(parts[2], "the signer's key")
        signer = cls.from_seed(parts[0], data[1:], data[0] if data else 0)
        if f"{signer.verifier().key_id:08x}" != parts[1]:
            raise NoteError(f"the signer's key {parts[0]} does not have the ID that it names")
        return signer

    def secret_key(self) -> str:
        """The secret as text; keep it where only the log can read it."""
        data = bytes([self.algorithm]) + self.key.private_bytes_raw()
        return f"{_SKEY}{self.name}+{self.verifier().key_id:08x}+{_base64(data)}"

    def verifier(self) -> Verifier:
        return Verifier(self.name, self.key.public_key().public_bytes_raw(), self.algorithm)

    def sign(self, text: str) -> Signature:
        """Sign a note's text; as a cosigner (type 0x04) with the time now."""
        if self.algorithm == COSIGNATURE:
            moment = int(self.clock())
            value = moment.to_bytes(_TIME_BYTES, "big") + self.key.sign(_cosigned(text, moment))
        else:
            value = self.key.sign(text.encode())
        return Signature(self.name, self.verifier().key_id, value)


def _key_id(name: str, algorithm: int, public: bytes) -> int:
    """signed-note, "Signatures": SHA-256(key name ‖ 0x0A ‖ signature type ‖ public key)[:4], big-endian."""
    digest = hashlib.sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()
    return int.from_bytes(digest[:4], "big")


def _cosigned(text: str, timestamp: int) -> bytes:
    """tlog-cosignature, "Ed25519 signed message": two lines before the note's text."""
    return f"cosignature/v1\ntime {timestamp}\n{text}".encode()


# --------------------------------------------------------------------------------------------------- signing, opening


def sign(text: str, *signers: Signs) -> str:
    """The note over ``text``, signed by each signer in turn. Raises NoteError for a text that no note can hold."""
    _require_text(_decoded(text))
    if not signers:
        raise NoteError("a note needs at least one signature")
    return str(Note(text, tuple(signer.sign(text) for signer in signers)))


def parse(note: str | bytes) -> Note:
    """Split a note into text and signature lines, verifying nothing. Raises NoteError for what is not a note."""
    if len(note) > MAX_NOTE_BYTES:
        raise NoteError(f"the note is over {MAX_NOTE_BYTES} bytes")
    whole = _decoded(note)
    head, separator, tail = whole.rpartition("\n\n")
    if not separator or not tail:
        raise NoteError("the note has no empty line between its text and its signatures")
    text = head + "\n"
    _require_text(text)
    return Note(text, parse_signatures(tail))


def parse_signatures(lines: str) -> tuple[Signature, ...]:
    """Signature lines, each ended by a newline, at least one. Raises NoteError."""
    if not lines.endswith("\n"):
        raise NoteError("the note does not end in a newline")
    split = lines[:-1].split("\n")
    if len(split) > MAX_SIGNATURES:
        raise NoteError(f"the note has over {MAX_SIGNATURES} signatures")
    return tuple(_signature(line) for line in split)


def open(note: str | bytes | Note, verifiers: Iterable[Verifier]) -> Note:
    """Parse a note and verify every signature of a known key; the note comes back with ``verified`` filled.

    1. Signatures of unknown keys are ignored; a key is known by its name and ID together.
    2. A signature of a known key that does not verify spoils the whole note.
    3. At least one signature of a known key verifies.
    Raises NoteError. The text of a note that was not opened must not be used.
    """
    parsed = note if isinstance(note, Note) else parse(note)
    known = {(each.name, each.key_id): each for each in verifiers}
    verified = tuple(
        known[signature.name, signature.key_id].verify(parsed.text, signature)
        for signature in parsed.signatures
        if (signature.name, signature.key_id) in known
    )
    if not verified:
        raise NoteError(f"the note is not signed by any of the known keys ({_listed(known.values())})")
    return Note(parsed.text, parsed.signatures, verified)


def _listed(verifiers: Iterable[Verifier]) -> str:
    return ", ".join(f"{each.name} {each.key_id:08x}" for each in verifiers) or "none"


def _signature(line: str) -> Signature:
    """signed-note, "Format": em dash, space, key name, space, base64(key ID ‖ signature)."""
    name, space, encoded = line.removeprefix(_MARK).partition(" ")
    if not line.startswith(_MARK) or not space:
        raise NoteError("a signature line has the form “— name signature”")
    _require_name(name)
    data = _from_base64(encoded, f"the signature by {name}")
    if len(data) < 5:
        raise NoteError(f"the signature by {name} is too short to hold one")
    return Signature(name, int.from_bytes(data[:4], "big"), data[4:])


def _decoded(note: str | bytes) -> str:
    try:
        whole = note if isinstance(note, str) else note.decode()
        whole.encode()
    except UnicodeError as error:
        raise NoteError("the note is not valid UTF-8") from error
    return whole


def _require_text(text: str) -> None:
    """signed-note, "Format": ends in a newline, and no other ASCII control character is in it."""
    if not text.endswith("\n"):
        raise NoteError("the text of a note ends in a newline")
    if any(character < " " and character != "\n" for character in text):
        raise NoteError("the text of a note has a control character in it")


def _require_name(name: str) -> None:
    """signed-note, "Format": non-empty, no Unicode space, no plus."""
    if not name or "+" in name or any(character.isspace() or character < " " for character in name):
        raise NoteError("a key name is not empty and has neither spaces nor a plus in it")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _from_base64(text: str, what: str) -> bytes:
    """Standard base64 (RFC 4648 §4) in its one canonical spelling, so that no two texts hold the same bytes."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError(f"{what} is not base64") from error
    if _base64(data) != text:
        raise NoteError(f"{what} is not base64 in its canonical form")
    return data


def merge(note: Note, more: Sequence[Signature]) -> Note:
    """The note with further signature lines, each only once."""
    kept = tuple(each for each in more if each not in note.signatures)
    return Note(note.text, note.signatures + kept, note.verified)
