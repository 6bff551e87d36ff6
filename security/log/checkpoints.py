"""Checkpoints, the signed tree heads of the log (C2SP tlog-checkpoint v1.0.0). Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass

from security.log import notes
from security.log.merkle import EMPTY_ROOT, HASH_BYTES, MAX_SIZE

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


class CheckpointError(ValueError):
    """A text that is no checkpoint, or the checkpoint of another log."""


@dataclass(frozen=True)
class Checkpoint:
    """A tree head: which log (``origin``), how many leaves, their root hash (32 bytes), extension lines (none here).

    Raises CheckpointError for what has no text form.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.origin or "\n" in self.origin:
            raise CheckpointError("the origin of a checkpoint is one line that is not empty")
        if not 0 <= self.size <= MAX_SIZE:
            raise CheckpointError(f"a tree cannot have {self.size} leaves")
        if len(self.root) != HASH_BYTES:
            raise CheckpointError(f"a root hash has {HASH_BYTES} bytes, not {len(self.root)}")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise CheckpointError("the root hash of an empty tree is SHA-256 of nothing (RFC 6962 §2.1)")
        if any(not line or "\n" in line for line in self.extensions):
            raise CheckpointError("an extension line is one line that is not empty")

    def text(self) -> str:
        """The text that is signed: origin, size, root, each on its line (tlog-checkpoint, "Note text")."""
        lines = (self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """The checkpoint of a note's text. Raises CheckpointError unless the text is exactly what ``text`` writes."""
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1]:
            raise CheckpointError("a checkpoint has an origin, a size and a root hash, each on a line")
        origin, size, root, *extensions = lines[:-1]
        if not _DECIMAL.fullmatch(size):
            raise CheckpointError("the size of a checkpoint is a decimal number without leading zeros")
        try:
            decoded = base64.b64decode(root, validate=True)
        except (binascii.Error, ValueError) as error:
            raise CheckpointError("the root hash of a checkpoint is not base64") from error
        found = cls(origin, int(size), decoded, tuple(extensions))
        if found.text() != text:
            raise CheckpointError("the root hash of a checkpoint is not base64 in its canonical form")
        return found


@dataclass(frozen=True)
class SignedCheckpoint:
    """A checkpoint whose log signature was verified, with the note it came in and the witnesses who cosigned it."""

    checkpoint: Checkpoint
    note: notes.Note
    cosigned: tuple[notes.Verified, ...] = ()


def sign(checkpoint: Checkpoint, signer: notes.Signs) -> str:
    """The signed checkpoint as a note. Raises CheckpointError when the key does not sign under the log's origin.

    What a log must not do, sign two trees of which neither continues the other, is for whoever calls this.
    """
    if signer.verifier().name != checkpoint.origin:
        raise CheckpointError(f"the key {signer.verifier().name} does not sign for the log {checkpoint.origin}")
    return notes.sign(checkpoint.text(), signer)


def open_signed(
    note: str | bytes, log: notes.Verifier | Sequence[notes.Verifier], witnesses: Sequence[notes.Verifier] = ()
) -> SignedCheckpoint:
    """Open a checkpoint that must be signed by the log; of its cosignatures, those of known witnesses are verified.

    1. Every signature of a known key verifies (signed-note, "Signatures").
    2. One of them is the log's own.
    3. The origin is the name of that key, so that one log's checkpoint cannot pass for another's.
    Raises notes.NoteError or CheckpointError.
    """
    logs = [log] if isinstance(log, notes.Verifier) else list(log)
    opened = notes.open(note, [*logs, *witnesses])
    checkpoint = Checkpoint.parse(opened.text)
    own = [each for each in opened.verified if each.verifier in logs]
    if not own:
        raise CheckpointError("the checkpoint is not signed by the log, only by witnesses")
    if all(each.verifier.name != checkpoint.origin for each in own):
        raise CheckpointError(f"the checkpoint is of the log {checkpoint.origin}, not of {own[0].verifier.name}")
    cosigned = tuple(each for each in opened.verified if each.verifier in witnesses)
    return SignedCheckpoint(checkpoint, opened, cosigned)
